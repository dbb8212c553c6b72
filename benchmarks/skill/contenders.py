"""Who is fitted here: fallline, and peers, with their defaults: to check the folds, and on tables without figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONTENDERS"]


def _fallline(task: str) -> Any:
    import fallline as fl

    return fl.Regressor() if task == "regression" else fl.Classifier()


def _dummy(task: str) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")


class _Trees:
    """Boosted trees that take text columns as categories.

    Args:
        model: takes a table whose text columns are categories.
        coded: the model wants labels as 0, 1, ...
    """

    def __init__(self, model: Any, *, coded: bool = False) -> None:
        self.model, self.coded = model, coded
        self.levels: Mapping[str, Any] = {}
        self.classes: Any = None

    def _frame(self, x: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        return x.assign(**{name: pd.Categorical(x[name], levels) for name, levels in self.levels.items()})

    def fit(self, x: pd.DataFrame, y: Any) -> _Trees:
        """Learn the levels of text columns, then the trees."""
        text = x.select_dtypes(exclude="number").columns
        self.levels = {name: sorted(x[name].dropna().unique()) for name in text}
        if self.coded:
            import numpy as np

            self.classes, y = np.unique(y, return_inverse=True)
        self.model.fit(self._frame(x), y)
        return self

    @property
    def classes_(self) -> Any:
        """The labels in the order of the probabilities' columns."""
        return self.model.classes_ if self.classes is None else self.classes

    def predict(self, x: pd.DataFrame) -> Any:
        """Predict quantities or labels."""
        return self.model.predict(self._frame(x))

    def predict_proba(self, x: pd.DataFrame) -> Any:
        """Predict probabilities."""
        return self.model.predict_proba(self._frame(x))


def _hist_gradient_boosting(task: str) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return _Trees(kind(random_state=0, categorical_features="from_dtype"))


def _xgboost(task: str) -> Any:
    import xgboost

    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    return _Trees(kind(random_state=0, enable_categorical=True), coded=task != "regression")


class _CatBoost:
    """CatBoost with its defaults, text columns as its categories."""

    def __init__(self, task: str) -> None:
        import catboost

        self.kind = catboost.CatBoostRegressor if task == "regression" else catboost.CatBoostClassifier

    @staticmethod
    def _frame(x: pd.DataFrame, text: list[str]) -> pd.DataFrame:
        return x.assign(**{name: x[name].astype(object).where(x[name].notna(), "missing").astype(str) for name in text})

    def fit(self, x: pd.DataFrame, y: Any) -> _CatBoost:
        """Boost; nothing is written to disk."""
        self.text = list(x.select_dtypes(exclude="number").columns)
        self.model = self.kind(verbose=0, random_seed=0, cat_features=self.text, allow_writing_files=False)
        self.model.fit(self._frame(x, self.text), y)
        return self

    @property
    def classes_(self) -> Any:
        """The labels in the order of the probabilities' columns."""
        return self.model.classes_

    def predict(self, x: pd.DataFrame) -> Any:
        """Predict quantities."""
        return self.model.predict(self._frame(x, self.text))

    def predict_proba(self, x: pd.DataFrame) -> Any:
        """Predict probabilities."""
        return self.model.predict_proba(self._frame(x, self.text))


def _behind_one_hot(model: Any, *, scales_targets: bool) -> Any:
    """Gaps filled, text as one-hot columns, numbers standardised; targets, too, where that is asked for."""
    from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, text = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
    )
    inner = make_pipeline(columns, model)
    return TransformedTargetRegressor(inner, transformer=StandardScaler()) if scales_targets else inner


def _random_forest(task: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    return _behind_one_hot(kind(random_state=0, n_jobs=-1), scales_targets=False)


def _linear(task: str) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    quantities = task == "regression"
    return _behind_one_hot(Ridge() if quantities else LogisticRegression(max_iter=1_000), scales_targets=quantities)


def _perceptron(task: str) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    quantities = task == "regression"
    return _behind_one_hot((MLPRegressor if quantities else MLPClassifier)(random_state=0), scales_targets=quantities)


CONTENDERS: Mapping[str, Callable[[str], Any]] = {
    "fallline": _fallline,
    "dummy": _dummy,
    "hgb": _hist_gradient_boosting,
    "xgb": _xgboost,
    "catboost": _CatBoost,
    "rf": _random_forest,
    "linear": _linear,
    "mlp_sklearn_noes": _perceptron,
}
