"""What holds for all tests: one backend, no traces outside temporary folders, the same examples every time."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_OLD_EMITTERS = "xla_cpu_use_fusion_emitters"


def compiled_soon() -> str:
    """Return the flags by which XLA takes half of its time, and nearly all of the tests' time is XLA's.

    Its older emitters compile a small training program in 1.5 s instead of 3.2; a step then takes 1.4 times as long,
    which a short training does not notice. Level 1 is what fallline asks for anyway. Whoever sets XLA_FLAGS, if only to
    nothing, gets what he says: `make test-long` takes the compiler as users have it. A release of XLA without the flag
    would end the process at once: there nothing is set.
    """
    for library in Path(str(find_spec("jaxlib").origin)).parent.glob("*.so"):  # type: ignore[union-attr]
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(_OLD_EMITTERS.encode()) >= 0:
                return f"--{_OLD_EMITTERS}=false --xla_backend_optimization_level=1"
    return ""


# Before anything imports Keras or JAX; the workers of pytest-xdist inherit what the first process has set.
_SCRATCH = os.environ.setdefault("FALLLINE_TEST_SCRATCH", tempfile.mkdtemp(prefix="fallline-tests-"))
os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = str(Path(_SCRATCH, "keras"))
os.environ["FALLLINE_CACHE"] = str(Path(_SCRATCH, "cache"))
os.environ["MPLCONFIGDIR"] = str(Path(_SCRATCH, "matplotlib"))
os.environ["JAX_PLATFORMS"] = "cpu"
if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = compiled_soon()
# A shell's background job ignores Ctrl-C, and so do its children; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
_OWNER = "PYTEST_XDIST_WORKER" not in os.environ
_MOST_MEMORY = 5 << 29  # 2.5 GB

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
def _tidy() -> Iterator[None]:
    """Let the collector leave alone what a file's tests have left: hundreds of compiled programs, seconds a look.

    A training program keeps some 20 MB; where they have become too many they are let go, and compiled again when asked
    for.
    """
    yield
    too_much = "jax" in sys.modules and resident() > _MOST_MEMORY
    if too_much:
        sys.modules["jax"].clear_caches()
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    if too_much:
        with contextlib.suppress(OSError, AttributeError):  # glibc keeps what was freed until it is told
            ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Return the bytes of memory that this process takes; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


@pytest.fixture
def checkout() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
