"""The command: its port, its link, its end, and what it says when something is missing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fallline.errors import InputError
from fallline.serve.listen import PORT, bind, serve


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fallline", "serve", "--no-open", *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def test_the_command_shows_a_link_that_works_once_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    server = start(tmp_path, "--port", "0")
    assert server.stdout is not None
    link = re.search(r"http://127\.0\.0\.1:\d+/open\?token=\S+", server.stdout.readline())
    assert link is not None
    with urllib.request.urlopen(link[0], timeout=20) as opened:
        cookie = opened.headers["Set-Cookie"].split(";")[0]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(link[0], timeout=20)
    refused.value.close()
    asked = urllib.request.Request(f"{link[0].split('/open')[0]}/api/events", headers={"Cookie": cookie})
    with urllib.request.urlopen(asked, timeout=20) as events:
        assert events.readline()
        server.send_signal(signal.SIGINT)  # while somebody is listening
        out, err = server.communicate(timeout=30)
    assert (server.returncode, err) == (0, "")
    assert "For another window: http://127.0.0.1" in out


def test_it_listens_on_the_loopback_address_alone() -> None:
    listening = bind(0)
    assert listening.getsockname()[0] == "127.0.0.1"
    listening.close()


def test_a_port_in_use_names_the_next_free_one() -> None:
    first = bind(0)
    port = first.getsockname()[1]
    with pytest.raises(InputError, match=rf"Port {port} is in use\. The next free one is \d+: fallline") as said:
        bind(port)
    free = int(re.findall(r"--port (\d+)", str(said.value))[0])
    bind(free).close()
    first.close()
    bind(port).close()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(InputError, match="is no port"):
        bind(port)


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        serve(tmp_path / "file", port=0)
    with pytest.raises(InputError, match="no folder or file"):
        serve(tmp_path, port=0, data=[tmp_path / "nothing"])


@pytest.mark.parametrize("missing", ["uvicorn", "starlette"])
def test_a_missing_library_is_named_with_what_to_install(tmp_path: Path, missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from fallline.cli import main\nmain(['serve', '--no-open', '--port', '0'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"needs {missing}, which is not installed: pip install 'fallline[serve]'" in done.stderr


def test_the_help_text_says_the_same_port() -> None:
    from fallline.cli.serve import PORT as SAID

    assert SAID == PORT
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 1)) != 0
