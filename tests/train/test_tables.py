"""Tables: every kind of problem learns, only training rows teach, and what was learned leaves as a plain Keras file."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from fallline.data import make_problem
from fallline.recipe import default, override
from fallline.train import train_problem
from fallline.train.calibration import fit_temperature, out_of_fold, probabilities, tempered
from fallline.train.orders import Member
from fallline.train.prediction import apply_model
from fallline.train.prepared import prepare
from fallline.types import PROBLEM_KINDS, Problem, Recipe, Run

N = 240
# Pinned, so that the tests stand, whatever the defaults become.
SMALL = {
    "network.hidden": "[16]", "network.embedding": "none", "network.dropout": "0.0", "training.epochs": "40",
    "training.batch_size": "32", "ensemble.members": "2", "split.folds": "2", "split.test": "0.25",
    "optimizer.learning_rate": "0.01", "optimizer.schedule": "flat_cosine", "optimizer.name": "adamw",
    "network.activation": "selu", "stopping.patience": "1000",
}  # fmt: skip


def small(*changes: str) -> Recipe:
    entries = SMALL | dict(change.split("=", 1) for change in changes)
    return override(default(), [f"{name}={value}" for name, value in entries.items()])


def inputs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "c"])
    frame["group"] = rng.choice(["u", "v", "w"], N)
    frame.loc[::9, "c"] = np.nan
    return frame


def problem(kind: str, frame: pd.DataFrame | None = None, **keywords: Any) -> Problem:
    frame = inputs() if frame is None else frame
    x = frame[["a", "b"]].to_numpy()
    signal = x[:, 0] - x[:, 1] + (frame["group"] == "u")
    y: Any = {
        "regression": 1e4 + 50.0 * signal,
        "binary": np.where(signal > 0, "yes", "no"),
        "multiclass": np.where(signal > 1, "high", np.where(signal < -1, "low", "middle")),
        "multioutput": pd.DataFrame({"one": signal, "two": 100.0 * x[:, 0]}),
        "multilabel": pd.DataFrame({"one": (signal > 0).astype(int), "two": (x[:, 0] > 0).astype(int)}),
    }[kind]
    return make_problem(frame, y, kind=kind, **keywords)


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {}


def run_of(runs: dict[str, Run], kind: str) -> Run:
    if kind not in runs:
        runs[kind] = train_problem(problem(kind), small())
    return runs[kind]


def model_weights(run: Run) -> list[np.ndarray]:
    return [np.asarray(v.value) for v in run.model.weights]


def assert_same_model(mine: Run, other: Run) -> None:
    for a, b in zip(model_weights(mine), model_weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", PROBLEM_KINDS)
def test_every_kind_of_problem_is_learned(runs: dict[str, Run], kind: str) -> None:
    run = run_of(runs, kind)
    model, dummy = (next(s for s in run.scores if s.who == who) for who in ("model", "dummy"))
    assert run.outcome == "completed"
    assert model.metric == dummy.metric
    assert model.value < 0.6 * dummy.value
    assert model.n == run.facts["n_test"] == 60
    assert run.held_out is not None
    assert len(run.predict(inputs())) == N
    assert np.isfinite(run.history.to_numpy()).all()


def test_probabilities_are_probabilities(runs: dict[str, Run]) -> None:
    p = run_of(runs, "multiclass").predict_proba(inputs())
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    labels = run_of(runs, "multiclass").predict(inputs())
    assert (labels == np.array(["high", "low", "middle"])[p.argmax(axis=1)]).all()
    binary = run_of(runs, "binary")
    assert ((binary.predict_proba(inputs())[:, 1] > 0.5) == (binary.predict(inputs()) == "yes")).all()


def test_quantities_stay_in_the_range_seen_in_training(runs: dict[str, Run]) -> None:
    far = inputs().assign(a=1e6)
    given = problem("regression")
    rows = prepare(given, small()).train_rows
    assert run_of(runs, "regression").predict(far).max() <= given.y[rows].max() * (1 + 1e-6)


def test_the_trace_is_in_the_targets_units(runs: dict[str, Run]) -> None:
    run = run_of(runs, "regression")
    scale = float(run.preparation.target_scale[0])
    for member in run.trace.members:
        found, loss = (run.trace.curve(name, member=member) for name in ("val_rmse", "val_loss"))
        np.testing.assert_allclose(found, scale * np.sqrt(loss), rtol=1e-5)


def test_the_best_epoch_is_restored() -> None:
    # Many columns and labels of chance: they can be learned by heart alone, and the loss turns up.
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.normal(size=(N, 20)), columns=[f"n{i}" for i in range(20)])
    given = problem("binary", inputs().join(noise))
    given = replace(given, y=np.where(rng.random(N) < 0.3, 1 - given.y, given.y))
    recipe = small("ensemble.members=1", "split.folds=1", "ensemble.calibrate=false", "training.epochs=60",
                   "network.hidden=[64]", "optimizer.learning_rate=0.02", "optimizer.schedule=constant")  # fmt: skip
    run = train_problem(given, recipe)
    member = run.facts["members"][0]
    curve = run.trace.curve("val_loss")
    assert member["best_epoch"] == int(curve.argmin()) + 1
    assert curve[40:].min() > 1.2 * curve.min()
    rows = prepare(given, recipe).members[0].val_rows
    p = apply_model(run.model, run.preparation.raw(given.frame))[rows, 0].astype(np.float64)
    loss = -np.log(np.where(given.y[rows] == 1, p, 1 - p)).mean()
    assert loss == pytest.approx(member["best_val_loss"], rel=1e-4) == pytest.approx(curve.min(), rel=1e-6)


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_members_validate_on_rows_that_they_were_not_trained_on(folds: int) -> None:
    given = problem("multiclass")
    made = prepare(given, small(f"split.folds={folds}", "ensemble.members=5"))
    for member in made.members:
        assert not set(member.train_rows) & set(member.val_rows)
        assert set(member.train_rows) | set(member.val_rows) == set(made.train_rows)
        assert not set(member.train_rows) & set(made.test_rows)
    assert len({m.seed for m in made.members}) == 5
    covered = np.concatenate([m.val_rows for m in made.members[:folds]])
    assert sorted(covered) == sorted(made.train_rows)


def test_a_members_seed_does_not_depend_on_the_population() -> None:
    seeds = [[m.seed for m in prepare(problem("binary"), small(f"ensemble.members={k}")).members] for k in (2, 4)]
    assert seeds[0] == seeds[1][:2]


def test_test_rows_teach_nothing(runs: dict[str, Run]) -> None:
    kind = "regression"
    given = problem(kind)
    rows = prepare(given, small()).test_rows
    frame, y = given.frame.copy(), given.y.copy()
    frame.loc[frame.index[rows], "a"] = 1e5
    y[rows] *= -7
    other = train_problem(replace(given, frame=frame, y=y), small())
    assert_same_model(run_of(runs, kind), other)
    mine, changed = (next(s.value for s in r.scores if s.who == "model") for r in (run_of(runs, kind), other))
    assert changed > 100 * mine


def test_the_same_seed_is_the_same_run_and_another_is_not(runs: dict[str, Run]) -> None:
    again = train_problem(problem("binary"), small(), diagnosed=False)
    assert_same_model(run_of(runs, "binary"), again)
    other = train_problem(problem("binary"), small("seed=1"), diagnosed=False)
    assert any((a != b).any() for a, b in zip(model_weights(again), model_weights(other), strict=True))


def test_an_interrupted_training_is_usable_and_goes_on_bit_for_bit(runs: dict[str, Run]) -> None:
    saved: list[Any] = []
    part = train_problem(
        problem("binary"),
        small(),
        on_progress=lambda e: e.phase == "train",
        checkpoint=lambda *kept: saved.append(kept),
    )
    assert part.outcome == "interrupted"
    assert part.trace.n_epochs == 1
    assert set(part.predict(inputs())) <= {"yes", "no"}
    arrays, meta = saved[-1]
    resumed = train_problem(problem("binary"), small(), resume=({k: np.array(v) for k, v in arrays.items()}, meta))
    assert_same_model(resumed, run_of(runs, "binary"))
    np.testing.assert_array_equal(resumed.trace.value, run_of(runs, "binary").trace.value)
    assert resumed.outcome == "completed"


def test_a_population_that_diverges_is_a_value() -> None:
    recipe = small(
        "optimizer.name=sgd", "optimizer.learning_rate=1e30", "optimizer.schedule=constant", "training.epochs=3"
    )
    run = train_problem(problem("regression"), recipe)
    assert run.outcome == "diverged"
    assert run.scores == ()
    assert all(m["bad_step"] >= 0 and m["bad_layer"] for m in run.facts["members"])
    assert np.isfinite(run.predict(inputs())).all()
    assert run.diagnosis.findings[0].symptom == "divergence"


def test_groups_of_unequal_size_do_not_diverge() -> None:
    # Three quarters of the rows are one group: one member trains on 60 rows, the other on 180.
    frame = inputs()
    frame["who"] = np.where(np.arange(N) < 180, "big", (np.arange(N) // 6).astype(str))
    given = problem("regression", frame)
    recipe = small("split.group=who", "split.test=0.0", "training.epochs=3")
    sizes = sorted(len(m.train_rows) for m in prepare(given, recipe).members)
    assert sizes[0] * 2 < sizes[1]
    assert train_problem(given, recipe, diagnosed=False).outcome == "completed"


def test_weights_of_rows_and_classes() -> None:
    given = problem("multiclass")
    balanced = prepare(given, small("training.class_weight=balanced"))
    rows = balanced.train_rows
    totals = [balanced.weight[rows][given.y[rows] == c].sum() for c in range(3)]
    np.testing.assert_allclose(totals, len(rows) / 3, rtol=1e-5)
    given = problem("regression", sample_weight=np.linspace(1, 3, N))
    weight = prepare(given, small()).weight
    assert weight[prepare(given, small()).train_rows].mean() == pytest.approx(1.0, rel=1e-6)
    assert weight[-1] / weight[0] == pytest.approx(3.0, rel=1e-6)


def logits(classes: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure by a known factor, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(4000, classes)) * 1.5
    true = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (true.cumsum(axis=1) < rng.uniform(size=(4000, 1))).sum(axis=1)
    sure = np.exp(sharpness * z)
    return sure / sure.sum(axis=1, keepdims=True), y


@pytest.mark.parametrize("sharpness", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("multiclass", [True, False])
def test_the_temperature_is_the_one_of_least_loss(sharpness: float, multiclass: bool) -> None:
    p, y = logits(3 if multiclass else 2, sharpness)
    p = p if multiclass else p[:, 1:]
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    found = fit_temperature(p, y, weight, multiclass)

    def loss(t: float) -> float:
        q = tempered(p, t, multiclass)
        chosen = q[np.arange(len(y)), y] if multiclass else np.where(y == 1, q[:, 0], 1 - q[:, 0])
        return float(np.average(-np.log(chosen), weights=weight))

    best = minimize_scalar(loss, bounds=(0.3, 4.5), method="bounded")
    assert found == pytest.approx(best.x, rel=0.03)
    assert found == pytest.approx(sharpness, rel=0.15)


def test_out_of_fold_predictions_average_the_members_that_did_not_see_the_row() -> None:
    values = np.arange(12.0).reshape(3, 4, 1)
    group = [Member(0, np.array([2, 3]), np.array([0, 1])), Member(1, np.array([3]), np.array([1])),
             Member(2, np.array([0]), np.array([1, 3]))]  # fmt: skip
    rows, found = out_of_fold(values, group, 4)
    assert rows.tolist() == [0, 1, 3]
    np.testing.assert_allclose(found[:, 0], [0.0, (1 + 5 + 9) / 3, 11.0])


def test_raw_outputs_become_probabilities() -> None:
    out = np.array([[[800.0, 0.0, -800.0], [0.0, 0.0, 0.0]]], np.float32)
    np.testing.assert_allclose(probabilities("multiclass", out)[0], [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-12)
    np.testing.assert_allclose(probabilities("binary", np.zeros((1, 1, 1), np.float32)), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a diverged network's outputs are that large
        assert probabilities("binary", np.array([[[-1e30], [1e30]]], np.float32)).ravel().tolist() == [0.0, 1.0]


# The child refuses to import fallline, wherever it may be installed.
LOADER = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "fallline":
            raise ImportError("fallline must not be needed")
sys.meta_path.insert(0, Refuse())
import keras, numpy as np
folder = sys.argv[1]
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    np.save(f"{folder}/{name}.out.npy", keras.ops.convert_to_numpy(model(np.load(f"{folder}/{name}.npy"))))
assert not any(name.split(".")[0] == "fallline" for name in sys.modules)
print(keras.backend.backend())
"""


