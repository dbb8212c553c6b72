"""What a person at a terminal sees of a training, and that pipes get none of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fallline.cli.progress import TrainingProgress
from fallline.cli.screen import Screen
from fallline.types import Progress
from tests.cli.conftest import FakeTraining, Result


def _seen(height: int, events: list[Progress]) -> str:
    """Return what the display looked like after the last of some events, with all that steers a terminal left out."""
    screen, drawn = Screen(), io.StringIO()
    screen.err = Console(file=drawn, force_terminal=True, width=100, height=height, color_system=None)
    with TrainingProgress(screen) as progress:
        for event in events:
            assert progress(event) is False
        drawn.seek(0)
        drawn.truncate()
        progress._bar.refresh()
        return drawn.getvalue()


def _epochs(first: int, last: int) -> Progress:
    falling = tuple(1 / epoch for epoch in range(first, last + 1))
    curves = {"loss": falling, "val_loss": tuple(2 * loss for loss in falling), "learning_rate": falling}
    return Progress(last, 100, loss=falling[-1], val_loss=2 * falling[-1], active=3, members=4, curves=curves)


def test_a_terminal_shows_the_curve_so_far_the_epoch_and_the_time_left() -> None:
    shown = _seen(40, [_epochs(1, 10), _epochs(11, 20)])
    for part in ("training 0.05", "validation 0.1", "epoch 20/100", "left", "3 of 4"):
        assert part in shown, part
    assert "learning_rate" not in shown


def test_a_low_terminal_shows_the_bar_alone() -> None:
    shown = _seen(10, [_epochs(1, 20)])
    assert "epoch 20/100" in shown
    assert len(shown.strip().splitlines()) == 1


def test_the_curve_begins_anew_with_the_next_training() -> None:
    shown = _seen(40, [_epochs(1, 90), _epochs(1, 5)])
    assert "training 0.2" in shown
    assert "90" not in shown


@pytest.mark.parametrize(
    "command",
    ["recipe", "rules", "rules overfit", "treatments", "runs", "report runs/data-1 --overwrite", "diagnose runs/data-1",
     "check data.csv -t sold", "gallery", "train data.csv -t sold --name again", "train nothing.csv -t sold"],
)  # fmt: skip
def test_in_a_pipe_nothing_steers_a_terminal(
    cli: Callable[..., Result], table: Path, training: FakeTraining, command: str
) -> None:
    cli("train", "data.csv", "-t", "sold", "-q")
    done = cli(*command.split())
    assert done.out + done.err
    assert not {"\x1b", "\r", "\b"} & set(done.out + done.err)
