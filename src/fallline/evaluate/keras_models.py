"""Keras models on the held-out rows of folds: trained anew for every fold and seed, and scored as recipes are.

`fallline.train_many` lets a Keras model validate on the rows that a fold holds out. A model that stops early would then
be judged by the very rows that it stopped by; here it validates on a part of the fold's training rows instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fallline.data import make_problem
from fallline.errors import InputError, is_count
from fallline.evaluate.task import Task, scheme_of
from fallline.experiment.keras_figure import Data, Figure, figure_of, kind_of, own_names, strata
from fallline.experiment.outputs import score_outputs
from fallline.search import METRICS, Folds, Measured, checked_seeds, is_higher_better, partition
from fallline.train.arrays import as_arrays, rows_of
from fallline.train.keras_held import rising_metrics
from fallline.train.keras_many import train_many_keras
from fallline.train.keras_runs import loss_name
from fallline.train.keras_settings import build, compiled
from fallline.types import Problem, Run

__all__ = ["model_task"]

Tree = Any
_ABSOLUTE = {"mae", "mean_absolute_error", "MeanAbsoluteError"}
_BOOTSTRAP = 1000


def model_task(
    models: Mapping[str, Any], x: Any, y: Any, training: Mapping[str, Any], *, folds: Any, repeats: int, seeds: Any,
    metric: str | None, stratify: bool, group: Any, time: Any, share: float, seed: int, sample_weight: Any,
    on_progress: Any,
) -> Task:  # fmt: skip
    """Check what is to be found out about Keras models.

    Args:
        models: name -> model.
        x: (n, ...) inputs, or a list or dict of them.
        y: (n, ...) targets.
        training: keywords of the training.
        folds: as for `fallline.evaluate`, like all that follow.
        repeats: partitions into folds.
        seeds: of the trainings.
        metric: by which is compared.
        stratify: keep the classes' shares equal.
        group: labels (n,).
        time: numbers or dates (n,).
        share: of a hold-out.
        seed: of the folds.
        sample_weight: (n,) of the rows.
        on_progress: as for `fallline.train`.

    Raises:
        InputError: what was given, what is allowed, what to do.
    """
    x, y = as_arrays(x, "x"), as_arrays(y, "y")
    rows = rows_of((x, y), "x and y")
    parted = {"group": _column("group", group, rows), "time": _column("time", time, rows)}
    weight = None if sample_weight is None else as_arrays(sample_weight, "sample_weight")
    for model in models.values():
        build(model, x)
        compiled(model, x, y, None)
    kind = kind_of(next(iter(models.values())), x, y)
    problem = _problem(kind, y, weight)
    counted = is_count(folds)
    split: dict[str, Any] = {"stratify": stratify, **parted}
    pairs = partition(problem, folds, repeats=repeats, seed=seed, share=share, metric=metric or "", **split)
    data = Data(x, y, kind, list(pairs))
    figure = figure_of(data, models, metric)
    names, rising = _metrics(figure, models, data, metric)
    chosen = checked_seeds(seeds) or [0]
    keywords = {"early_stopping": False, "on_progress": on_progress, **training}
    return Task(
        problem=problem,
        contenders=models,
        folds=pairs,
        scheme=scheme_of(problem, pairs, counted, repeats, split),
        seeds=chosen,
        metrics=names,
        rising=rising,
        share=share,
        split={**split, "seed": seed},
        measure=_Measuring(data, chosen, parted, keywords, weight, names, figure.own),
        features=None if figure.own else _Flat(x),
        on_progress=on_progress,
    )


def _metrics(
    figure: Figure, models: Mapping[str, Any], data: Data, asked: str | None
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return what is scored, the main metric first, and those of which more is better."""
    main = figure.name
    if figure.own:
        each = [own_names(model, data) for model in models.values()]
        names = (main, *(name for name in each[0] if name != main and all(name in others for others in each)))
        return names, frozenset(rising_metrics(next(iter(models.values()))))
    if asked is None and main == "rmse" and {loss_name(model) for model in models.values()} <= _ABSOLUTE:
        main = "mae"
    alike = next(names for names in METRICS.values() if main in names)
    return (main, *(name for name in alike if name != main)), frozenset(filter(is_higher_better, alike))


