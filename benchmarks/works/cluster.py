"""Trials of a search on a local Ray cluster: two workers against one.

Each trial is one training of a second or more on breast_cancer, each worker has had two before the clock starts:
what is measured is the work, not the start of processes, which `startup` measures.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]


class Task(NamedTuple):
    """The table, how many trials, and the epochs of each."""

    x: Any
    y: Any
    trials: int
    epochs: int


def setup(quick: bool) -> Task:
    """The table and the number of trials."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return Task(x, y, 4 if quick else 16, 20 if quick else 3000)


# Ray's workers are polite to all other processes by default, those of other people on the machine included.
_IMPOLITE = {"RAY_worker_niceness": "0"}

WORK = Work(
    title="cluster: a trial of a search on Ray's workers of this machine, breast_cancer 569 x 30, 64-64",
    unit="s per trial",
    setup=setup,
)


def _measure(task: Task, workers: int) -> Measurement:
    import numpy as np

    import fallline as fl
    from fallline.recipe import default, override
    from fallline.search.cluster import RayWorkers
    from fallline.search.partition import partition

    problem = fl.make_problem({f"x{i}": column for i, column in enumerate(task.x.T)}, task.y)
    folds = partition(problem, 1, share=0.2, seed=0, metric="log_loss")
    base = override(default("simple"), [f"epochs={task.epochs}", "stopping.criterion=none"])
    rates = np.geomspace(1e-4, 1e-2, task.trials + 2 * workers)
    recipes = [override(base, [f"learning_rate={rate:.6g}"]) for rate in rates]
    with RayWorkers(problem, None, folds, workers=workers) as cluster:
        cluster.measure(recipes[task.trials :], lambda place, found: None)
        begun = time.perf_counter()
        cluster.measure(recipes[: task.trials], lambda place, found: None)
        seconds = time.perf_counter() - begun
    return Measurement(seconds / task.trials, {"workers": workers, "trials": task.trials})


@WORK.peer("fallline", needs=("jax", "keras", "ray"), environment=_IMPOLITE)
def fallline(task: Task) -> Measurement:
    """Two workers, each a device of its own."""
    return _measure(task, 2)


@WORK.peer("one_worker", needs=("jax", "keras", "ray"), environment=_IMPOLITE, bar=1.6)
def one_worker(task: Task) -> Measurement:
    """One process: the same trials, one after the other."""
    return _measure(task, 1)
