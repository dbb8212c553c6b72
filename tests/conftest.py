"""What holds for all tests: one backend, no traces outside temporary folders, the same examples every time."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports Keras or JAX; the workers of pytest-xdist inherit what the first process has set.
_SCRATCH = os.environ.setdefault("FALLLINE_TEST_SCRATCH", tempfile.mkdtemp(prefix="fallline-tests-"))
os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = str(Path(_SCRATCH, "keras"))
os.environ["FALLLINE_CACHE"] = str(Path(_SCRATCH, "cache"))
os.environ["MPLCONFIGDIR"] = str(Path(_SCRATCH, "matplotlib"))
os.environ["JAX_PLATFORMS"] = "cpu"
# A shell's background job ignores Ctrl-C, and so do its children; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
_OWNER = "PYTEST_XDIST_WORKER" not in os.environ

settings.register_profile(
    "fallline",
    derandomize=True,  # the same examples in every run: a failure can be looked at again
    deadline=None,  # a busy machine is no mistake
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("fallline")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the scratch folder when the first process ends."""
    if _OWNER:
        import shutil

        shutil.rmtree(_SCRATCH, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _look_at_garbage_once() -> Iterator[None]:
    """Let the collector leave alone what a file's tests have left: hundreds of compiled programs, seconds a look."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def checkout() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
