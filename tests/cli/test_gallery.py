"""`fallline gallery`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fallline as fl
from fallline.cli.gallery import command
from fallline.errors import InputError
from fallline.gallery import EXHIBITS


def call(*arguments: str) -> str:
    done = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_pictures_are_listed() -> None:
    listed = call()
    assert all(name in listed for name in EXHIBITS)


@pytest.mark.slow
def test_a_picture_is_written_and_its_table_printed(tmp_path: Path) -> None:
    said = call("momentum", "--quick", "-o", str(tmp_path / "new"))
    assert "published" in said
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["momentum.gif", "momentum.png"]
    with pytest.raises(InputError, match="--overwrite"):
        call("momentum", "--quick", "-o", str(tmp_path / "new"))
    call("momentum", "--quick", "-o", str(tmp_path / "new"), "--overwrite")


@pytest.mark.slow
def test_a_landscape_of_a_persons_own_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        x=rng.normal(size=(50, 2)).astype("float32"),
        y=rng.normal(size=(50, 1)).astype("float32"),
    )
    fl.networks.mlp(2, 1, hidden=(3,)).save(tmp_path / "model.keras")
    given = ("--model", str(tmp_path / "model.keras"), "--data", str(tmp_path / "data.npz"), "-t", "y")
    said = call("landscape", "--quick", *given, "-o", str(tmp_path))
    assert "loss of the model" in said
    assert (tmp_path / "landscape.png").is_file()
    with pytest.raises(InputError, match="fixed data"):
        call("line", *given)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["landscpe"], "Did you mean"),
        (["landscape", "--model", "model.keras"], "belong together"),
        (["line", "--images", "folder", "--quick"], "--images"),
    ],
)
def test_mistakes(arguments: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call(*arguments)
