"""The door: who may ask what, over every method and header that a foreign page can choose."""

from __future__ import annotations

import contextlib
import itertools
import socket

import pytest

from fallline.serve.keys import Keys
from tests.serve.conftest import Page

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "FOO")
HOSTS = (
    "own", "localhost", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1",
    "127.0.0.1:{port}.evil.example", "[::1]:{port}", "",
)  # fmt: skip
ORIGINS = (
    None, "own", "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}",
    "http://localhost.evil:{port}",
)  # fmt: skip
TOKENS = ("none", "wrong", "right")
PATHS = (
    "/", "/api/runs", "/api/events", "/api/runs/plain-1/events", "/api/jobs/plain-1", "/static/dom.js",
    "/api/runs/plain-1/fork", "/nowhere",
)  # fmt: skip

COMBINATIONS = list(itertools.product(METHODS, HOSTS, ORIGINS, TOKENS))


def test_there_are_enough_combinations() -> None:
    assert len(COMBINATIONS) == 1701


@pytest.mark.parametrize("method", METHODS)
def test_every_combination_of_host_origin_and_token_is_refused_but_our_own(page: Page, method: str) -> None:
    paths = itertools.cycle(PATHS)
    let_in = refused = 0
    for _, host, origin, token in (c for c in COMBINATIONS if c[0] == method):
        path = next(paths)
        own = {"own": f"127.0.0.1:{page.port}", "localhost": f"localhost:{page.port}"}
        said = own.get(host, host.format(port=page.port))
        headers = [("Host", said)]
        source = None if origin is None else f"http://{said}" if origin == "own" else origin.format(port=page.port)
        if source is not None:
            headers.append(("Origin", source))
        name, _, secret = page.cookie.partition("=")
        if token != "none":
            headers.append(("Cookie", f"{name}={secret if token == 'right' else secret[:-1] + '!'}"))
        answer = page.raw(method, path, headers, whole=False)
        good_host = host in ("own", "localhost")
        good_origin = origin == "own" or (origin is None and method in ("GET", "HEAD"))
        expected = good_host and good_origin and token == "right" and method in ("GET", "HEAD", "POST", "DELETE")
        case = (method, path, host, origin, token, answer.status)
        if expected:
            let_in += 1
            assert answer.status not in (401, 403), case
        else:
            refused += 1
            assert answer.status in (400, 401, 403, 405), case
            assert answer.status != 400 or host == "", case
        assert not any(header.startswith("access-control-") for header in answer.headers), case
    assert refused > 60
    assert let_in == {"GET": 4, "HEAD": 4, "POST": 2, "DELETE": 2}.get(method, 0)


@pytest.mark.parametrize("doubled", ["Host", "Origin", "Sec-Fetch-Site"])
def test_a_header_that_stands_twice_is_refused(page: Page, doubled: str) -> None:
    own = {"Host": f"127.0.0.1:{page.port}", "Origin": page.origin, "Sec-Fetch-Site": "same-origin"}
    headers = [("Cookie", page.cookie), *own.items()]
    assert page.raw("GET", "/api/runs", headers).status == 200
    assert page.raw("GET", "/api/runs", [*headers, (doubled, own[doubled])]).status in (400, 403)


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
)
def test_another_page_cannot_even_read_with_the_cookie(page: Page, site: str, status: int) -> None:
    headers = [("Host", f"127.0.0.1:{page.port}"), ("Cookie", page.cookie), ("Sec-Fetch-Site", site)]
    assert page.raw("GET", "/api/runs", headers).status == status
    assert page.raw("GET", "/", headers).status == status


def test_the_link_works_once_and_the_next_one_is_told(page: Page) -> None:
    host = [("Host", f"127.0.0.1:{page.port}")]
    first = page.keys.token
    opened = page.raw("GET", f"/open?token={first}", [*host, ("Sec-Fetch-Site", "cross-site")])
    assert opened.status == 200
    cookie = opened.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert page.raw("GET", f"/open?token={first}", host).status == 403
    assert page.opened[-1] == page.keys.token != first
    assert page.raw("GET", "/api/runs", [*host, ("Cookie", cookie.split(";")[0])]).status == 200
    for wrong in ("", "x", first + "x", f"{page.keys.token}&token={page.keys.token}", "%ff%00"):
        assert page.raw("GET", f"/open?token={wrong}", host).status == 403
    assert page.raw("POST", f"/open?token={page.keys.token}", [*host, ("Origin", page.origin)]).status == 405
    assert page.raw("GET", f"/open?token={page.keys.token}", [("Host", "evil.example")]).status == 403


