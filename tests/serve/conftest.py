"""A folder of runs, and the live page of it in a thread, asked over real sockets."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fallline.recipe import default, override, to_mapping
from fallline.store import save_run
from fallline.types import Diagnosis, Finding, Run, Score, Trace

EVIL = "<img src=x onerror=alert(1)>"


def trace(epochs: int = 30, members: int = 1, seed: int = 0) -> Trace:
    """Falling curves with a little noise."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"member": [], "epoch": [], "layer": [], "quantity": [], "value": []}
    e = np.arange(1, epochs + 1)
    for m in range(members):
        for name, level in (("running_loss", 0.05), ("loss", 0.0), ("val_loss", 0.1), ("accuracy", None)):
            value = 1 - np.exp(-e / 9) if level is None else level + np.exp(-e / 10)
            rows["member"] += [m] * epochs
            rows["epoch"] += e.tolist()
            rows["layer"] += [""] * epochs
            rows["quantity"] += [name] * epochs
            rows["value"] += (value + 0.01 * rng.normal(size=epochs)).tolist()
    return Trace.from_columns(rows)


def run(*changes: str, data: str = "", seed: int = 0, **other: Any) -> Run:
    """A finished run of the simple preset."""
    recipe = override(default("simple"), [f"seed={seed}", *changes])
    facts: dict[str, Any] = {
        "kind": "binary", "target_names": ["ill"], "classes": ["no", "yes"], "n_rows": 200, "fingerprint": "abc",
        "source": "patients.csv", "seconds": 1.5, "best_epoch": 20, "parameters": 99, "notes": [],
    }  # fmt: skip
    if data:
        source = {"data": data, "target": ["ill"], "kind": None, "leave_out": [], "delimiter": None, "encoding": None,
                  "decimal": None}  # fmt: skip
        facts["command"] = {"version": "0", "source": source, "recipe": to_mapping(recipe)}
    made = Run(
        model=None, trace=trace(seed=seed), outcome="completed", recipe=recipe, facts=facts,
        diagnosis=Diagnosis(
            (Finding("overfit", "S3", "generalisation", "warning", 0.9, f"It turned up {EVIL}.", epoch=12,
                     what_to_try=("network.dropout=0.2",)),),
            {"dead-relu": "not watched"}, ("overfit",),
        ),
        scores=(Score("log_loss", 0.3 + seed / 10, 0.2, 0.4, n=40),
                Score("accuracy", 0.8, 0.7, 0.9, n=40, higher_is_better=True),
                Score("log_loss", 0.69, n=40, who="dummy")),
    )  # fmt: skip
    return replace(made, **other)


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Page:
    """A served page.

    Args:
        root: the folder of runs.
        port: of the server.
        token: opens the first session.
        cookie: of an open session, as the Cookie header has it.
    """

    root: Path
    port: int
    keys: Any
    jobs: Any
    cookie: str = ""
    opened: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        return f"{self.origin}/open?token={self.keys.token}"

    def raw(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", whole: bool = True
    ) -> Answer:
        """Send exactly these headers; read the body unless it may never end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            stream = "event-stream" in found.get("content-type", "")
            return Answer(answer.status, found, b"" if stream or not whole else answer.read())
        finally:
            answer.close()
            connection.close()

    def ask(self, method: str, path: str, content: Any = None) -> Answer:
        """Ask as the page's own script does."""
        headers = [("Host", f"127.0.0.1:{self.port}"), ("Cookie", self.cookie), ("Origin", self.origin)]
        body = b"" if content is None else json.dumps(content).encode()
        if body:
            headers.append(("Content-Type", "application/json"))
        return self.raw(method, path, headers, body)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Listen; each event as (name, content)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.getheader("Content-Type", "").startswith("text/event-stream")
        name = ""
        try:
            for line in answer:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    name = text[7:]
                elif text.startswith("data: "):
                    yield name, json.loads(text[6:])
        finally:
            connection.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: two that differ in the seed alone, and one with another network."""
    root = tmp_path / "runs"
    root.mkdir()
    for name, made in (
        ("plain-1", run(seed=0)), ("plain-2", run(seed=1)), ("wide-1", run("network.hidden=[64]")),
    ):  # fmt: skip
        save_run(made, root / name)
    return root


@pytest.fixture
def page(runs: Path) -> Iterator[Page]:
    """The live page of these runs, with a session."""
    uvicorn = pytest.importorskip("uvicorn")
    from fallline.serve.app import make_app
    from fallline.serve.guard import Guard
    from fallline.serve.index import Index
    from fallline.serve.jobs import Jobs
    from fallline.serve.keys import Keys
    from fallline.serve.listen import bind, own_names
    from fallline.serve.studies import Studies
    from fallline.serve.tables import Tables

    listening = bind(0)
    port = listening.getsockname()[1]
    ending = threading.Event()
    index, tables, keys = Index(runs), Tables([runs.parent]), Keys()
    jobs = Jobs(index, tables)
    studies = Studies([runs.parent / "improved", runs.parent])
    app = Guard(make_app(index, tables, jobs, studies, ending.is_set), keys, own_names(port), f"fallline_{port}")
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", ws="none", http="h11", loop="asyncio",
        server_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    found = Page(runs, port, keys, jobs)
    keys.on_used = found.opened.append
    opened = found.raw("GET", f"/open?token={keys.token}", [("Host", f"127.0.0.1:{port}")])
    assert opened.status == 200
    found.cookie = opened.headers["set-cookie"].split(";")[0]
    yield found
    ending.set()
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive(), "the server does not end"
    for job in jobs._jobs.values():
        job.process.kill()
        job.process.wait()
    jobs.close()
