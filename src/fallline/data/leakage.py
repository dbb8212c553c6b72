"""Columns that give the target away: alone they predict it almost perfectly, on rows they were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fallline.types import Problem

__all__ = ["leakage_suspects"]

# A single honest column rarely explains so much: share of classes guessed right (mean over classes), or R².
SUSPICIOUS_ACCURACY, SUSPICIOUS_R2 = 0.99, 0.99
# Fewer rows prove nothing; more than these change nothing.
LEAST_ROWS, MOST_ROWS = 40, 4000
# Only columns that go with the target at all are tried.
LEAST_ASSOCIATION = 0.5
MOST_TRIED = 50
TREE_LEAVES = 64
SEED = 0


def leakage_suspects(
    values: Mapping[str, tuple[np.ndarray, bool]],
    association: Mapping[str, float],
    problem: Problem,
    sample: np.ndarray,
) -> tuple[tuple[str, str], ...]:
    """Return (column, sentence) for each column that alone predicts the target almost perfectly.

    A tree of one column is fitted on half of the rows and scored on the other half. With a single input column there is
    nothing to suspect: it is all the network has.

    Args:
        values: column -> (float64 (m,) on the sampled rows, whether they are codes).
        association: column -> strength of its relation to the target.
        problem: the problem.
        sample: positions (m,) of the sampled rows.
    """
    if len(values) < 2 or len(sample) < LEAST_ROWS:
        return ()
    order = np.random.default_rng(SEED).permutation(len(sample))[:MOST_ROWS]
    fit, check = order[::2], order[1::2]
    tried = sorted(
        (name for name in values if association[name] >= LEAST_ASSOCIATION), key=lambda name: -association[name]
    )[:MOST_TRIED]
    found = []
    for name in tried:
        vector, is_code = values[name]
        for index, target in enumerate(problem.y[sample].reshape(len(sample), -1).T):
            score = _score(vector, is_code, target, fit, check, problem.is_classification)
            if score >= (SUSPICIOUS_ACCURACY if problem.is_classification else SUSPICIOUS_R2):
                measure = (
                    "classes guessed right, mean over classes"
                    if problem.is_classification
                    else "of the variance explained"
                )
                target_name = problem.target_names[index]
                sentence = (
                    f"{name!r} alone predicts {target_name!r} almost perfectly ({score:.1%} {measure}): "
                    "is it known before the target is, or made from it?"
                )
                found.append((name, sentence))
                break
    return tuple(found)


def _score(
    vector: np.ndarray, is_code: bool, target: np.ndarray, fit: np.ndarray, check: np.ndarray, classification: bool
) -> float:
    """Return balanced accuracy or R² on the rows ``check`` of a model of one column fitted on the rows ``fit``."""
    if len(np.unique(target[fit])) < 2 or len(np.unique(target[check])) < 2:
        return 0.0
    if is_code:
        guess = _by_level(vector, target, fit, check, classification)
    else:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        # Class weights: a rare class must not vanish in a leaf.
        tree = (
            DecisionTreeClassifier(
                max_leaf_nodes=TREE_LEAVES, min_samples_leaf=2, class_weight="balanced", random_state=SEED
            )
            if classification
            else DecisionTreeRegressor(max_leaf_nodes=len(fit), min_samples_leaf=1, random_state=SEED)
        )
        inputs = vector.astype(np.float64)[:, None]
        guess = tree.fit(inputs[fit], target[fit]).predict(inputs[check])
    truth = target[check]
    if classification:
        return float(np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)]))
    return 1.0 - float(((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def _by_level(
    vector: np.ndarray, target: np.ndarray, fit: np.ndarray, check: np.ndarray, classification: bool
) -> np.ndarray:
    codes = np.where(np.isnan(vector), -1, np.nan_to_num(vector)).astype(np.int64)
    levels = np.unique(codes[fit])
    default = _typical(target[fit], classification)
    table = {level: _typical(target[fit][codes[fit] == level], classification) for level in levels.tolist()}
    return np.array([table.get(code, default) for code in codes[check].tolist()])


def _typical(target: np.ndarray, classification: bool) -> float:
    if not classification:
        return float(target.mean())
    labels, counts = np.unique(target, return_counts=True)
    return float(labels[counts.argmax()])
