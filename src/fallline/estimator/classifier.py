"""Class labels from tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin

from fallline.estimator.base import TableEstimator
from fallline.estimator.inputs import check_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Classifier"]


class Classifier(ClassifierMixin, TableEstimator):  # type: ignore[misc]
    """Classify the rows of a table by an ensemble of neural networks (two or more classes, or several 0/1 labels).

    Columns may be numbers, categories, booleans and dates, with missing values: they are scaled and encoded inside, by
    statistics of the rows given to ``fit``, and categories unknown at prediction are handled. A parameter that is None
    leaves the entry of the preset or recipe as it is.

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
        classes_: the labels (c,), sorted; for 0/1 labels in k columns: 0 .. k - 1.
        n_features_in_: number of columns.
        feature_names_in_: their names (p,), where X had text names.
        n_outputs_: number of target columns.
        n_iter_: epochs that ran.
        run_: the `Run`: recipe, trace, Keras model, preparation; ``run_.save(path)`` writes it.
        model_: the Keras model.
        history_: the learning curves as a frame.
        diagnosis_: findings about the training.

    >>> import fallline as fl
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> classifier = fl.Classifier(preset="simple", learning_rate=0.01, epochs=40).fit(X, y)
    >>> classifier.score(X, y) > 0.9
    True
    >>> classifier.predict_proba(X[:2]).shape
    (2, 3)
    """

    classes_: np.ndarray

    def _check_target(self, y: Any, x: pd.DataFrame) -> tuple[np.ndarray, str]:
        return check_labels(y, x)

    def _keep_target(self, y: np.ndarray, kind: str) -> None:
        self.classes_ = np.arange(y.shape[1]) if kind == "multilabel" else np.unique(y)

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Args:
            X: rows (n, p) with the columns of the training.

        Returns:
            Labels (n,), or 0/1 (n, k).
        """
        probability = self.predict_proba(X)
        if self.n_outputs_ > 1:
            return (probability > 0.5).astype(np.int64)
        labels: np.ndarray = self.classes_[probability.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities.

        Args:
            X: rows (n, p) with the columns of the training.

        Returns:
            (n, c), columns in the order of ``classes_``, rows that sum to 1; for k labels (n, k): each one's own.
        """
        from fallline.train import predict_proba

        frame = self._frame(X)
        return predict_proba(self.run_, frame)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
