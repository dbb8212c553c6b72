"""Where programs run: CPU cores as devices, the bounded cache of compiled programs."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax

__all__ = ["compiler_options", "configure", "jit", "keep_freed_memory", "member_devices"]

# A compiled table program takes 0.05-1 MB: this keeps hundreds of them.
_CACHE_BYTES = 512 * 1024 * 1024
# What is compiled sooner (s) is not kept: half of the files, and the second start is no slower without them.
_WORTH_KEEPING = 0.02

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


def _trim(folder: Path, most: int) -> None:
    """Delete what was used longest ago where the files of a folder take more than ``most`` bytes, down to 3/4 of it.

    Another process may do the same, or use the folder, at the same time.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # deleted meanwhile
                facts = entry.stat()
                found.append((max(facts.st_atime, facts.st_mtime), facts.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    if total <= most:
        return
    for _, size, path in sorted(found):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
        if total <= 0.75 * most:
            return


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
        with contextlib.suppress(OSError):
            _trim(folder, _CACHE_BYTES)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        # JAX's own bound reads every file of the folder whenever it writes one, under a lock that all processes wait
        # for: with 10,000 files that was two thirds of a long process's time.
        jax.config.update("jax_compilation_cache_max_size", -1)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def member_devices(members: int) -> list[jax.Device]:
    """Return the devices that a population of so many members is spread over."""
    return list(jax.local_devices())[: max(1, members)]


# A step is no slower with less of LLVM's work on it, and its program is compiled sooner: 30-64-64-1 with batch
# normalisation, batch 32, two members at a time: 19.3 us and 1.60 s, against 20.2 us and 1.88 s.
_ALWAYS: dict[str, str | int | bool] = {"xla_backend_optimization_level": 1}
# XLA gives convolutions without padding, a kernel's gradient among them, to its YNN library, which computes them on one
# core: 64 images of 30 x 30 x 32, 3 x 3, 32 filters: forward 45 ms with it, 6 without, the kernel's gradient 47 and 18.
_PRODUCTS_ONLY: dict[str, str | int | bool] = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
}
# XLA's matrix products by YNN cost a small network more than they save (2-50-1: 5.6 us a step with it, 4.9
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
    chosen = _ALWAYS | (_SMALL if weights <= _SMALL_WEIGHTS else _PRODUCTS_ONLY) | (_ALONE if devices > 1 else {})
    return {name: value for name, value in chosen.items() if _known(name, value)}


# mallopt's numbers (malloc.h) and values: no block is mapped on its own, the heap grows by 256 MiB, and shrinks once
# 1 GiB of it is free.
_MALLOC = {"M_MMAP_MAX": (-4, 0), "M_TOP_PAD": (-2, 1 << 28), "M_TRIM_THRESHOLD": (-1, 1 << 30)}


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to a gigabyte of freed memory for its next step; return whether it does.

    XLA allocates what a step needs between its operations anew in every step. glibc maps such large blocks from the
    system and gives them back, and each of their pages is zeroed again when it is touched: a third of LeNet-5's step
    (30 ms, 20 without). Where the user has set glibc's allocator, and where there is none, nothing changes.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
    return all(mallopt(number, value) == 1 for number, value in _MALLOC.values())


def jit(function: Callable[..., Any], **given: Any) -> Any:
    """Return `jax.jit` of a function that runs alone on one device, with the settings for a network that is not small.

    Args:
        function: of arrays.
        given: further arguments of `jax.jit`.
    """
    options = compiler_options(jax.default_backend(), _SMALL_WEIGHTS + 1, devices=1)
    return jax.jit(function, compiler_options=options, **given)


@cache
def _known(name: str, value: str | int | bool) -> bool:
    try:
        jax.jit(lambda: 0.0, compiler_options={name: value}).lower().compile()
    except (RuntimeError, ValueError):
        return False
    return True
