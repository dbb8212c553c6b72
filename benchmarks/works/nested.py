"""Nested cross-validation: 5 outer x 5 inner folds x 20 candidates x 3 seeds, then the outer trainings: 1,515 in all.

breast_cancer (569 x 30), the preset ``simple``, candidates drawn at random from a space of four entries. Importing is
excluded, compilation is not: the figure is the whole call, as the person waits for it.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]


def setup(quick: bool) -> tuple[Any, Any, int]:
    """The table and the number of candidates."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return x, y, 2 if quick else 20


WORK = Work(
    title="nested: 5 x 5 folds, 20 candidates, 3 seeds, breast_cancer 569 x 30, whole call with compilation",
    unit="s",
    setup=setup,
)


@WORK.peer("fallline", needs=("jax", "keras", "optax"), limit=120)
def fallline(task: tuple[Any, Any, int]) -> Measurement:
    """One call of fl.evaluate."""
    import time

    import fallline as fl
    from fallline.search import log, uniform

    x, y, trials = task
    space = {
        "optimizer.learning_rate": log(3e-4, 3e-2),
        "network.dropout": uniform(0.05, 0.5),
        "optimizer.l2": log(1e-6, 1e-2),
        "optimizer.beta_1": uniform(0.8, 0.95),
    }
    began = time.perf_counter()
    found = fl.evaluate("simple", (x, y), folds=5, inner=5, seeds=3, nested=space, trials=trials)
    seconds = time.perf_counter() - began
    return Measurement(
        seconds,
        {
            "trainings": found.trainings,
            "nested_log_loss": found.score("nested").value,
            "selected_on": found.selected_on,
            "linear_log_loss": found.score("linear").value,
        },
    )
