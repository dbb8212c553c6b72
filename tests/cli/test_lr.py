"""`fallline lr`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SMALL = ("--preset", "simple", "--networks", "2", "--steps", "40", "hidden=[4]")


def test_a_rate_is_suggested_and_the_training_with_it(cli: Callable[..., Any], table: Path) -> None:
    done = cli("lr", str(table), "-t", "price", "--leave-out", "sold", *SMALL)
    assert done.code == 0, done.err
    assert "over 2 networks" in done.out
    assert " ".join(done.out.split()).count("hidden=[4]") == 1
    rate = float(done.out.split("learning_rate=")[1].split()[0].strip("'"))
    assert 1e-6 < rate < 10
    assert not (table.parent / "runs").exists()
    done = cli("lr", str(table), "-t", "price", "--leave-out", "sold", *SMALL, "--json")
    said = json.loads(done.out)
    assert f"{said['suggestion']:.2g}" == f"{rate:.2g}"
    assert len(said["rates"]) == len(said["losses"][0]) == 40


def test_mistakes_are_told(cli: Callable[..., Any], table: Path) -> None:
    done = cli("lr", str(table), "-t", "price", *SMALL, "optimizer.name=lm")
    assert done.code == 2
    assert "no rate to look for" in done.err
    (table.parent / "there.png").write_bytes(b"")
    done = cli("lr", str(table), "-t", "price", "--plot", "there.png")
    assert done.code == 2
    assert "is there already" in done.err
