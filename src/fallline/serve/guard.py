"""The door of the live page: every request, of every method and to every address, passes these checks first.

Any web page that a person visits may send requests to this machine, and any name may be made to point here (DNS
rebinding). So a request must be addressed to us (Host), come from ourselves (Origin, Sec-Fetch-Site) and carry the
cookie that only the one-time link gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fallline.serve.keys import Keys

__all__ = ["MAX_BODY_BYTES", "METHODS", "OPEN", "POLICY", "Guard"]

OPEN = "/open"
METHODS = ("GET", "HEAD", "POST", "DELETE")
_READING = ("GET", "HEAD")
MAX_BODY_BYTES = 1 << 20

# Nothing but our own files is loaded or run, nothing is sent elsewhere, and no other page can frame this one. Scripts
# cannot turn text into markup either: names of columns and files stay text.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types "
    "'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# A link in another page's tab is a foreign request, and a strict cookie would not be sent along a redirect of it: the
# answer is a page of ours, which goes on by itself.
_OPENED = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<link rel="icon" href="data:,"><title>fallline</title><p><a href="/">Go on to the runs</a></p></html>'
)
_CLOSED = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>fallline</title>'
    "<h1>This page is closed</h1><p>Open the link that <code>fallline serve</code> shows in its terminal. Each link "
    "works once; after it was used, the terminal shows the next one.</p></html>"
)


class Guard:
    """ASGI middleware that lets nobody in who was not invited.

    Args:
        app: what stands behind the door.
        keys: the token and the sessions.
        hosts: what the Host header may say, for example ``127.0.0.1:8330``.
        cookie: the session cookie's name. Cookies are not kept apart by port, so that it should hold the port.
    """

    def __init__(self, app: ASGIApp, keys: Keys, hosts: Iterable[str], cookie: str) -> None:
        self.app, self.keys, self.cookie = app, keys, cookie
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            return  # no web sockets, and nothing to start or stop
        answer = self._refusal(scope)
        if answer is None and scope["path"] == OPEN:
            answer = self._open(scope)
        elif answer is None and not self.keys.knows(self._session(scope)):
            answer = HTMLResponse(_CLOSED, 401)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if answer is not None:
            await answer(scope, receive, secured)
            return
        await self.app(scope, _limited(receive), secured)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that must not come in, None for one that may."""
        host, origin, site = (_header(scope, name) for name in (b"host", b"origin", b"sec-fetch-site"))
        method = scope["method"]
        if len(host) != 1 or host[0] not in self.hosts:
            return Response("This address is not served here.", 403)
        if method not in METHODS:
            return Response("This method is not served here.", 405, {"Allow": ", ".join(METHODS)})
        own = f"http://{host[0]}"
        if (origin or method not in _READING) and origin != [own]:
            return Response("Requests of other pages are not answered.", 403)
        # Another port of this machine is another page, too ("same-site").
        if scope["path"] != OPEN and site not in ([], ["same-origin"], ["none"]):
            return Response("Requests of other pages are not answered.", 403)
        length = _header(scope, b"content-length")
        if length and (len(length) > 1 or not length[0].isdigit() or int(length[0]) > MAX_BODY_BYTES):
            return Response("The request is too large.", 413)
        return None

    def _open(self, scope: Scope) -> Response:
        if scope["method"] != "GET":
            return Response("This method is not served here.", 405, {"Allow": "GET"})
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        session = self.keys.exchange(given[0]) if len(given) == 1 else None
        if session is None:
            return HTMLResponse(_CLOSED, 403)
        answer = HTMLResponse(_OPENED)
        answer.set_cookie(self.cookie, session, httponly=True, samesite="strict", path="/")
        return answer

    def _session(self, scope: Scope) -> str:
        given = _header(scope, b"cookie")
        try:
            found = SimpleCookie("; ".join(given)).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found is not None else ""


def _limited(receive: Receive) -> Receive:
    """Break off a body that grows beyond the limit while it is received."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY_BYTES:
            raise HTTPException(413, "The request is too large.")
        return message

    return counted


def _header(scope: dict[str, Any] | Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
