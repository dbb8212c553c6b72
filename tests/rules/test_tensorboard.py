"""Learning curves from TensorBoard's event files, and from logs by steps."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fallline.diagnose import diagnose
from fallline.errors import InputError, MissingPackageError
from fallline.rules._from_curves import curves_from_columns
from fallline.rules._from_steps import MOST_POINTS, SEGMENTS, curves_by_step
from fallline.rules._from_tensorboard import _latest, curves_from_tensorboard
from fallline.types import Diagnosis
from tests.make import decay, sagging
from tests.rules.events import write_events

LOSS, HELD = decay(0.7, 0.01, 60, 8), sagging(0.7, 0.3, 0.6, 60, 20)

pytest.importorskip("tensorboard")


def warned(result: Diagnosis) -> list[str]:
    return [finding.symptom for finding in result if finding.severity != "note"]


def pairs(curve: np.ndarray, every: int = 1, start: int = 0) -> list[tuple[int, float]]:
    return [(start + i * every, float(value)) for i, value in enumerate(curve)]


def test_the_two_folders_of_keras(tmp_path: Path) -> None:
    write_events(tmp_path / "train", {"epoch_loss": pairs(LOSS), "epoch_learning_rate": pairs(LOSS)}, as_tensor=True)
    write_events(
        tmp_path / "validation",
        {"epoch_loss": pairs(HELD), "evaluation_loss_vs_iterations": pairs(HELD[:7])},
        as_tensor=True,
    )
    curves = curves_from_tensorboard(tmp_path)
    assert set(curves) == {"loss", "val_loss", "learning_rate"}
    np.testing.assert_allclose(curves["val_loss"], HELD, rtol=1e-6)
    assert warned(diagnose(tmp_path)) == warned(diagnose(str(tmp_path))) == ["overfit"]


def test_one_folder_of_pytorch(tmp_path: Path) -> None:
    write_events(tmp_path, {"Loss/train": pairs(LOSS), "Loss/test": pairs(HELD), "Accuracy/train": pairs(1 - LOSS)})
    curves = curves_from_tensorboard(tmp_path)
    assert set(curves) == {"loss", "val_loss", "accuracy"}
    assert diagnose(tmp_path)[0].symptom == "overfit"


def test_a_line_of_a_chart_each_in_its_folder(tmp_path: Path) -> None:
    write_events(tmp_path / "loss_train", {"loss": pairs(LOSS)})
    write_events(tmp_path / "loss_val", {"loss": pairs(HELD)})
    assert warned(diagnose(tmp_path)) == ["overfit"]


def test_lightning_logs_by_steps_and_says_the_epoch(tmp_path: Path) -> None:
    steps = [(10 * e + s, float(LOSS[e] + 0.001 * (s - 4))) for e in range(60) for s in (1, 4, 7)]
    epoch = [(step, float(step // 10)) for step, _ in steps] + [(10 * e + 9, float(e)) for e in range(60)]
    write_events(tmp_path, {"train_loss": steps, "val_loss": pairs(HELD, 10, 9), "epoch": epoch})
    curves = curves_from_tensorboard(tmp_path)
    np.testing.assert_allclose(curves["loss"], LOSS, rtol=1e-4)
    np.testing.assert_allclose(curves["val_loss"], HELD, rtol=1e-6)


def test_epochs_as_fractions_of_which_one_ends_the_first(tmp_path: Path) -> None:
    steps = np.arange(1, 121)
    found = curves_by_step({"loss": (steps, np.repeat(LOSS, 2))}, (steps, steps / 2))
    np.testing.assert_allclose(found["loss"], LOSS)


def test_without_epochs_the_validation_ends_them(tmp_path: Path) -> None:
    write_events(tmp_path, {"loss": pairs(np.repeat(LOSS, 10), 1, 1), "val_loss": pairs(HELD, 10, 10)})
    np.testing.assert_allclose(curves_from_tensorboard(tmp_path)["loss"], LOSS, rtol=1e-6)


def test_thousands_of_steps_are_read_in_stretches() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(50_000)
    loss = curves_by_step({"loss": (steps, 1 + rng.normal(0, 0.3, len(steps)))})["loss"]
    assert loss.shape == (SEGMENTS,)
    assert loss.std() < 0.05
    assert curves_by_step({"loss": (steps[:MOST_POINTS], steps[:MOST_POINTS])})["loss"].shape == (MOST_POINTS,)


def test_a_column_of_steps_in_a_table() -> None:
    columns = {
        "global_step": [1, 2, 2, 3, 4, 4],
        "train_loss": [0.8, 0.6, None, 0.4, 0.2, None],
        "valid_loss": [None, None, 0.7, None, None, 0.5],
    }
    found = curves_from_columns(columns)
    np.testing.assert_allclose(found["loss"], [0.7, 0.3])
    np.testing.assert_allclose(found["val_loss"], [0.7, 0.5])


def test_a_loss_that_became_nan_is_told_by_its_epoch(tmp_path: Path) -> None:
    write_events(tmp_path, {"loss": [(0, 0.7), (1, 0.9), (2, float("nan")), (3, float("nan"))]})
    found = diagnose(tmp_path)[0]
    assert (found.symptom, found.epoch) == ("divergence", 3)


def test_a_resumed_training_overwrites_its_steps() -> None:
    steps, values = _latest([(5.0, 1, 0.5), (1.0, 0, 0.7), (2.0, 1, 0.6)])
    assert (steps.tolist(), values.tolist()) == ([0.0, 1.0], [0.7, 0.5])


def test_a_torn_file_keeps_what_was_written(tmp_path: Path) -> None:
    file = write_events(tmp_path, {"loss": pairs(LOSS)})
    file.write_bytes(file.read_bytes()[:-7])
    assert len(curves_from_tensorboard(tmp_path)["loss"]) == 59


def test_several_runs_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_events(tmp_path / name / "train", {"epoch_loss": pairs(LOSS)})
    with pytest.raises(InputError, match=r"logs of 2 runs: .*a'.*b'"):
        diagnose(tmp_path)
    assert warned(diagnose(tmp_path / "a")) == warned(diagnose({"loss": LOSS}))


def test_folders_without_curves(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no TensorBoard event files"):
        diagnose(tmp_path)
    write_events(tmp_path, {"price": pairs(LOSS)})
    with pytest.raises(InputError, match="no training loss among the scalars 'price'"):
        diagnose(tmp_path)


def test_without_the_package_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_events(tmp_path, {"loss": pairs(LOSS)})
    monkeypatch.setitem(sys.modules, "tensorboard.compat.tensorflow_stub.pywrap_tensorflow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fallline\[tensorboard\]'"):
        diagnose(tmp_path)
