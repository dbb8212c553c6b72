"""scikit-learn's own checks of the estimator contract."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import fallline as fl

# One small network: nearly all the time goes into compiling one program per shape of table, and the checks have some
# forty shapes. The default ensemble goes through a part of the checks below.
QUICK: dict[str, Any] = {"preset": "simple", "hidden": (32,), "epochs": 60, "learning_rate": 0.02}

_NO_EQUIVALENCE = (
    "Minibatches: a row of weight 2 is seen once an epoch with twice the gradient, two equal rows are seen twice, in "
    "different batches and possibly on both sides of the validation split. scikit-learn says the same of its own "
    "stochastic estimators. Rows of weight 0 are left out exactly: see test_rows_of_weight_zero_are_left_out."
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": _NO_EQUIVALENCE,
    "check_sample_weight_equivalence_on_sparse_data": _NO_EQUIVALENCE,
}


def expected(estimator: Any) -> dict[str, str]:
    return EXPECTED_FAILURES


def cases() -> Any:
    """Return scikit-learn's parameters, with what the two estimators share among the long tests for the second."""
    found = parametrize_with_checks([fl.Classifier(**QUICK), fl.Regressor(**QUICK)], expected_failed_checks=expected)
    names, given = found.args[0], [case if hasattr(case, "values") else pytest.param(*case) for case in found.args[1]]
    both = {title(case.values[1]) for case in given if isinstance(case.values[0], fl.Classifier)}
    both -= {"check_estimators_dtypes", "check_sample_weights_list", "check_fit2d_1sample"}
    cut = [
        pytest.param(*case.values, marks=(*case.marks, pytest.mark.long))
        if isinstance(case.values[0], fl.Regressor) and title(case.values[1]) in both
        else case
        for case in given
    ]
    return pytest.mark.parametrize(names, cut, **found.kwargs)


def title(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.slow
@cases()
def test_contract(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        checks.check_fit2d_1feature,
        pytest.param(checks.check_classifiers_train, marks=pytest.mark.long),
        pytest.param(checks.check_methods_subset_invariance, marks=pytest.mark.long),
        pytest.param(partial(checks.check_estimators_pickle, readonly_memmap=True), marks=pytest.mark.long),
    ],
    ids=lambda check: getattr(check, "__name__", "check_estimators_pickle"),
)
def test_the_default_classifier(check: Any) -> None:
    check("Classifier", fl.Classifier())


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", [checks.check_regressors_train, pytest.param(checks.check_fit_idempotent, marks=pytest.mark.long)]
)
def test_the_default_regressor(check: Any) -> None:
    check("Regressor", fl.Regressor())


@pytest.mark.parametrize(
    ("estimator", "names"),
    [
        (fl.Classifier(), {"check_classifier_multioutput", "check_classifiers_multilabel_output_format_predict_proba"}),
        (fl.Regressor(), {"check_regressor_multioutput", "check_regressors_train"}),
    ],
)
def test_no_check_is_lost(estimator: Any, names: set[str]) -> None:
    """Tags decide which checks run: one set wrongly would let some of them vanish."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        generated = [check.func for _, check in estimator_checks_generator(estimator)]
    found = {title(check) for check in generated}
    assert len(generated) >= 55  # scikit-learn 1.9: 67 and 60
    assert found >= names | {"check_estimator_sparse_array", "check_sample_weights_list", "check_fit_idempotent"}
