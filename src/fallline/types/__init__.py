"""The nouns of fallline: plain, frozen values that every room shares.

Nothing here computes, reads or writes. JAX and Keras are not imported. Methods that a person expects on a noun but
that belong to a higher room (``Run.save``, ``Run.predict`` ...) are looked up by name when they are called, so that
importing this module stays free and the rooms below never depend on those above.
"""

from __future__ import annotations

from fallline.types.diagnosis import FAMILIES, SEVERITIES, Diagnosis, Family, Finding, Severity
from fallline.types.evaluation import Difference, Evaluation
from fallline.types.experiment import Comparison, Decision, Experiment
from fallline.types.final import FinalModel
from fallline.types.gradients import GradientCheck, TensorCheck
from fallline.types.improvement import End, EventKind, ImproveEvent, Improvement, LedgerEntry
from fallline.types.inside import LAYER_STATISTICS, NETWORK_STATISTICS, Inside
from fallline.types.landscape import Landscape
from fallline.types.objective import Evaluations, Objective
from fallline.types.problem import COLUMN_KINDS, PROBLEM_KINDS, Column, ColumnSummary, Problem, ProblemKind, Summary
from fallline.types.rates import RateSweep
from fallline.types.recipe import EnsembleRecipe, Recipe, StoppingRecipe, TrainingRecipe
from fallline.types.recipe_data import PrepareRecipe, SplitRecipe
from fallline.types.recipe_network import INITIALIZERS_OF, NetworkRecipe
from fallline.types.recipe_optimizer import (
    FULL_BATCH,
    GRADIENT_FREE,
    OPTIMIZER_NUMBERS,
    REDUCING,
    SCHEDULE_NUMBERS,
    OptimizerRecipe,
)
from fallline.types.recipe_pretraining import PretrainingRecipe
from fallline.types.run import Deferred, HeldOut, Outcome, Progress, Run, Score
from fallline.types.search import Choice, Dimension, Range, Search, Trial
from fallline.types.story import Step, Story
from fallline.types.trace import Trace
from fallline.types.treatment import Design

__all__ = [
    "COLUMN_KINDS",
    "FAMILIES",
    "FULL_BATCH",
    "GRADIENT_FREE",
    "INITIALIZERS_OF",
    "LAYER_STATISTICS",
    "NETWORK_STATISTICS",
    "OPTIMIZER_NUMBERS",
    "PROBLEM_KINDS",
    "REDUCING",
    "SCHEDULE_NUMBERS",
    "SEVERITIES",
    "Choice",
    "Column",
    "ColumnSummary",
    "Comparison",
    "Decision",
    "Deferred",
    "Design",
    "Diagnosis",
    "Difference",
    "Dimension",
    "End",
    "EnsembleRecipe",
    "Evaluation",
    "Evaluations",
    "EventKind",
    "Experiment",
    "Family",
    "FinalModel",
    "Finding",
    "GradientCheck",
    "HeldOut",
    "ImproveEvent",
    "Improvement",
    "Inside",
    "Landscape",
    "LedgerEntry",
    "NetworkRecipe",
    "Objective",
    "OptimizerRecipe",
    "Outcome",
    "PrepareRecipe",
    "PretrainingRecipe",
    "Problem",
    "ProblemKind",
    "Progress",
    "Range",
    "RateSweep",
    "Recipe",
    "Run",
    "Score",
    "Search",
    "Severity",
    "SplitRecipe",
    "Step",
    "StoppingRecipe",
    "Story",
    "Summary",
    "TensorCheck",
    "Trace",
    "TrainingRecipe",
    "Trial",
]
