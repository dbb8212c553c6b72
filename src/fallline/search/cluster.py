"""Trials on the workers of a Ray cluster (extra ``ray``): each holds the table and is given one recipe at a time.

A worker that dies takes nothing along but the recipe that it was at work on, which another one is given. What a recipe
scores does not depend on the number of workers, nor on which of them trained it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from fallline.errors import FalllineError, InputError, optional
from fallline.search.measure import Folds, Measured, check_recipes, measure
from fallline.types import Problem, Recipe

__all__ = ["RayWorkers"]

# A recipe at which so many workers have died is what kills them: too large a network for their memory, for instance.
_MOST_DEATHS = 3


class _Worker:
    """What runs on the cluster."""

    def __init__(self, problem: Problem, seeds: Sequence[int] | None, folds: Folds) -> None:
        if "jax" not in sys.modules:
            # As many workers as cores: each is one device with one thread (NPROC is what XLA asks for how many), or
            # they would stand in one another's way.
            os.environ |= {"JAX_NUM_CPU_DEVICES": "1", "NPROC": "1"}
        self.problem, self.seeds, self.folds = problem, seeds, folds

    def measure(self, recipe: Recipe) -> Measured:
        """Return the figures of one recipe."""
        (found,) = measure(self.problem, [recipe], seeds=self.seeds, folds=self.folds)
        return found


class RayWorkers:
    """A ``with`` block in which recipes are measured by the workers of a Ray cluster, one for each of its CPUs.

    The cluster is the one that Ray is connected to, or the one that ``RAY_ADDRESS`` names; else one is started on this
    machine, and stopped at the end.

    Args:
        problem: the problem.
        seeds: of the trainings; None: each recipe's own.
        folds: (training rows, held-out rows).
        workers: how many; None: one for each CPU of the cluster.

    Raises:
        MissingPackageError: Ray is not installed.
        InputError: the cluster cannot be reached.
    """

    def __init__(
        self, problem: Problem, seeds: Sequence[int] | None, folds: Folds, *, workers: int | None = None
    ) -> None:
        self._ray = optional("ray", "ray", 'engine="ray"')
        self._problem, self._seeds, self._folds = problem, seeds, folds
        self._started = not self._ray.is_initialized()
        if self._started:
            self._connect()
        self._wanted = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._work = [self._ray.put(problem), seeds, self._ray.put(list(folds))]
        self._make = self._ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        self._idle: list[Any] = []
        self.working: dict[Any, tuple[int, Recipe, Any]] = {}
        self.deaths = 0

    def _connect(self) -> None:
        address = os.environ.get("RAY_ADDRESS", "")
        # The dashboard is a server that nobody asked for.
        given = {"address": address} if address else {"address": "local", "include_dashboard": False}
        try:
            self._ray.init(**given, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"The Ray cluster {address or 'on this machine'} cannot be reached: {error}. Start it "
                "(ray start --head), or leave RAY_ADDRESS out: a cluster is then started on this machine."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._idle:
            self._ray.kill(worker)
        self._idle = []
        if self._started:
            self._ray.shutdown()

    def measure(self, recipes: Sequence[Recipe], each: Callable[[int, Measured], None]) -> None:
        """Measure recipes.

        Args:
            recipes: all are checked against the problem before the first is trained.
            each: called with a recipe's place and its figures as soon as they are there, in any order.

        Raises:
            InputError: a recipe that contradicts the problem, or at which worker after worker dies.
        """
        check_recipes(self._problem, recipes, self._folds)
        waiting, died = list(enumerate(recipes)), dict.fromkeys(range(len(recipes)), 0)
        working = self.working = {}
        try:
            while waiting or working:
                while waiting and len(working) < self._wanted:
                    place, recipe = waiting.pop(0)
                    worker = self._idle.pop() if self._idle else self._make.remote(*self._work)
                    working[worker.measure.remote(recipe)] = (place, recipe, worker)
                (done,), _ = self._ray.wait(list(working), num_returns=1)
                place, recipe, worker = working.pop(done)
                try:
                    found = self._ray.get(done)
                except self._ray.exceptions.RayActorError as error:
                    self.deaths += 1
                    died[place] += 1
                    if died[place] >= _MOST_DEATHS:
                        raise InputError(
                            f"{_MOST_DEATHS} workers died at the same trial, so it is left: {error}. Is the network "
                            "too large for the memory of a worker?"
                        ) from error
                    waiting.insert(0, (place, recipe))
                    continue
                except self._ray.exceptions.RayTaskError as error:
                    self._idle.append(worker)
                    if isinstance(error.cause, FalllineError):
                        raise error.cause from None
                    raise
                self._idle.append(worker)
                each(place, found)
        finally:
            for _, _, worker in working.values():  # an error, or Ctrl-C: half a trial is worth nothing
                self._ray.kill(worker)
            working.clear()
