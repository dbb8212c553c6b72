"""``fallline diagnose``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FakeTraining, Result
from tests.make import decay, sagging
from tests.rules.events import write_events

Cli = Callable[..., Result]

LOSS, HELD = decay(0.7, 0.01, 60, 8), sagging(0.7, 0.3, 0.6, 60, 20)


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    path = tmp_path / "curves.csv"
    rows = [f"{i},{a},{b}" for i, (a, b) in enumerate(zip(LOSS, HELD, strict=True))]
    path.write_text("\n".join(["epoch,train loss,valid_loss", *rows]))
    return path


def test_a_csv_of_curves_in_words(cli: Cli, curves: Path) -> None:
    done = cli("diagnose", "curves.csv")
    assert done.code == 0
    for part in ("warning: overfit", "Likely cause", "Try: stop early", "Not examined"):
        assert part in done.out


def test_the_same_for_programs(cli: Cli, curves: Path) -> None:
    found = json.loads(cli("diagnose", "curves.csv", "--json").out)
    assert found["findings"][0]["symptom"] == "overfit"
    assert not found["healthy"]
    assert "no-skill" in found["not_examined"]


def test_a_folder_of_tensorboard(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for name, curve in (("train", LOSS), ("validation", HELD)):
        write_events(tmp_path / "logs" / name, {"epoch_loss": list(enumerate(map(float, curve)))})
    assert "overfit" in cli("diagnose", "logs").out


def test_a_run_folder(cli: Cli, table: Path, training: FakeTraining) -> None:
    cli("train", "data.csv", "-t", "sold")
    found = json.loads(cli("diagnose", "runs/data-1", "--json").out)
    assert found["examined"]


@pytest.mark.parametrize(("what", "words"), [("none.csv", "There is no file"), (".", "no TensorBoard event files")])
def test_what_cannot_be_read(cli: Cli, what: str, words: str) -> None:
    done = cli("diagnose", what)
    assert (done.code, words in done.err) == (2, True)
