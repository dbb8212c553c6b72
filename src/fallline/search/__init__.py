"""The search for better recipes: candidates measured on the same folds with the same seeds."""

from fallline.search.api import STRATEGIES, candidates, check_strategy, search
from fallline.search.journal import JsonLines, read_json_lines
from fallline.search.measure import METRICS, Folds, Measured, is_higher_better, measure, metric_of
from fallline.search.partition import checked_seeds, partition, with_split
from fallline.search.space import DEFAULT_SPACE, choice, integer, log, make_space, uniform

__all__ = [
    "DEFAULT_SPACE",
    "METRICS",
    "STRATEGIES",
    "Folds",
    "JsonLines",
    "Measured",
    "candidates",
    "check_strategy",
    "checked_seeds",
    "choice",
    "integer",
    "is_higher_better",
    "log",
    "make_space",
    "measure",
    "metric_of",
    "partition",
    "read_json_lines",
    "search",
    "uniform",
    "with_split",
]
