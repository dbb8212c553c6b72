"""fallline trains neural networks, watches them train, says what is wrong, and explains what it found.

The public names are looked up when they are first used, so that ``import fallline`` costs almost nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallline import errors as errors
    from fallline import watch as watch
    from fallline.data import folds as folds
    from fallline.data import make_problem as make_problem
    from fallline.data import read_table as read_table
    from fallline.diagnose import check as check
    from fallline.diagnose import diagnose as diagnose
    from fallline.estimator import Classifier as Classifier
    from fallline.estimator import Regressor as Regressor
    from fallline.evaluate import evaluate as evaluate
    from fallline.experiment import experiment as experiment
    from fallline.improve import improve as improve
    from fallline.network import builders as networks
    from fallline.network import lsuv as lsuv
    from fallline.network import pretrain as pretrain
    from fallline.recipe import default as default_recipe
    from fallline.search import search as search
    from fallline.store import load_run as load
    from fallline.train import check_gradients as check_gradients
    from fallline.train import diagnose_training as diagnose_training
    from fallline.train import find_learning_rate as find_learning_rate
    from fallline.train import loss_landscape as loss_landscape
    from fallline.train import train as train
    from fallline.train import train_many as train_many
    from fallline.treatments import treat as treat
    from fallline.types import Design as Design
    from fallline.types import Diagnosis as Diagnosis
    from fallline.types import Evaluation as Evaluation
    from fallline.types import Finding as Finding
    from fallline.types import Improvement as Improvement
    from fallline.types import Problem as Problem
    from fallline.types import Recipe as Recipe
    from fallline.types import Run as Run
    from fallline.types import Search as Search

__all__ = [
    "Classifier",
    "Design",
    "Diagnosis",
    "Evaluation",
    "Finding",
    "Improvement",
    "Problem",
    "Recipe",
    "Regressor",
    "Run",
    "Search",
    "__version__",
    "check",
    "check_gradients",
    "default_recipe",
    "diagnose",
    "diagnose_training",
    "errors",
    "evaluate",
    "experiment",
    "find_learning_rate",
    "folds",
    "improve",
    "load",
    "loss_landscape",
    "lsuv",
    "make_problem",
    "networks",
    "pretrain",
    "read_table",
    "search",
    "train",
    "train_many",
    "treat",
    "watch",
]

__version__ = "0.1.0"

_HOMES = {
    "Classifier": "fallline.estimator:Classifier",
    "Design": "fallline.types:Design",
    "Diagnosis": "fallline.types:Diagnosis",
    "Evaluation": "fallline.types:Evaluation",
    "Finding": "fallline.types:Finding",
    "Improvement": "fallline.types:Improvement",
    "Problem": "fallline.types:Problem",
    "Recipe": "fallline.types:Recipe",
    "Regressor": "fallline.estimator:Regressor",
    "Run": "fallline.types:Run",
    "Search": "fallline.types:Search",
    "check": "fallline.diagnose:check",
    "check_gradients": "fallline.train:check_gradients",
    "default_recipe": "fallline.recipe:default",
    "folds": "fallline.data:folds",
    "diagnose": "fallline.diagnose:diagnose",
    "diagnose_training": "fallline.train:diagnose_training",
    "errors": "fallline.errors:",
    "evaluate": "fallline.evaluate:evaluate",
    "experiment": "fallline.experiment:experiment",
    "find_learning_rate": "fallline.train:find_learning_rate",
    "improve": "fallline.improve:improve",
    "load": "fallline.store:load_run",
    "loss_landscape": "fallline.train:loss_landscape",
    "lsuv": "fallline.network:lsuv",
    "make_problem": "fallline.data:make_problem",
    "networks": "fallline.network:builders",
    "pretrain": "fallline.network:pretrain",
    "search": "fallline.search:search",
    "read_table": "fallline.data:read_table",
    "train": "fallline.train:train",
    "train_many": "fallline.train:train_many",
    "treat": "fallline.treatments:treat",
    "watch": "fallline.watch:",
}

# Keras reads its backend once, on its first import, and fallline's engine is JAX. Where Keras is already there with
# another backend nothing is changed here: watching and diagnosing work, and training raises an error that says so.
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "jax"

# JAX decides once, when it is first used, how many devices a CPU is; building a Keras model is a use. Every core is a
# device, so that the members of a population train side by side. A number that somebody chose is left alone, and so is
# a JAX that is already in use.
if hasattr(os, "sched_getaffinity"):
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(len(os.sched_getaffinity(0))))
    elif sys.modules["jax"].config.values.get("jax_num_cpu_devices", 0) < 0:
        with contextlib.suppress(RuntimeError):
            sys.modules["jax"].config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    home = importlib.import_module(module)
    found = getattr(home, attribute) if attribute else home
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOMES))


class _Package(ModuleType):
    """The package itself, on which ``train`` and ``diagnose`` stay the functions.

    Python binds a submodule to its package when the submodule is first imported. That would turn ``fallline.train``
    into the module of the same name as soon as anything imports it, and ``fallline.train(...)`` into a TypeError.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and _HOMES.get(name, ":").partition(":")[2]):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
