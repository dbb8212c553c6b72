"""Predictions of a run for new rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.errors import InputError
from fallline.train.chunks import in_chunks, rows_that_fit
from fallline.types import Run

__all__ = ["apply_model", "predict", "predict_proba"]


def apply_model(model: Any, x: np.ndarray) -> np.ndarray:
    """Apply a Keras model to (n, p) in chunks of few different shapes; return (n, k)."""
    if len(x) == 0:
        return np.zeros((0, int(model.output_shape[-1])), np.float32)
    call = _compiled(model)
    variables = ([v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables])
    widths = [int(np.prod([d or 1 for d in layer.output.shape[1:]])) for layer in model.layers]
    return in_chunks(lambda rows: call(*variables, rows), x, rows_that_fit(max(widths, default=1)))


def _compiled(model: Any) -> Any:
    from fallline.engine import jit

    found = getattr(model, "_fallline_call", None)
    if found is None:
        found = jit(lambda t, n, x: model.stateless_call(t, n, x, training=False)[0])
        object.__setattr__(model, "_fallline_call", found)
    return found


def _table_output(run: Run, x: Any) -> np.ndarray:
    assert run.preparation is not None
    return apply_model(run.model, run.preparation.raw(x))


def predict(run: Run, x: Any) -> np.ndarray:
    """Predict for new rows.

    Args:
        run: a run.
        x: rows as in training: a frame or array for runs made from tables; the model's inputs for Keras models.

    Returns:
        regression (n,) or (n, k) in the target's units; class labels (n,) as the user wrote them; multilabel (n, k) of
        0/1. For a Keras model of the user's own: what the model returns.
    """
    if run.preparation is None:
        return _keras_output(run, x)
    kind, out = run.facts["kind"], _table_output(run, x)
    if kind == "regression":
        return out[:, 0]
    if kind == "multioutput":
        return out
    if kind == "multilabel":
        return (out > 0.5).astype(np.int64)
    index = (out[:, 0] > 0.5).astype(np.int64) if kind == "binary" else out.argmax(axis=1)
    labels: np.ndarray = np.asarray(run.facts["classes"])[index]
    return labels


def predict_proba(run: Run, x: Any) -> np.ndarray:
    """Predict probabilities: (n, classes), rows summing to 1; multilabel (n, k).

    Raises:
        InputError: for problems without classes.
    """
    kind = run.facts.get("kind")
    if run.preparation is None or kind not in ("binary", "multiclass", "multilabel"):
        raise InputError(
            f"Probabilities exist for classes; this run's problem is {kind or 'a Keras model of your own'}. "
            "Use predict()."
        )
    out = _table_output(run, x).astype(np.float64)
    if kind == "binary":
        return np.column_stack([1.0 - out[:, 0], out[:, 0]])
    return out / out.sum(axis=1, keepdims=True) if kind == "multiclass" else out


def _keras_output(run: Run, x: Any) -> np.ndarray:
    out: np.ndarray = run.model.predict(x, verbose=0)
    return out