@pytest.mark.parametrize("backend", [pytest.param("jax", marks=pytest.mark.slow), "numpy", "torch", "tensorflow"])
def test_the_saved_model_needs_no_fallline_and_no_jax(runs: dict[str, Run], backend: str, tmp_path: Path) -> None:
    if backend in ("torch", "tensorflow"):
        pytest.importorskip(backend, reason=f"{backend} is not installed: the model was loaded by other backends only")
    kinds = ("regression", "multiclass")
    expected = {}
    for kind in kinds:
        run = run_of(runs, kind)
        raw = run.preparation.raw(inputs())
        run.model.save(tmp_path / f"{kind}.keras")
        np.save(tmp_path / f"{kind}.npy", raw)
        expected[kind] = apply_model(run.model, raw)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(tmp_path), *kinds],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == backend
    for kind in kinds:
        np.testing.assert_allclose(np.load(tmp_path / f"{kind}.out.npy"), expected[kind], rtol=1e-5, atol=1e-6)


TRAINER = """
import hashlib, sys
import numpy as np
from tests.train.test_tables import problem, small
from fallline.train import train_problem
run = train_problem(problem("binary"), small("training.epochs=4"), diagnosed=False)
digest = hashlib.sha256()
for v in run.model.weights:
    digest.update(np.asarray(v.value).tobytes())
digest.update(run.trace.value.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_two_fresh_processes_give_the_same_weights(checkout: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(checkout / "src"), str(checkout)]),
        "FALLLINE_CACHE": "",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINER],
            env={**environment, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    digests = [process.communicate(timeout=300)[0].split()[-1] for process in started]
    assert digests[0] == digests[1]