def _column(name: str, values: Any, rows: int) -> np.ndarray | None:
    if values is None:
        return None
    found = np.asarray(values)
    if isinstance(values, str) or found.shape != (rows,):
        told = repr(values) if isinstance(values, str) else f"the shape {found.shape}"
        raise InputError(f"{name} was given {told}: beside a Keras model it takes {rows} values, one for each row.")
    return found


def _problem(kind: str | None, y: Tree, weight: np.ndarray | None) -> Problem:
    """Return the targets as a problem: by it folds are made and baselines are scored. Its table is empty of meaning."""
    about: np.ndarray = strata(kind, y)
    asked = None  # the words of classes tell themselves
    if about.dtype.kind == "f":
        about = about[:, None] if kind is None else y.reshape(len(y), -1)
        alone = about.shape[1] == 1
        asked = "regression" if alone else "multilabel" if kind == "multilabel" else "multioutput"
        about = about[:, 0] if alone else about
    nothing = {"row": np.linspace(0.0, 1.0, len(about))}
    return make_problem(nothing, about, kind=asked, sample_weight=weight, allow_constant_target=True)


class _Flat:
    """The inputs of each row as one vector, scaled by the training rows: what the linear baseline is given."""

    def __init__(self, x: Tree) -> None:
        parts = [np.asarray(a, np.float32).reshape(len(a), -1) for a in keras.tree.flatten(x)]
        self._table = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        some = self._table[rows]
        mean, sd = some.mean(axis=0, dtype=np.float64), some.std(axis=0, dtype=np.float64)
        found: np.ndarray = (self._table - mean.astype(np.float32)) / np.where(sd > 0, sd, 1.0).astype(np.float32)
        return found


@dataclass(frozen=True, eq=False)
class _Measuring:
    """Trains models and scores them.

    Args:
        data: inputs and targets.
        seeds: of the trainings.
        parted: by which group or time folds are made; so are validation rows.
        training: keywords of the training.
        weight: (n,) of the rows.
        metrics: what is scored.
        own: the models compute it themselves; else it is made of their outputs.
    """

    data: Data
    seeds: list[int]
    parted: Mapping[str, Any]
    training: Mapping[str, Any]
    weight: np.ndarray | None
    metrics: tuple[str, ...]
    own: bool

    def __call__(self, models: Sequence[Any], folds: Folds, intervals: bool) -> list[Measured]:
        """Return each model's figures on these folds."""
        validated = bool(self.training["early_stopping"])
        parts = [self.data.parts(pair, validated, **self.parted) for pair in folds]
        return [self._measured(model, parts, intervals) for model in models]

    def _measured(self, model: Any, parts: list[tuple[np.ndarray, ...]], intervals: bool) -> Measured:
        runs = train_many_keras(
            model, self.data.x, self.data.y, seeds=self.seeds, folds=parts, scored=self.own,
            sample_weight=self.weight, **self.training,
        )  # fmt: skip
        if any(run.outcome == "interrupted" for run in runs):
            raise KeyboardInterrupt
        values = {name: np.full((len(parts), len(self.seeds)), np.nan) for name in self.metrics}
        ends: dict[str, list[tuple[float, float]]] = {}
        diverged = 0
        for place, run in enumerate(runs):  # seeds outermost
            seed, fold = divmod(place, len(parts))
            if run.outcome == "diverged" and not run.facts.get("restored"):
                diverged += 1
                continue
            for score in run.scores if self.own else self._scores(run, parts[fold][-1], intervals):
                if score.metric in values:
                    values[score.metric][fold, seed] = score.value
                    ends.setdefault(score.metric, []).append((score.low, score.high))
        means = {name: np.mean(found, axis=0) for name, found in ends.items()} if intervals else {}
        return Measured(values, diverged, {name: (float(low), float(high)) for name, (low, high) in means.items()})

    def _scores(self, run: Run, held: np.ndarray, intervals: bool) -> Any:
        assert run.held_out is not None
        return score_outputs(
            str(self.data.kind), self.data.y[held], np.asarray(run.held_out.prediction),
            sample_weight=None if self.weight is None else self.weight[held], n_bootstrap=_BOOTSTRAP * intervals,
        )  # fmt: skip
