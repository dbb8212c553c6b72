"""Ctrl-C and SIGTERM, sent to real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fallline
from fallline.cli.failures import StoppedError
from fallline.cli.signals import StopSignals

SOURCE = str(Path(fallline.__file__).parents[1])

# The second program blocks in compiled code that gives the interpreter no chance to run a handler.
ORDERLY = """
import time
from fallline.cli.signals import StopSignals
with StopSignals(lambda n: print("asked", n, flush=True)) as stop:
    print("ready", flush=True)
    while not stop.asked:
        time.sleep(0.01)
print("saved", flush=True)
"""
BLOCKED = """
import hashlib
from fallline.cli.signals import StopSignals
with StopSignals(lambda n: print("asked", n, flush=True)):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 400_000_000)
"""


def _start(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": SOURCE}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_work_end(number: signal.Signals) -> None:
    with _start(ORDERLY) as process:
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert out == f"asked {int(number)}\nsaved\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once_even_inside_compiled_code(number: signal.Signals) -> None:
    with _start(BLOCKED) as process:
        assert process.stdout is not None
        process.send_signal(number)
        assert process.stdout.readline() == f"asked {int(number)}\n"
        began = time.monotonic()
        process.send_signal(number)
        process.communicate(timeout=20)
        assert time.monotonic() - began < 5
    assert process.returncode == 128 + number


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals() as stop:
        assert signal.getsignal(signal.SIGINT) != before[0]
        stop.leave_if_asked()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not stop.asked and time.monotonic() < deadline:
            time.sleep(0.001)
        with pytest.raises(StoppedError):
            stop.leave_if_asked()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
