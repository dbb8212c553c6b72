"""Where programs run: CPU cores as devices, the bounded cache of compiled programs."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path

import jax

__all__ = ["compiler_options", "configure", "member_devices"]

# A compiled table program takes 0.2-1 MB; this keeps hundreds of them. JAX drops the least recently used beyond it.
_CACHE_BYTES = 512 * 1024 * 1024

_configured = False


def _cache_folder() -> Path | None:
    """Folder of compiled programs: FALLLINE_CACHE, else the user's cache folder; None where it cannot be written."""
    named = os.environ.get("FALLLINE_CACHE")
    if named == "":
        return None  # asked for: no cache on disk
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fallline"
    folder = base / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def configure() -> None:
    """Prepare JAX once per process, before its first use.

    Every CPU core becomes a device, so that the members of a population train side by side; single programs still use
    all cores through XLA's own threads. Compiled programs are kept on disk, so that the second start is quick. Settings
    that the user made himself are left alone.
    """
    global _configured
    if _configured:
        return
    _configured = True
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jax.config.values["jax_num_cpu_devices"] < 0:  # JAX's "not set"
        # Once a backend runs the number is fixed: then the program that owns the process has decided.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", cores)
    if jax.config.values["jax_compilation_cache_dir"] is None and (folder := _cache_folder()) is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", _CACHE_BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def member_devices(members: int) -> list[jax.Device]:
    """Return the devices that a population of so many members is spread over."""
    return list(jax.local_devices())[: max(1, members)]


# A step is no slower with less of LLVM's work on it, and its program is compiled sooner: 30-64-64-1 with batch
# normalisation, batch 32, two members at a time: 19.3 us and 1.60 s, against 20.2 us and 1.88 s.
_ALWAYS: dict[str, str | int | bool] = {"xla_backend_optimization_level": 1}
# XLA's matrix products by its YNN library cost a small network more than they save (2-50-1: 5.6 us a step with it, 4.9
# without) and a large one less (784-512-512-10: 3.5 ms with it, 4.1 without).
_SMALL: dict[str, str | int | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}
_SMALL_WEIGHTS = 10_000
# Where every core trains members of its own, a product that is spread over the cores only disturbs: 19.6 us, now 18.6.
_ALONE: dict[str, str | int | bool] = {"xla_cpu_multi_thread_eigen": False}


def compiler_options(platform: str, weights: int, devices: int) -> dict[str, str | int | bool]:
    """Return the settings that a training program is compiled with, so far as this release of XLA knows them.

    Args:
        platform: ``cpu`` or another.
        weights: of one member.
        devices: that the program runs on side by side.
    """
    if platform != "cpu":
        return {}
    chosen = _ALWAYS | (_SMALL if weights <= _SMALL_WEIGHTS else {}) | (_ALONE if devices > 1 else {})
    return {name: value for name, value in chosen.items() if _known(name, value)}


@cache
def _known(name: str, value: str | int | bool) -> bool:
    try:
        jax.jit(lambda: 0.0, compiler_options={name: value}).lower().compile()
    except (RuntimeError, ValueError):
        return False
    return True
