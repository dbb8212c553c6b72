"""The search for better recipes: candidates measured on the same folds with the same seeds."""

from fallline.search.measure import METRICS, Folds, Measured, is_higher_better, measure, metric_of
from fallline.search.partition import checked_seeds, is_count, partition, restricted, with_split

__all__ = [
    "METRICS",
    "Folds",
    "Measured",
    "checked_seeds",
    "is_count",
    "is_higher_better",
    "measure",
    "metric_of",
    "partition",
    "restricted",
    "with_split",
]
