"""The rows that Keras models are compared on, by which figure, and what each training has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fallline.data import folds as make_folds
from fallline.errors import InputError
from fallline.experiment.outputs import constant_outputs, labels_of, score_outputs
from fallline.rules import static_statistics
from fallline.train.arrays import rows_of
from fallline.train.keras_held import gives_logits, rising_metrics
from fallline.train.keras_runs import loss_name
from fallline.train.keras_settings import output_unit
from fallline.train.keras_task import metric_names
from fallline.types import Run

__all__ = ["VALIDATION", "Data", "Figure", "figure_of", "kind_of", "own_names", "strata"]

Tree = Any
VALIDATION = 0.2  # of a fold's training rows, as a recipe's own split


def kind_of(model: Any, x: Tree, y: Tree) -> str | None:
    """Return the kind of problem that a model is to solve; None: neither classes nor quantities, one or several a row.

    Args:
        model: a built and compiled Keras model.
        x: (n, ...) inputs, or several.
        y: (n, ...) targets, or several.
    """
    outputs = getattr(model, "outputs", None)
    if not isinstance(y, np.ndarray) or (outputs is not None and len(outputs) != 1):
        return None
    kind = static_statistics(model, x if isinstance(x, np.ndarray) else None, y).get("problem_kind")
    by_cell = y.ndim > 2 or (outputs is not None and len(outputs[0].shape) > 2)  # a target for every step or pixel
    return None if kind is None or (by_cell and kind not in ("regression", "multioutput")) else str(kind)


def strata(kind: str | None, y: Tree) -> np.ndarray:
    """Return (n,) words for classes, by which folds are stratified, or numbers that are not.

    Args:
        kind: of problem, None: none that is known.
        y: targets.

    >>> strata("multiclass", np.eye(3)[[2, 0]]).tolist(), strata(None, np.zeros((2, 5))).tolist()
    (['2', '0'], [0.0, 1.0])
    """
    labels = labels_of(kind or "", y)
    return np.arange(rows_of(y, "y"), dtype=float) if labels is None else labels.astype(str)


@dataclass(frozen=True, eq=False)
class Data:
    """What the arms are trained and judged on.

    Args:
        x: (n, ...) inputs, or several.
        y: (n, ...) targets, or several.
        kind: of problem; None: neither classes nor quantities, one or several a row.
        pairs: (training rows, held-out rows) of each fold.
    """

    x: Tree
    y: Tree
    kind: str | None
    pairs: list[tuple[np.ndarray, np.ndarray]]

    def parts(
        self, pair: tuple[np.ndarray, np.ndarray], validated: bool, *, group: Any = None, time: Any = None
    ) -> tuple[np.ndarray, ...]:
        """Return (training rows, validation rows, held-out rows) of a fold.

        Args:
            pair: (training rows, held-out rows).
            validated: a part of the training rows validates; else none do.
            group: labels (n,): rows of equal value stay in one part.
            time: numbers or dates (n,): validation rows follow the training rows.
        """
        rows, held = pair
        if not validated:
            return rows, np.zeros(0, np.int64), held
        about = strata(self.kind, self.y)
        ((inner, validation),) = make_folds(about, folds=1, share=VALIDATION, rows=rows, group=group, time=time)
        return inner, validation, held


@dataclass(frozen=True)
class Figure:
    """What the arms are compared by.

    Args:
        name: of the metric.
        higher_is_better: its direction.
        own: the models compute it themselves; else it is made of their outputs.
    """

    name: str
    higher_is_better: bool
    own: bool

    def value(self, run: Run, data: Data, fold: int, scale: tuple[float, float]) -> float:
        """Return the figure of one training on the fold's held-out rows; of a lost one that of the best constant.

        Args:
            run: the training.
            data: that it was made on.
            fold: of which the rows are held out.
            scale: (centre, scale) of the targets that it was trained on.
        """
        lost = run.outcome == "diverged" and not run.facts.get("restored")
        if self.own:
            return float("nan") if lost else float({one.metric: one.value for one in run.scores}[self.name])
        if not lost and run.held_out is not None:
            value = self._of(data, data.pairs[fold][1], np.asarray(run.held_out.prediction) * scale[1] + scale[0])
            if np.isfinite(value):
                return value
        return self.lost(data, fold)

    def lost(self, data: Data, fold: int) -> float:
        """Return the figure of a training of which nothing came: that of the best constant, or NaN for a loss."""
        if self.own:
            return float("nan")
        rows, held = data.pairs[fold]
        return self._of(data, held, constant_outputs(str(data.kind), data.y[held], data.y[rows]))

    def _of(self, data: Data, held: np.ndarray, outputs: np.ndarray) -> float:
        scores = score_outputs(str(data.kind), data.y[held], outputs)
        return float({one.metric: one.value for one in scores}.get(self.name, np.nan))

    def filled(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return arm -> (seeds, folds); a loss of the models' own has no constant: lost ones score as the worst there.

        Raises:
            InputError: nobody has a figure on one of the folds.
        """
        every = np.stack(list(table.values()))  # (arms, seeds, folds)
        worst = np.nanmin if self.higher_is_better else np.nanmax
        if np.isnan(every).all(axis=(0, 1)).any():
            raise InputError(f"All trainings of a fold are lost: there is no {self.name} to compare.")
        fill = worst(every, axis=(0, 1))
        return {name: np.where(np.isnan(scores), fill, scores) for name, scores in table.items()}


def own_names(model: Any, data: Data) -> list[str]:
    """Return the names of what a model computes itself: its loss, and its metrics.

    Args:
        model: built and compiled.
        data: that it is trained on.

    Raises:
        InputError: it does not take these inputs or targets.
    """
    few = keras.tree.map_structure(lambda a: a[:2], (data.x, data.y))
    return ["loss", *metric_names(model, few)]


def figure_of(data: Data, models: Mapping[str, Any], wanted: str | None) -> Figure:
    """Return what the arms are compared by.

    Args:
        data: what they are trained on.
        models: arm -> model, built and compiled.
        wanted: as in `fallline.experiment`.

    Raises:
        InputError: there is no such metric; the arms have different losses, by which they cannot be compared.
    """
    control = next(iter(models.values()))
    outputs = getattr(control, "outputs", None)
    if data.kind is None or (outputs is not None and len(outputs) != 1):
        names = own_names(control, data)
        name = wanted or "loss"
        if name not in names:
            raise InputError(f"There is no metric {name!r} for these targets; there is {', '.join(names)}.")
        losses = {arm: loss_name(model) for arm, model in models.items()}
        if name == "loss" and len(set(losses.values())) > 1:
            said = ", ".join(f"{arm} {loss}" for arm, loss in losses.items())
            raise InputError(f"The arms have different losses ({said}): name a metric that all of them have.")
        return Figure(name, name in rising_metrics(control), own=True)
    y = data.y[data.pairs[0][0]]
    constant = score_outputs(data.kind, y, constant_outputs(data.kind, y, y))
    scores = {one.metric: one.higher_is_better for one in constant}
    name = wanted or next(iter(scores))
    if wanted is None and name == "log_loss" and not all(_gives_probabilities(m, data.x) for m in models.values()):
        name = "accuracy"
    if name not in scores:
        raise InputError(f"There is no metric {name!r} for this problem; its scores are {', '.join(scores)}.")
    return Figure(name, scores[name], own=False)


def _gives_probabilities(model: Any, x: Tree) -> bool:
    return gives_logits(model) or output_unit(model, x)[0] in ("softmax", "sigmoid")
