"""What a Keras model gives for a row, brought to one form, so that models with different outputs can be compared."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from fallline.types import ProblemKind, Score

__all__ = ["constant_outputs", "labels_of", "score_outputs"]


def labels_of(kind: str, y: np.ndarray) -> np.ndarray | None:
    """Return the classes (n,) as whole numbers; None where the targets are no classes.

    Args:
        kind: of problem.
        y: (n,), (n, 1), or one-hot rows.

    >>> labels_of("multiclass", np.eye(3)[[2, 0]]).tolist()
    [2, 0]
    """
    if kind not in ("binary", "multiclass"):
        return None
    flat = y.reshape(len(y), -1)
    return flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0].astype(np.int64)


def score_outputs(
    kind: str, y: np.ndarray, outputs: np.ndarray, *, sample_weight: np.ndarray | None = None, n_bootstrap: int = 0
) -> tuple[Score, ...]:
    """Score what a model gives; what fits no problem of this kind scores NaN.

    A single output stands for a class by its nearness: 0.8 speaks for class 1 with 0.8, and 2.1 for class 2.

    Args:
        kind: ``regression``, ``multioutput``, ``binary``, ``multiclass`` or ``multilabel``.
        y: (n,) or (n, k) targets as the model was given them.
        outputs: (n, ...) what it gives.
        sample_weight: (n,) of the rows.
        n_bootstrap: as in `fallline.score.score`.

    >>> [one.metric for one in score_outputs("binary", np.array([0, 1]), np.array([[0.1], [0.9]]))]
    ['log_loss', 'accuracy', 'auc']
    """
    from fallline import score as scores

    def score(kind: str, targets: np.ndarray, shown: np.ndarray) -> tuple[Score, ...]:
        return scores.score(
            cast(ProblemKind, kind), targets, shown, n_bootstrap=n_bootstrap, sample_weight=sample_weight
        )

    out, targets = outputs.reshape(len(outputs), -1).astype(np.float64), y.reshape(len(y), -1)
    labels = labels_of(kind, y)
    if labels is not None:
        kind, labels, out = _as_probabilities(labels, out)
        return score(kind, labels, out)
    if out.shape != targets.shape:
        out = np.full(targets.shape, np.nan)
    if kind == "multilabel":
        return score("multilabel", targets.astype(np.int64), np.clip(out, 0.0, 1.0))
    if targets.shape[1] == 1:
        return score("regression", targets[:, 0], out[:, 0])
    return score("multioutput", targets, out)


def _as_probabilities(labels: np.ndarray, out: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
    """Return (kind, classes from 0, (n,) or (n, classes) probabilities)."""
    low, high = int(labels.min()), int(labels.max())
    if out.shape[1] == 1 and len(np.unique(labels)) <= 2 and high - low <= 2:
        # Two classes by one output, in whatever numbers they are written: 0 and 1, or -1 and 1.
        first = min(low, 0) if high <= 1 else low
        last = max(high, 1) if high <= 1 else high
        share = np.clip((out[:, 0] - first) / max(last - first, 1), 0.0, 1.0)
        return "binary", (labels == last).astype(np.int64), share
    labels = labels - min(low, 0)
    count = max(int(labels.max()) + 1, out.shape[1], 2)
    if out.shape[1] == 1:
        whole = np.where(np.isfinite(out[:, 0]), np.clip(np.round(out[:, 0] - min(low, 0)), 0, count - 1), 0)
        shares = np.eye(count)[whole.astype(np.int64)]
        shares[~np.isfinite(out[:, 0])] = np.nan
    else:
        shares = np.pad(np.clip(out, 0.0, None), ((0, 0), (0, count - out.shape[1])))
        total = shares.sum(axis=1, keepdims=True)
        shares = np.where(total == 0, 1.0 / count, shares / np.where(total == 0, 1.0, total))
    return ("binary", labels, shares[:, 1]) if count == 2 else ("multiclass", labels, shares)


def constant_outputs(kind: str, y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the best constant prediction for rows, by the targets of others.

    Args:
        kind: of problem.
        y: targets of the rows that it is for; only their number counts.
        known: targets of training rows.
    """
    labels = labels_of(kind, known)
    guess: Any
    if labels is not None and len(np.unique(labels)) > 2:
        classes = int(labels.max()) + 1
        guess = (np.bincount(labels[labels >= 0], minlength=classes) + 1.0) / (len(labels) + classes)
    elif labels is not None:
        guess = labels.mean(keepdims=True)
    else:
        guess = known.reshape(len(known), -1).mean(axis=0)
    return np.broadcast_to(guess, (len(y), len(guess)))