def test_a_closed_page_says_what_to_do_and_tells_nothing(page: Page) -> None:
    answer = page.raw("GET", "/", [("Host", f"127.0.0.1:{page.port}")])
    assert answer.status == 401
    assert b"Open the link" in answer.body
    assert b"plain-1" not in answer.body


@pytest.mark.parametrize("path", ["/", "/runs/plain-1", "/api/runs", "/static/list.js", "/nowhere", "/open?token=x"])
def test_every_answer_carries_the_policies(page: Page, path: str) -> None:
    answer = page.ask("GET", path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


def test_pages_hold_no_inline_script_style_or_handler(page: Page) -> None:
    for path in ("/", "/runs/plain-1", "/compare?run=plain-1", "/new"):
        text = page.ask("GET", path).body.decode().lower()
        assert text.count("<script") == 1
        assert '<script type="module" src="/static/' in text
        assert "<style" not in text
        assert "style=" not in text
        assert " on" + "click" not in text


def test_a_report_is_inert(page: Page) -> None:
    from fallline.store import RunFolder

    with RunFolder.open(page.root / "plain-1") as folder:
        folder.write("report.html", b"<!doctype html><script>alert(1)</script>")
    answer = page.ask("GET", "/api/runs/plain-1/report")
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "sandbox;" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_bodies_are_limited_and_of_one_kind(page: Page) -> None:
    host = [("Host", f"127.0.0.1:{page.port}"), ("Cookie", page.cookie), ("Origin", page.origin)]
    json_type = ("Content-Type", "application/json")
    assert page.raw("POST", "/api/jobs", [*host, json_type, ("Content-Length", str(2 << 20))]).status == 413
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as connection:
        lines = [f"{name}: {value}\r\n" for name, value in (*host, json_type, ("Transfer-Encoding", "chunked"))]
        connection.sendall(f"POST /api/jobs HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        with contextlib.suppress(OSError):  # it does not wait for the end
            for _ in range(40):
                connection.sendall(b"%x\r\n%s\r\n" % (1 << 16, b"x" * (1 << 16)))
        with contextlib.suppress(OSError):
            assert connection.recv(100).startswith(b"HTTP/1.1 413")
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert page.raw("POST", "/api/jobs", [*host, ("Content-Type", kind)], b"{}").status == 415
    for body in (b"[]", b"{", b"[" * 100_000, b"\xff"):
        assert page.raw("POST", "/api/jobs", [*host, json_type], body).status == 400


def test_names_and_files_do_not_lead_outside(page: Page) -> None:
    (page.root.parent / "secret.html").write_text("secret")
    (page.root / "link").symlink_to(page.root.parent)
    (page.root / ".hidden").mkdir()
    for path in (
        "/static/..%2f__init__.py", "/static/../app.py", "/static/page.css%00", "/static/.", "/static/secret.html",
        "/api/runs/..", "/api/runs/%2e%2e", "/api/runs/..%2fruns", "/api/runs/link", "/api/runs/.hidden",
        "/api/runs/link/report", "/api/runs/nothing", "/api/runs/nothing/events",
    ):  # fmt: skip
        answer = page.ask("GET", path)
        assert answer.status in (400, 404), path
        assert b"secret" not in answer.body.replace(b"secret.html", b"")


def test_sessions_are_unguessable_and_bounded() -> None:
    keys = Keys()
    sessions = []
    for _ in range(70):
        session = keys.exchange(keys.token)
        assert session is not None
        assert len(session) > 40
        sessions.append(session)
    assert len(set(sessions)) == 70
    assert keys.knows(sessions[-1])
    assert not keys.knows(sessions[0])
    assert not keys.knows("")
    assert keys.exchange("ü") is None
