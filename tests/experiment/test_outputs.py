"""Outputs of different models brought to one form."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.experiment.outputs import constant_outputs, labels_of, score_outputs


def figures(kind, y, outputs):
    return {one.metric: one.value for one in score_outputs(kind, np.asarray(y), np.asarray(outputs, float))}


@pytest.mark.parametrize(
    ("kind", "y", "outputs"),
    [
        ("binary", [0, 1, 1], [[0.2], [0.7], [0.9]]),
        ("binary", [[0], [1], [1]], [[0.8, 0.2], [0.3, 0.7], [0.1, 0.9]]),
        ("binary", [-1, 1, 1], [[-0.6], [0.4], [0.8]]),
        ("multiclass", [[1, 0], [0, 1], [0, 1]], [[0.8, 0.2], [0.3, 0.7], [0.1, 0.9]]),
    ],
)
def test_the_same_answer_in_other_forms_scores_the_same(kind, y, outputs):
    expected = -np.mean(np.log([0.8, 0.7, 0.9]))
    found = figures(kind, y, outputs)
    assert found["log_loss"] == pytest.approx(expected)
    assert found["accuracy"] == 1


def test_outputs_that_are_no_probabilities_are_judged_by_the_class_they_favour():
    y = [0, 1, 2]
    assert figures("multiclass", y, [[3, -1, 0], [-5, 2, 1], [0, 0, 9]])["accuracy"] == 1
    assert figures("multiclass", y, [[0.2], [1.4], [1.9]])["accuracy"] == 1
    assert figures("multiclass", y, [[-7, -1], [-5, 2], [1, 2]])["accuracy"] == pytest.approx(2 / 3)


def test_quantities_and_labels():
    assert figures("regression", [1.0, 2.0], [[1.0], [4.0]])["rmse"] == pytest.approx(np.sqrt(2))
    assert figures("multioutput", [[1.0, 2.0], [0.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]])["rmse"] == 0
    assert figures("multilabel", [[1, 0], [1, 1]], [[0.9, 0.1], [0.8, 0.7]])["accuracy"] == 1
    assert np.isnan(figures("regression", [1.0, 2.0], [[1.0, 1.0], [4.0, 2.0]])["rmse"])


@pytest.mark.parametrize(
    ("kind", "y"), [("binary", [0, 1, 1, 1]), ("multiclass", [0, 1, 2, 2]), ("regression", [0.5, 1.0, 2.0, 4.0])]
)
def test_the_constant_is_finite_and_no_better_than_the_truth_allows(kind, y):
    y = np.asarray(y)
    found = figures(kind, y, constant_outputs(kind, y, y))
    assert all(np.isfinite(value) for name, value in found.items() if name != "auc")
    if kind == "regression":
        assert found["rmse"] == pytest.approx(y.std())


def test_classes_are_read_from_numbers_and_from_one_hot_rows():
    assert labels_of("multiclass", np.eye(3)[[2, 0, 1]]).tolist() == [2, 0, 1]
    assert labels_of("binary", np.array([[1.0], [0.0]])).tolist() == [1, 0]
    assert labels_of("regression", np.ones(2)) is None
