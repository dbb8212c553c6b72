"""The cache of compiled programs stays bounded, whatever else happens to its folder."""

from __future__ import annotations

import os
from pathlib import Path

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
