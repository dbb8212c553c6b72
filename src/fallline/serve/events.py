"""Server-sent events: what changes is told while it changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from fallline.errors import FalllineError
from fallline.serve.curves import live_findings
from fallline.serve.index import Index, stamp
from fallline.serve.jobs import Jobs
from fallline.serve.views import line_of, live_view
from fallline.store import Live, read_live, run_entry
from fallline.types import Finding

__all__ = ["list_events", "run_events", "stream"]

# An eye follows a curve that grows twice a second; a closing page waits as long.
_PAUSE = 0.5
# Proxies and browsers give up on a silent connection; a dead one is noticed when something is sent.
_HEARTBEAT = 15.0
_FINDINGS_PAUSE = 2.0

Event = tuple[str, Any]
# Looks once, and returns what is new since it last looked.
Look = Iterator[list[Event]]


def stream(look: Look, closing: Callable[[], bool]) -> StreamingResponse:
    """Return the response that tells what ``look`` finds, until the page or the server closes.

    Args:
        look: each ``next`` looks once, and may block.
        closing: True once the server is to end.
    """

    async def told() -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        silent = time.monotonic()
        while not closing():
            events = await run_in_threadpool(next, look, None)
            if events is None:
                return
            for name, content in events:
                yield f"event: {name}\ndata: {json.dumps(content, allow_nan=False)}\n\n"
            if events or time.monotonic() - silent > _HEARTBEAT:
                if not events:
                    yield ": still here\n\n"
                silent = time.monotonic()
            await asyncio.sleep(_PAUSE)

    return StreamingResponse(told(), media_type="text/event-stream")


def list_events(index: Index, jobs: Jobs) -> Look:
    """Tell the lines of the list that are new or have changed (``runs``), and the names that are gone (``gone``)."""
    known: dict[str, str] | None = None
    while True:
        try:
            lines = [line_of(item, jobs) for item in index.items()]
        except FalllineError as error:
            yield [("trouble", {"error": str(error)})]
            continue
        now = {line["name"]: line["version"] for line in lines}
        events: list[Event] = []
        # The first look tells all: what changed since the page was loaded must not be missed.
        changed = [line for line in lines if known is None or known.get(line["name"]) != line["version"]]
        gone = sorted(set(known or ()) - set(now))
        if changed or known is None:
            events.append(("runs", {"runs": changed, "all": known is None}))
        if gone:
            events.append(("gone", {"names": gone}))
        known = now
        yield events


def run_events(path: Path, jobs: Jobs) -> Look:
    """Tell the curves of a training as they grow (``live``), and that the run has changed otherwise (``changed``)."""
    live: Live | None = None
    inode, offset = 0, -1
    findings: list[Finding] = []
    asked, look_again = -1, 0.0
    before: tuple[Any, ...] | None = None
    stamped, entry = stamp(path), run_entry(path)
    while True:
        events: list[Event] = []
        seen = stamp(path)
        curves = seen[1]
        if seen != stamped or entry.status == "training":
            stamped, entry = seen, run_entry(path)
        job = jobs.state(path.name)
        # A checkpoint replaces the manifest, too, and shows nothing new; after the training every change counts.
        doing = (job["running"], job["stopping"]) if job else ()
        manifest = () if entry.status == "training" else seen[0]
        now = (entry.status, entry.outcome, entry.seconds, doing, path.is_dir(), manifest)
        if before is not None and now != before:
            events.append(("changed", {"exists": path.is_dir()}))
        before = now
        if curves[0] != inode:
            live, inode, offset, asked = None, curves[0], -1, -1
        if curves[0]:
            try:
                live = read_live(path, live)
            except (FalllineError, OSError):
                live = None
            asking = live is not None and live.offset != asked and time.monotonic() >= look_again
            if live is not None and (asking or live.offset != offset):
                offset = live.offset
                if asking:
                    began, asked = time.monotonic(), offset
                    findings = live_findings(live)
                    # Of very long curves the rules take their time; the page and the training need the machine, too.
                    look_again = time.monotonic() + max(_FINDINGS_PAUSE, 20 * (time.monotonic() - began))
                events.append(("live", live_view(path, live, findings)))
        yield events
