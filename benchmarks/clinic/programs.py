"""Real faulty programs, rebuilt from descriptions that stay outside this project."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clinic.program import Said
from benchmarks.clinic.program_data import make
from benchmarks.clinic.run import Row
from benchmarks.harness import CHECKOUT

__all__ = [
    "MOST_STEPS",
    "NAMES",
    "find_cases",
    "half_squares",
    "program_model",
    "program_optimizer",
    "program_rows",
    "run_program",
]

FILE, VARIABLE = "cases.json", "FALLLINE_CLINIC"
# A program of many epochs is cut after so many steps: what is wrong shows by then.
MOST_STEPS = 3000

_OUTPUT = ("output-loss-mismatch", "targets-out-of-range")
_FEW = ("underfit-stopped-early", "underfit-flat", "learning-rate-too-low")
_HIGH = ("learning-rate-too-high", "divergence", "oscillation", "exploding-gradients")
_GAP = ("overfit", "unrepresentative-training-set", "unrepresentative-validation-set", "capacity-unsuited")
_SPLIT = ("not-shuffled", "unrepresentative-training-set", "unrepresentative-validation-set")
# Label of a program -> symptoms that name it.
NAMES: Mapping[str, tuple[str, ...]] = {
    "output_activation": _OUTPUT,
    "loss": _OUTPUT,
    "unscaled_input": ("inputs-not-scaled",),
    "unscaled_target": ("targets-not-scaled", "targets-out-of-range"),
    "epochs_few": _FEW,
    "underfitting": _FEW,
    "learning_rate_low": ("learning-rate-too-low", "underfit-stopped-early"),
    "learning_rate_high": _HIGH,
    "loss_reduction": _HIGH,
    "oscillating_loss": ("oscillation", "learning-rate-too-high"),
    "optimizer": (
        "learning-rate-too-low", "learning-rate-too-high", "ill-conditioned", "underfit-stopped-early",
        "underfit-flat", "plateau",
    ),
    "hidden_activation": (
        "vanishing-gradients", "saturated-units", "no-nonlinearity", "dead-relu", "layer-not-learning",
    ),
    "vanishing_gradient": ("vanishing-gradients", "saturated-units", "layer-not-learning"),
    "exploding_gradient": ("exploding-gradients", "divergence", "learning-rate-too-high"),
    "dying_relu": ("dead-relu",),
    "saturation": ("saturated-units",),
    "initialisation": ("bad-initial-scale", "symmetric-units"),
    "architecture": ("capacity-unsuited", "no-nonlinearity", "underfit-flat"),
    "batch_size": ("batch-size-unsuited",),
    "batchnorm_small_batch": ("batch-size-unsuited",),
    "regularisation_strong": ("over-regularised", "underfit-flat"),
    "overfitting": _GAP,
    "data_too_few": _GAP,
    "split": _SPLIT,
    "train_test_mismatch": _SPLIT,
    "unlearnable_noise": ("no-skill", "underfit-flat"),
    "constant_target": ("suspect-labels",),
    "labels_bad": ("suspect-labels",),
    "constant_feature": ("inputs-correlated",),
    "missing_values": ("missing-values",),
}  # fmt: skip


def find_cases(given: Path | None) -> list[dict[str, Any]] | str:
    """Return the programs, or a sentence why there are none."""
    folder = given or Path(os.environ.get(VARIABLE) or CHECKOUT / "shared" / "clinic")
    path = folder / FILE if folder.is_dir() else folder
    if not path.is_file():
        return f"real programs skipped: no {FILE} in {folder}; name its folder by --data or {VARIABLE}"
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def run_program(case: Mapping[str, Any], seeds: Sequence[int]) -> list[Row]:
    """Rebuild one program, train it and write down what was said."""
    names = sorted({name for fault in case["fault_types"] for name in NAMES.get(fault, ())})
    facts: Row = {"what": case["id"], "table": case["data"]["kind"], "names": names}
    facts |= {"healthy": case["healthy"], "doubt": case["doubt"]}
    return [facts | {"seed": seed} | asdict(_trial(case, seed)) for seed in seeds]


def _trial(case: Mapping[str, Any], seed: int) -> Said:
    import fallline as fl

    warnings.simplefilter("ignore")  # Keras, too, has something to say about some of them
    try:
        x, y, held = program_rows(case, np.random.default_rng(seed))
        batch = case.get("stand_in_overrides", {}).get("batch_size", case["batch_size"])
        epochs = min(case["epochs"], max(1, MOST_STEPS // -(-len(x) // batch)))
        model = program_model(case, x.shape[1:], seed)
        found = fl.diagnose_training(
            model, x, y, loss=_loss(case["loss"]), optimizer=program_optimizer(case), epochs=epochs, batch_size=batch,
            validation_data=held, seed=seed,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  a trial that fails is counted, with its reason
        return Said(error=f"{type(error).__name__}: {error}"[:300])
    return Said.of(found)


def program_rows(case: Mapping[str, Any], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return x, y and, where there are some, (x, y) of the validation rows."""
    x, y = make(case["data"], rng)
    kind = case["split"].get("kind", "")
    if "none" in kind:
        return x, y, None
    rows = np.arange(len(x))
    if "first 700" in kind:
        cut = 700
    else:
        cut = len(x) - int(len(x) * case["split"].get("fraction", 0.25))
        if "validation_split" not in kind:
            rows = rng.permutation(rows)
    train, held = rows[:cut], rows[cut:]
    return x[train], y[train], (x[held], y[held])


def program_model(case: Mapping[str, Any], shape: tuple[int, ...], seed: int) -> Any:
    """Return the uncompiled model."""
    import keras

    keras.utils.set_random_seed(seed)
    layers: list[Any] = [keras.Input(shape)]
    for described in case["layers"]:
        settings = dict(described)
        kind = settings.pop("type")
        for key in ("kernel_initializer", "bias_initializer"):
            if key in settings:
                settings[key] = _initializer(settings[key])
        layers.append(getattr(keras.layers, kind)(**settings))
    return keras.Sequential(layers)


def _initializer(name: str | None) -> Any:
    import keras

    if name is None:
        return "glorot_uniform"
    if name == "random_normal_1":
        return keras.initializers.RandomNormal(0, 1)
    if name.startswith("constant_"):
        return keras.initializers.Constant(float(name.removeprefix("constant_")))
    return name


def program_optimizer(case: Mapping[str, Any]) -> Any:
    """Return its optimizer."""
    import keras

    rate = case["learning_rate"]
    if case["optimizer"] == "sgd":
        return keras.optimizers.SGD(rate, momentum=case["momentum"] or 0.0, nesterov=bool(case["nesterov"]))
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[case["optimizer"]](rate)


def _loss(name: str) -> Any:
    return half_squares if name == "mse_half" else name


def half_squares(y: Any, predicted: Any) -> Any:
    """Return half the mean squared error."""
    import keras

    return keras.ops.mean(keras.ops.square(predicted - y)) / 2
