"""What starting costs, and the package's public names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import fallline
from fallline.cli import COMMANDS, group
from fallline.cli.options import KINDS
from fallline.cli.train import PRESETS
from fallline.recipe.schema import entries
from fallline.types import PROBLEM_KINDS

HEAVY = ("numpy", "pandas", "pyarrow", "sklearn", "jax", "keras", "optax", "scipy", "rich")
SOURCE = str(Path(fallline.__file__).parents[1])


def _fresh(code: str, *arguments: str, **environment: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "PYTHONPATH": SOURCE, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, json\nfrom fallline.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as exited: assert not exited.code, exited.code\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    assert json.loads(_fresh(code, *arguments).splitlines()[-1]) == []


@pytest.mark.parametrize("name", ["", "train", "recipe"])
def test_help_keeps_examples_one_a_line(name: str) -> None:
    code = "import sys\nfrom fallline.cli import main\nmain([*sys.argv[1:], '--help'])"
    lines = _fresh(code, *[name][: len(name)]).splitlines()
    assert [line for line in lines if line.lstrip().startswith("fallline ")]
    assert not [line for line in lines if "\\b" in line or "\b" in line or line.count("fallline ") > 1]


def test_import_loads_nothing_heavy_and_sets_the_backend() -> None:
    code = (
        "import sys, json, os, fallline\n"
        f"print(json.dumps([[name for name in {HEAVY!r} if name in sys.modules], os.environ['KERAS_BACKEND']]))"
    )
    assert json.loads(_fresh(code)) == [[], "jax"]
    assert json.loads(_fresh(code, KERAS_BACKEND="tensorflow")) == [[], "jax"]


def test_the_backend_of_a_keras_that_is_there_already_is_left_alone() -> None:
    code = (
        "import sys, os, types\nsys.modules['keras'] = types.ModuleType('keras')\n"
        "os.environ['KERAS_BACKEND'] = 'torch'\n"
        "import fallline\nprint(os.environ['KERAS_BACKEND'])"
    )
    assert _fresh(code).strip() == "torch"


def test_help_and_import_are_quick() -> None:
    """The bars are 0.3 s and 0.1 s; the best of three tells them from a busy machine's noise."""
    env = {**os.environ, "PYTHONPATH": SOURCE}

    def best(*arguments: str) -> float:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], env=env, capture_output=True, check=True, timeout=60)
            times.append(time.perf_counter() - began)
        return min(times)

    empty = best("-c", "pass")
    assert best("-c", "import fallline") - empty < 0.1
    assert best("-m", "fallline", "--help") < 0.3 + empty


def test_every_public_name_has_a_home() -> None:
    assert set(fallline.__all__) <= set(dir(fallline))
    assert set(fallline._HOMES) | {"__version__"} == set(fallline.__all__)
    for name in ("Recipe", "Run", "Problem", "Finding", "Diagnosis", "default_recipe", "read_table", "make_problem"):
        assert getattr(fallline, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = fallline.trian


def test_functions_are_not_shadowed_by_modules_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("fallline.train")
    module.train = lambda: "trained"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fallline.train", module)
    names = vars(fallline)
    before = names.pop("train", None)
    try:
        fallline.train = module  # type: ignore[assignment]  # what Python does when the submodule is first imported
        assert fallline.train() == "trained"
    finally:
        names.pop("train", None)
        if before is not None:
            names["train"] = before


def test_lists_that_are_repeated_for_the_sake_of_speed_agree() -> None:
    assert not set(KINDS) ^ set(PROBLEM_KINDS)
    assert entries()["preset"].choices == PRESETS


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fallline", "--version"],
        env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == f"fallline, version {fallline.__version__}"


def test_the_help_of_training_says_when_to_stop() -> None:
    said = " ".join(CliRunner().invoke(group, ["train", "--help"]).output.split())
    for advice in ("unless a few percent of the loss matter", "gl for the best chance", "best average pq"):
        assert advice in said
