"""Quantities from tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin

from fallline.estimator.base import TableEstimator
from fallline.estimator.inputs import check_quantities

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Regressor"]


class Regressor(RegressorMixin, TableEstimator):  # type: ignore[misc]
    """Predict one or several quantities for the rows of a table by an ensemble of neural networks.

    Columns may be numbers, categories, booleans and dates, with missing values: they are scaled and encoded inside, by
    statistics of the rows given to ``fit``, and categories unknown at prediction are handled. A parameter that is None
    leaves the entry of the preset or recipe as it is. Predictions stay within the range of the targets seen, unless
    ``overrides={"prepare.clip_target": False}``.

    Args:
        preset: ``"default"``: today's best practice for tables, an ensemble; ``"simple"``: one ReLU network with Adam.
        recipe: a `Recipe`; it takes the place of the preset. Its ``split.test`` is not used: ``fit`` learns from all
            rows, each member of the ensemble validated on another fold.
        overrides: entries of the recipe: ``{"network.dropout": 0.2}`` or ``["network.dropout=0.2"]``.
        hidden: units of each hidden layer, e.g. ``(256, 256)``; ``()``: a linear model.
        learning_rate: step size (its peak, under a schedule); "find": what a range test suggests.
        epochs: most passes over the rows.
        batch_size: rows per step.
        members: number of networks.
        folds: number of folds that validate; 1: one validation set for all members.
        random_state: a seed, a ``RandomState`` or a ``Generator``; None: the recipe's seed, so that two fits agree.
        verbose: 0: silent; 1: a line of progress.

    Attributes:
        n_features_in_: number of columns.
        feature_names_in_: their names (p,), where X had text names.
        n_outputs_: number of targets.
        n_iter_: epochs that ran.
        run_: the `Run`: recipe, trace, Keras model, preparation; ``run_.save(path)`` writes it.
        model_: the Keras model.
        history_: the learning curves as a frame.
        diagnosis_: findings about the training.

    >>> import fallline as fl
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> regressor = fl.Regressor(preset="simple", learning_rate=0.01, epochs=40).fit(X, y)
    >>> regressor.score(X, y) > 0.3
    True
    >>> regressor.predict(X[:2]).shape
    (2,)
    """

    def _check_target(self, y: Any, x: pd.DataFrame) -> tuple[np.ndarray, str]:
        return check_quantities(y, x)

    def predict(self, X: Any) -> np.ndarray:
        """Predict quantities.

        Args:
            X: rows (n, p) with the columns of the training.

        Returns:
            (n,) or (n, k) float64, in the targets' units.
        """
        from fallline.train import predict

        frame = self._frame(X)
        return predict(self.run_, frame).astype(np.float64)
