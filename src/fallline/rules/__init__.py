"""Rules: one file a symptom, found by scanning this package.

A rule's module docstring (fixed headings) is its page in the documentation, its ``SYMPTOM`` states its names, and the
parameters of its ``examine`` are the statistics it needs. To add one, add one file.
"""

from __future__ import annotations

from fallline.rules._before_training import static_statistics
from fallline.rules._from_data import sentinels_of
from fallline.rules._from_recipe import prepared_statistics
from fallline.rules._from_run import plain_checked
from fallline.rules._rule import HEADINGS, Rule, RuleInfo, Symptom, catalogue, discover
from fallline.rules._statistics import STATISTICS

__all__ = [
    "HEADINGS",
    "STATISTICS",
    "Rule",
    "RuleInfo",
    "Symptom",
    "catalogue",
    "discover",
    "plain_checked",
    "prepared_statistics",
    "sentinels_of",
    "static_statistics",
]
