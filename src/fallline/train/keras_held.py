"""Trained members of a Keras model on rows that they have never seen: outputs, and the model's own quantities."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from fallline.engine import Task, evaluate, jit
from fallline.train.fitted import Fitted
from fallline.train.keras_runs import loss_name
from fallline.train.keras_settings import Settings, eval_batch
from fallline.train.orders import Member, bucket, in_batches
from fallline.types import HeldOut, Score

__all__ = ["Judge", "as_meant", "gives_logits", "kept_weights", "rising_metrics"]

Tree = Any


def kept_weights(fitted: Fitted, settings: Settings) -> tuple[Tree, Tree]:
    """Return the weights (trainable, non-trainable) that a member alone keeps: those of the best epoch, or the last."""
    state = fitted.state
    best = settings.stopping.keep_best and int(np.asarray(state.best_epoch)[0]) > 0
    kept = (state.best_params, state.best_aux) if best else (fitted.used, state.aux)
    found: tuple[Tree, Tree] = jax.tree.map(lambda a: np.asarray(a)[0], kept)
    return found


def gives_logits(model: keras.Model) -> bool:
    """Return whether the loss that a model was compiled with takes its outputs for logits."""
    loss = model.loss
    given = getattr(loss, "_fn_kwargs", None) or {}
    return bool(getattr(loss, "from_logits", False) or given.get("from_logits", False))


def as_meant(model: keras.Model, outputs: np.ndarray) -> np.ndarray:
    """Return outputs as what they mean: logits, by what the loss says, become probabilities."""
    if not gives_logits(model):
        return outputs
    z = outputs.astype(np.float64)
    if "binary" in loss_name(model).lower():
        squashed: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * z))
        return squashed
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    shares: np.ndarray = z / z.sum(axis=-1, keepdims=True)
    return shares


def rising_metrics(model: keras.Model) -> set[str]:
    """Return the names of the model's metrics of which more is better."""
    metrics = model._compile_metrics.metrics if model._compile_metrics is not None else ()
    return {metric.name for metric in metrics if getattr(metric, "_direction", None) == "up"}


class Judge:
    """Looks at members of one program on rows that were kept from them.

    Args:
        model: that they are copies of.
        task: what they compute.
        data: (x, y, weight).
        scored: also the model's own loss and metrics, which is a program more.
    """

    def __init__(self, model: keras.Model, task: Task, data: Tree, *, scored: bool) -> None:
        self._model, self._task, self._data, self._scored = model, task, data, scored
        mode = {"training": False} if model._call_has_training_arg else {}
        self._outputs = jit(lambda params, aux, x: model.stateless_call(params, aux, x, **mode)[0])
        self._evaluate = jit(partial(evaluate, task))

    def judged(self, member: Member, params: Tree, aux: Tree, rows: np.ndarray) -> tuple[tuple[Score, ...], HeldOut]:
        """Return scores and predictions of one member.

        Args:
            member: whose numbers the loss may read.
            params: its trainable weights.
            aux: its non-trainable weights.
            rows: that it is judged on.
        """
        x, y, _ = self._data
        size = min(eval_batch(self._model, 1, len(rows)), bucket(len(rows)))
        parts = []
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            padded = np.concatenate([some, np.repeat(some[:1], size - len(some))])
            out = self._outputs(params, aux, keras.tree.map_structure(lambda a, p=padded: a[p], x))
            parts.append(jax.tree.map(np.asarray, out))
        outputs = jax.tree.map(lambda *each: np.concatenate(each)[: len(rows)], *parts)
        if isinstance(outputs, np.ndarray):
            outputs = as_meant(self._model, outputs)
        held = HeldOut(keras.tree.map_structure(lambda a: a[rows], y), outputs)
        return (self._scores(member, params, aux, rows) if self._scored else ()), held

    def _scores(self, member: Member, params: Tree, aux: Tree, rows: np.ndarray) -> tuple[Score, ...]:
        numbers = {name: np.float32(value) for name, value in member.numbers.items()}
        size = eval_batch(self._model, 32, len(rows))
        batches = jax.tree.map(lambda a: a[0], in_batches([rows], size, self._task.exact))
        values = np.asarray(self._evaluate(numbers, self._data, params, aux, batches))
        rising = rising_metrics(self._model)
        return tuple(
            Score(name, float(value), rows="test", n=len(rows), higher_is_better=name in rising)
            for name, value in zip(self._task.quantities, values, strict=True)
        )
