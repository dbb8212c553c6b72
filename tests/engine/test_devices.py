"""The cache of compiled programs stays bounded, whatever else happens to its folder; freed memory is used again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from fallline.engine.devices import _trim


def _entries(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"program-{i}-cache" for i in range(count)]
    for age, path in enumerate(paths):
        path.write_bytes(b"x" * 100)
        os.utime(path, (1e9 - age, 1e9 - age))
    return paths


def test_the_least_recently_used_programs_go_first(tmp_path: Path) -> None:
    paths = _entries(tmp_path, 10)
    os.utime(paths[9], (2e9, 1e9 - 9))  # written first, and read since
    _trim(tmp_path, 800)
    assert [i for i, path in enumerate(paths) if path.exists()] == [0, 1, 2, 3, 4, 9]


def test_what_fits_is_kept(tmp_path: Path) -> None:
    paths = _entries(tmp_path, 10)
    _trim(tmp_path, 1000)
    assert all(path.exists() for path in paths)


def test_what_cannot_be_deleted_is_left(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    paths = _entries(tmp_path, 3)
    _trim(tmp_path, 10)
    assert (tmp_path / "a folder").exists()
    assert not any(path.exists() for path in paths)


# A page of a block that the system has just given is counted when it is touched first.
_FAULTS = """
import resource
from fallline.engine.devices import keep_freed_memory
asked = keep_freed_memory()
faults = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytes(bytearray(64 << 20))
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(asked, min(faults))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is set")
@pytest.mark.parametrize("user", [{}, {"MALLOC_ARENA_MAX": "2"}])
def test_freed_memory_is_used_again_unless_the_user_has_set_the_allocator(user: dict[str, str]) -> None:
    """Two blocks of 64 MiB hold 32,768 pages of 4 KiB."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    told = subprocess.run([sys.executable, "-c", _FAULTS], env=given | user, capture_output=True, text=True, check=True)
    asked, faults = told.stdout.split()
    assert asked == str(not user)
    assert (int(faults) < 1_000) == (not user)
