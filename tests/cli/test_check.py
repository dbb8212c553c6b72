"""`fallline check --gradients`."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from fallline.cli import group
from fallline.errors import FalllineError


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "data.npz", x=x, y=x[:, :1] ** 2)
    return str(tmp_path / "model.keras"), str(tmp_path / "data.npz")


def test_the_derivatives_of_a_saved_model_are_checked(files: tuple[str, str]) -> None:
    done = CliRunner().invoke(group, ["check", "--gradients", *files])
    assert done.exit_code == 0, done.output
    assert "4 of 4 tensors are right" in done.output
    done = CliRunner().invoke(group, ["check", "--gradients", *files, "--json", "--entries", "0", "--rows", "3"])
    assert json.loads(done.output)["tensors"][0]["checked"] == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, d: [m], "checked with its data"),
        (lambda m, d: ["--gradients", m], "checked on data"),
        (lambda m, d: ["--gradients", d, d], "only .keras files are loaded"),
        (lambda m, d: ["--gradients", "none.keras", d], "There is no file none.keras"),
        (lambda m, d: ["--gradients", m, d, "-t", "z"], "it takes 'z' and at least one more"),
        (lambda m, d: ["--gradients", m, d, "--rows", "0"], "at least 1 row"),
    ],
)
def test_mistakes_are_told(files: tuple[str, str], change: object, message: str) -> None:
    done = CliRunner().invoke(group, ["check", *change(*files)])  # type: ignore[operator]
    assert isinstance(done.exception, FalllineError)
    assert message in str(done.exception)
