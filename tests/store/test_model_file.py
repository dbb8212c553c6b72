"""A model file from a stranger runs nothing: honest ones load, hostile ones are refused with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.store import harness

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hostile")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)}
    program = Path(harness.__file__).with_name("hostile_models.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder)], env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_honest_models_come_back_with_equal_predictions(said: dict[str, Any]) -> None:
    honest = {name: result for name, result in said["results"].items() if name.startswith("honest")}
    assert len(honest) == 6
    assert set(honest.values()) == {"same"}, honest


def test_hostile_models_are_refused_with_the_reason(said: dict[str, Any]) -> None:
    hostile = {name: result for name, result in said["results"].items() if not name.startswith("honest")}
    assert len(hostile) >= 55
    assert not [name for name, result in hostile.items() if result == "LOADED"]
    for name, part in {
        "config: lambda layer": "'Lambda' of 'keras.layers'",
        "config: file as vocabulary": "'StringLookup'",
        "config: more memory than weights": "bytes of variables",
        "weights: external link": "hold a link",
        "weights: declared but absent": "more numbers than the file holds",
        "archive: a way out": "'../../owned.txt'",
        "archive: bomb": "compressed",
        "path: old.h5": "only .keras files are loaded",
    }.items():
        assert part in hostile[name], name


def test_nothing_was_run_imported_connected_or_written(said: dict[str, Any]) -> None:
    assert said["events"] == []
    assert any(event.startswith("exec") for event in said["control"])
