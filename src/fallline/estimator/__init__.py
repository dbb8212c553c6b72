"""scikit-learn estimators: the default recipe behind ``fit`` and ``predict``."""

from fallline.estimator.classifier import Classifier
from fallline.estimator.regressor import Regressor

__all__ = ["Classifier", "Regressor"]
