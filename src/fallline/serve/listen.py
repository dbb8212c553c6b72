"""From a folder to a page: find the port, show the link, serve until Ctrl-C."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from fallline.errors import InputError

__all__ = ["IMPROVED", "PORT", "bind", "own_names", "serve"]

PORT = 8330
HOST = "127.0.0.1"
# The folder beside the runs that `fallline improve` puts its own folders into.
IMPROVED = "improved"
_NEIGHBOURS = 50


def serve(
    root: Path,
    *,
    port: int = PORT,
    data: Sequence[Path] = (),
    studies: Sequence[Path] = (),
    show: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the live page of a folder of runs until Ctrl-C or SIGTERM.

    Args:
        root: the folder of runs; it may not exist yet.
        port: of 127.0.0.1; 0: any that is free. No other address is ever listened to.
        data: folders or files that trainings may be started on; none: the folder of runs alone.
        studies: folders that hold improvements' folders and searches' journals; none: ``improved`` beside the folder of
            runs, where `fallline improve` puts them, and journals that lie beside it.
        show: open the page in a browser.
        say: where the link and what else is to be told goes, a line at a time.

    Raises:
        InputError: starlette or uvicorn is missing, the port is taken, or a folder does not exist.
    """
    try:
        import uvicorn  # noqa: F401

        from fallline.serve.app import make_app
        from fallline.serve.guard import Guard
        from fallline.serve.index import Index
        from fallline.serve.jobs import Jobs
        from fallline.serve.keys import Keys
        from fallline.serve.studies import Studies
        from fallline.serve.tables import Tables
    except ImportError as error:
        library = str(error.name).partition(".")[0]
        raise InputError(
            f"The live page needs {library}, which is not installed: pip install 'fallline[serve]'."
        ) from error
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file; give the folder that holds the runs.")
    tables = Tables([*data, *([root] if root.is_dir() else [])])
    listening = bind(port)
    own = listening.getsockname()[1]

    def link(token: str) -> str:
        return f"http://{HOST}:{own}/open?token={token}"

    keys = Keys(on_used=lambda token: say(f"The page was opened. For another window: {link(token)}"))
    index = Index(root)
    jobs = Jobs(index, tables)

    ending = threading.Event()
    seen = Studies(studies if studies else [root.absolute().parent / IMPROVED, root.absolute().parent])
    app = Guard(make_app(index, tables, jobs, seen, ending.is_set), keys, own_names(own), f"fallline_{own}")
    say(f"The runs in {root}: {link(keys.token)}")
    say("The link works once, on this machine. Ctrl-C ends the page.")
    if show and _has_browser():
        threading.Timer(0.5, webbrowser.open, (link(keys.token),)).start()
    try:
        _server(app, ending).run(sockets=[listening])
    except KeyboardInterrupt:  # the way to end it, not a mistake
        pass
    finally:
        listening.close()
        for name, process in jobs.running():
            say(f"{name} goes on training. Stop it with: kill -INT {process}")
        jobs.close()


def _server(app: Any, ending: threading.Event) -> Any:
    """Return a server of the app; ``ending`` is set when a signal says that it is over."""
    import uvicorn

    class Server(uvicorn.Server):
        """Tells the event streams to end when a signal comes, or they would keep the server waiting."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            ending.set()
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", ws="none", http="h11", loop="asyncio",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
    return Server(config)


def own_names(port: int) -> tuple[str, ...]:
    """Return what a Host header may say."""
    return f"{HOST}:{port}", f"localhost:{port}"


def bind(port: int) -> socket.socket:
    """Return a socket that is bound to a port of this machine's loopback address.

    Raises:
        InputError: the port is taken (the next free one is named), or not allowed.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port} is no port: allowed are 1 to 65535, and 0 for any that is free.")
    try:
        return _bound(port)
    except OSError as error:
        if error.errno == errno.EACCES:
            raise InputError(f"Port {port} is kept for the system: choose one above 1023.") from None
        if error.errno != errno.EADDRINUSE:
            raise
    for free in range(port + 1, min(port + _NEIGHBOURS, 65536)):
        try:
            _bound(free).close()
        except OSError:
            continue
        raise InputError(f"Port {port} is in use. The next free one is {free}: fallline serve --port {free}")
    raise InputError(f"Port {port} is in use, and so are the next {_NEIGHBOURS}. --port 0 takes any that is free.")


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that was left a moment ago can be taken again; one that somebody listens on cannot.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(128)
    except OSError:
        found.close()
        raise
    return found


def _has_browser() -> bool:
    """Without a screen Python would start a browser inside the terminal."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    return bool(screen) or sys.platform in ("darwin", "win32")
