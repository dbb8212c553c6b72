"""The addresses of the live page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from fallline.errors import FalllineError, InputError, RecipeError
from fallline.recipe import default, to_toml
from fallline.serve.events import list_events, run_events, stream
from fallline.serve.index import Index, Item, stamp
from fallline.serve.jobs import Jobs
from fallline.serve.shell import PAGES, asset, page
from fallline.serve.studies import Studies
from fallline.serve.tables import Tables
from fallline.serve.views import compare, line_of, run_view, table_of
from fallline.store import RunFolder, run_entry
from fallline.store.plain import loads

__all__ = ["make_app"]

MOST_SPARKLINES = 100
# A report is somebody's file: it gets an origin of its own, runs nothing and sends nothing.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"


def make_app(index: Index, tables: Tables, jobs: Jobs, studies: Studies, closing: Callable[[], bool]) -> Starlette:
    """Return the application; `fallline.serve.guard.Guard` belongs in front of it.

    Args:
        index: the runs.
        tables: what may be trained on.
        jobs: the trainings of this page.
        studies: improvements and searches.
        closing: tells the event streams to end.
    """
    routes = [
        Route("/", _page("list")),
        Route("/runs/{name}", _page("run")),
        Route("/compare", _page("compare")),
        Route("/new", _page("new")),
        Route("/experiments", _page("experiments")),
        Route("/experiments/{name}", _page("experiment")),
        Route("/static/{name}", _asset),
        Route("/api/runs", _answer(_runs)),
        Route("/api/sparklines", _answer(_sparklines)),
        Route("/api/compare", _answer(_compare)),
        Route("/api/experiments", _answer(_studies)),
        Route("/api/experiments/{name}", _answer(_study)),
        Route("/api/tables", _answer(_tables)),
        Route("/api/columns", _answer(_columns)),
        Route("/api/jobs", _answer(_start), methods=["POST"]),
        Route("/api/jobs/{name}", _answer(_stop), methods=["DELETE"]),
        Route("/api/events", _list_events),
        Route("/api/runs/{name}", _answer(_run)),
        Route("/api/runs/{name}/events", _run_events),
        Route("/api/runs/{name}/report", _report),
        Route("/api/runs/{name}/fork", _answer(_fork), methods=["POST"]),
        Route("/api/runs/{name}/resume", _answer(_resume), methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.state.index, app.state.tables, app.state.jobs, app.state.closing = index, tables, jobs, closing
    app.state.studies = studies
    return app


# -------------------------------------------------------------------------------------------------------- plumbing


def _page(name: str) -> Callable[[Request], Any]:
    assert name in PAGES

    async def show(request: Request) -> Response:
        return HTMLResponse(page(name))

    return show


async def _asset(request: Request) -> Response:
    found = asset(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "There is no such file.")
    return Response(found[0], media_type=found[1])


def _answer(work: Callable[[Request, dict[str, Any]], Any]) -> Callable[[Request], Any]:
    """Make an endpoint of a function that takes the request and its JSON body, and may block."""

    async def endpoint(request: Request) -> Response:
        body = await _body(request) if request.method == "POST" else {}
        try:
            return _json(await run_in_threadpool(work, request, body))
        except RecipeError as error:
            return _json({"error": str(error), "mistakes": list(error.mistakes)}, 422)
        except InputError as error:
            return _json({"error": str(error)}, 400)
        except FalllineError as error:
            return _json({"error": str(error)}, 409)

    return endpoint


async def _body(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "The body has to be JSON.")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON.") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "The body has to be a JSON object.")
    return found


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


def _text(body: dict[str, Any], name: str, *, needed: bool = True) -> str:
    value = body.get(name, "" if not needed else None)
    if not isinstance(value, str):
        raise InputError(f"{name!r} is missing, or is no text.")
    return value


def _index(request: Request) -> Index:
    found: Index = request.app.state.index
    return found


def _jobs(request: Request) -> Jobs:
    found: Jobs = request.app.state.jobs
    return found


def _item(request: Request) -> Item:
    path = _index(request).folder(request.path_params["name"])
    return Item(run_entry(path), stamp(path))


# ------------------------------------------------------------------------------------------------------- endpoints


def _runs(request: Request, body: dict[str, Any]) -> Any:
    index, jobs = _index(request), _jobs(request)
    lines = [line_of(item, jobs) for item in index.items()]
    return {"root": str(index.root), "runs": lines, "failed": jobs.failed()}


def _sparklines(request: Request, body: dict[str, Any]) -> Any:
    names = request.query_params.getlist("name")[:MOST_SPARKLINES]
    found = {}
    for name in names:
        try:
            found[name] = _index(request).sparkline(name)
        except InputError:
            found[name] = {}
    return found


def _run(request: Request, body: dict[str, Any]) -> Any:
    return run_view(_item(request), _index(request), _jobs(request), request.app.state.tables)


def _compare(request: Request, body: dict[str, Any]) -> Any:
    return compare(request.query_params.getlist("run"), _index(request))


def _studies(request: Request, body: dict[str, Any]) -> Any:
    studies: Studies = request.app.state.studies
    return {"studies": studies.lines(), "roots": [str(root) for root in studies.roots]}


def _study(request: Request, body: dict[str, Any]) -> Any:
    studies: Studies = request.app.state.studies
    return studies.view(request.path_params["name"])


def _tables(request: Request, body: dict[str, Any]) -> Any:
    tables: Tables = request.app.state.tables
    recipes = {preset: to_toml(default(preset)) for preset in ("default", "simple")}
    return {"tables": tables.paths(), "roots": [str(root) for root in tables.roots], "recipes": recipes}


def _columns(request: Request, body: dict[str, Any]) -> Any:
    tables: Tables = request.app.state.tables
    return {"columns": tables.columns(request.query_params.get("data", ""))}


def _start(request: Request, body: dict[str, Any]) -> Any:
    target = body.get("target")
    if not isinstance(target, list) or not all(isinstance(column, str) for column in target):
        raise InputError("'target' has to be a list of columns.")
    name = _jobs(request).start(
        _text(body, "data"), target, _text(body, "recipe"), _text(body, "name", needed=False).strip()
    )
    return {"name": name}


def _fork(request: Request, body: dict[str, Any]) -> Any:
    origin = request.path_params["name"]
    name = _text(body, "name", needed=False).strip()
    return {"name": _jobs(request).fork(origin, _table(request), _text(body, "recipe"), name)}


def _resume(request: Request, body: dict[str, Any]) -> Any:
    return {"name": _jobs(request).resume(request.path_params["name"], _table(request))}


def _table(request: Request) -> str:
    folder = RunFolder.open(_index(request).folder(request.path_params["name"]))
    try:
        return table_of(loads(folder.read("run.json"))["facts"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder.path / 'run.json'} is not what fallline writes ({error}).") from error


def _stop(request: Request, body: dict[str, Any]) -> Any:
    _jobs(request).stop(request.path_params["name"])
    return {"stopping": request.path_params["name"]}


async def _report(request: Request) -> Response:
    def read() -> bytes:
        return RunFolder.open(_index(request).folder(request.path_params["name"])).read("report.html")

    try:
        content = await run_in_threadpool(read)
    except FalllineError as error:
        raise HTTPException(404, str(error)) from None
    return HTMLResponse(content, headers={"Content-Security-Policy": _REPORT_POLICY})


async def _list_events(request: Request) -> Response:
    return stream(list_events(_index(request), _jobs(request)), request.app.state.closing)


async def _run_events(request: Request) -> Response:
    try:
        path = _index(request).folder(request.path_params["name"])
    except InputError as error:
        raise HTTPException(404, str(error)) from None
    return stream(run_events(path, _jobs(request)), request.app.state.closing)
