"""Who is fitted here: fallline, and two of the peers, to check that the folds are those of their figures."""

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
    """HistGradientBoosting with its defaults, text columns as categories."""

    def __init__(self, task: str) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
        self.model = kind(random_state=0, categorical_features="from_dtype")
        self.levels: Mapping[str, Any] = {}

    def _frame(self, x: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        return x.assign(**{name: pd.Categorical(x[name], levels) for name, levels in self.levels.items()})

    def fit(self, x: pd.DataFrame, y: Any) -> _Trees:
        """Learn the levels of text columns, then the trees."""
        text = x.select_dtypes(exclude="number").columns
        self.levels = {name: sorted(x[name].dropna().unique()) for name in text}
        self.model.fit(self._frame(x), y)
        return self

    @property
    def classes_(self) -> Any:
        """The labels in the order of the probabilities' columns."""
        return self.model.classes_

    def predict(self, x: pd.DataFrame) -> Any:
        """Predict quantities or labels."""
        return self.model.predict(self._frame(x))

    def predict_proba(self, x: pd.DataFrame) -> Any:
        """Predict probabilities."""
        return self.model.predict_proba(self._frame(x))


CONTENDERS: Mapping[str, Callable[[str], Any]] = {"fallline": _fallline, "dummy": _dummy, "hgb": _Trees}
