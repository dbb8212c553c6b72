"""The saved model, loaded again: the same predictions on held-out rows, and which columns they rest on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data import as_pixels, split_rows
from fallline.errors import InputError
from fallline.score import score
from fallline.train.prediction import apply_model
from fallline.types import FinalModel, Problem, Run

__all__ = ["examine_final"]

_SHOWN = 6  # rows
# Permutation importance, after Breiman (2001), "Random Forests", section 10: repeats, rows, and multiplications in all.
# 5e9 is a second or so on one core; a report must not cost more than that.
_REPEATS, _MOST_ROWS, _FEWEST_ROWS, _MOST_COLUMNS, _WORK = 5, 512, 64, 30, 5e9


def examine_final(run: Run, problem: Problem, loaded: Any, file: str, content: bytes, *, seed: int = 0) -> FinalModel:
    """Predict held-out rows with a model that was loaded from its file; shuffle the columns one by one.

    Args:
        run: the run whose model was saved; it was made from the problem by its own split.
        problem: what the run was trained on.
        loaded: the Keras model, built anew from the file.
        file: the file's name.
        content: of the file.
        seed: of the choice of rows and of the shuffling.

    Raises:
        InputError: the problem is not the run's.
    """
    assert run.recipe is not None
    assert run.preparation is not None
    if run.recipe.network.kind == "lenet5":
        problem = as_pixels(problem)
    held = run.held_out
    kept = held is not None and held.rows == "test" and held.index is not None
    if kept:
        assert held is not None
        rows = np.asarray(held.index)
        if rows.max(initial=0) >= problem.n_rows or not np.array_equal(problem.y[rows], held.y):
            raise InputError("These are not the rows that the run was scored on: give the table it was trained on.")
    else:
        rows = split_rows(problem, run.recipe.split, run.recipe.seed)[0][:_MOST_ROWS]
    raw = run.preparation.raw(problem.frame.iloc[rows])
    again = _shaped(problem, apply_model(loaded, raw))
    if kept:
        assert held is not None
        before = np.asarray(held.prediction)
    else:
        before = _shaped(problem, apply_model(run.model, raw))
    gap = np.abs(np.asarray(again, np.float64) - np.asarray(before, np.float64))
    digest = hashlib.sha256(content).hexdigest()
    found = FinalModel(
        file, digest, len(content), "test" if kept else "training", len(rows), float(gap.max()) if gap.size else 0.0,
        np.asarray(rows[:_SHOWN], np.int64), problem.y[rows[:_SHOWN]], before[:_SHOWN], again[:_SHOWN],
    )  # fmt: skip
    reason = _no_importance(run, kept, again)
    if reason:
        return replace(found, reason=reason)
    return _with_importance(found, run, problem, loaded, raw, problem.y[rows], seed)


def _shaped(problem: Problem, out: np.ndarray) -> np.ndarray:
    """A network's output (n, k) as `HeldOut` has it."""
    return out[:, 0] if out.ndim == 2 and out.shape[1] == 1 and problem.y.ndim == 1 else out


def _no_importance(run: Run, kept: bool, prediction: np.ndarray) -> str:
    assert run.recipe is not None
    if not kept:
        return "no rows were kept apart, and on rows that a network was trained on importance says what it memorised"
    if run.recipe.network.kind in ("lenet5", "autoencoder"):
        return f"a {run.recipe.network.kind} sees its columns as one picture, not one by one"
    if not np.isfinite(prediction).all():
        return "some predictions are not numbers"
    return ""


class _Saved:
    """The loaded model in scikit-learn's words: it is given some columns, the others stand as they are."""

    def __init__(self, loaded: Any, problem: Problem, raw: np.ndarray, chosen: np.ndarray) -> None:
        self.loaded, self.problem, self.raw, self.chosen = loaded, problem, raw, chosen

    def fit(self) -> _Saved:
        """Nothing is left to learn."""
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Return the predictions with the chosen columns replaced by these (n, c)."""
        filled = self.raw.copy()
        filled[:, self.chosen] = columns
        return _shaped(self.problem, apply_model(self.loaded, filled))

    def skill(self, _: Any, columns: np.ndarray, y: np.ndarray) -> float:
        """Return the main score, turned so that higher is better."""
        main = score(self.problem.kind, y, self.predict(columns), n_bootstrap=0)[0]
        return main.value if main.higher_is_better else -main.value


def _with_importance(
    found: FinalModel, run: Run, problem: Problem, loaded: Any, raw: np.ndarray, y: np.ndarray, seed: int
) -> FinalModel:
    from sklearn.inspection import permutation_importance

    assert run.preparation is not None
    names = [column.name for column in run.preparation.columns]
    ranked = _ranked(run, names)
    n_rows, n_columns = _affordable(int(run.facts.get("parameters") or 0), len(raw), len(ranked))
    chosen = np.sort(ranked[:n_columns])
    rows = np.random.default_rng(seed).permutation(len(raw))[:n_rows]
    saved = _Saved(loaded, problem, raw[rows], chosen)
    measured = permutation_importance(
        saved, raw[rows][:, chosen], y[rows], scoring=saved.skill, n_repeats=_REPEATS, random_state=seed
    )
    importance = np.asarray(measured.importances, np.float64)
    order = np.argsort(-importance.mean(axis=1), kind="stable")
    main = next(s for s in run.scores if s.who == "model")
    return replace(
        found, metric=main.metric, columns=tuple(names[chosen[i]] for i in order), importance=importance[order],
        shuffled_rows=len(rows), left_out=len(names) - len(chosen),
    )  # fmt: skip


def _ranked(run: Run, names: list[str]) -> np.ndarray:
    """Columns by the strength of their own relation to the target, where the summary knows it."""
    known = {column.name: column.association for column in run.summary.columns} if run.summary else {}
    strength = np.nan_to_num([known.get(name, 0.0) for name in names], nan=0.0)
    return np.argsort(-strength, kind="stable")


def _affordable(parameters: int, rows: int, columns: int) -> tuple[int, int]:
    """Return how many rows and columns the work allows: fewer rows first, then fewer columns."""
    columns = min(columns, _MOST_COLUMNS)
    each = _WORK / (_REPEATS * max(parameters, 1))
    allowed = int(each / max(columns, 1))
    taken = max(_FEWEST_ROWS, min(_MOST_ROWS, allowed))
    return min(rows, taken), max(1, min(columns, int(each / min(rows, taken))))
