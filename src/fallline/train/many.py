"""Many trainings as few compiled programs: recipes, seeds and folds of one table become members of populations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from fallline.data import as_pixels
from fallline.engine import configure
from fallline.errors import InputError
from fallline.train.find_rate import with_found_rate
from fallline.train.finish import finish_run
from fallline.train.fitted import Fitted
from fallline.train.forking import Anatomy, Fork, recipe_obstacle, refuse, shape_obstacle
from fallline.train.jobs import Fold
from fallline.train.loop import OnProgress, fit_population
from fallline.train.orders import Member, bucket
from fallline.train.postmortem import post_mortem, with_causes
from fallline.train.prepared import Known, Prepared, prepare
from fallline.train.programs import begin, plan_of, program_key
from fallline.train.table_task import ProgramKey, TableProgram, table_program
from fallline.types import Problem, Recipe, Run

__all__ = ["ended_at_once", "in_waves", "memory_for_members", "state_bytes", "train_many_problems", "train_recipes"]

Tree = Any

# Of the memory that is free when a population begins, so much may be taken by its members.
_SHARE = 0.5


def memory_for_members() -> int:
    """Return the bytes that members may take on each device together: half of what is free now."""
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(_SHARE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) * len(jax.local_devices()))
    return int(_SHARE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def state_bytes(state: Tree, *, keep_best: bool) -> int:
    """Return the bytes that one member's state takes at the most.

    Weights and optimizer state, and the best weights where they are kept, three times: what goes into the program, what
    comes out of it, and the host's copy.

    Args:
        state: (params, aux, optimizer), leaves (p, ...).
        keep_best: a second copy of the weights is kept.
    """
    params, aux, optimizer = (sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for tree in state)
    members = len(jax.tree.leaves(state[0])[0])
    total: int = 3 * ((2 if keep_best else 1) * (params + aux) + optimizer)
    return total // members


def ended_at_once(_: object) -> bool:
    """Ask for the end: after Ctrl-C, who comes after the training under way does an epoch and no more."""
    return True


def in_waves(count: int, each: int, memory: int | None) -> Iterator[np.ndarray]:
    """Divide members into waves that fit into memory one after another.

    Args:
        count: members.
        each: bytes of one.
        memory: bytes for all; None: `memory_for_members`.

    Raises:
        InputError: not even one fits.

    >>> [wave.tolist() for wave in in_waves(5, 100, 250)]
    [[0, 1], [2, 3], [4]]
    """
    memory = memory_for_members() if memory is None else memory
    most = memory // max(1, each)
    if most < 1:
        raise InputError(
            f"One member takes {each / 2**20:.0f} MB and there are {memory / 2**20:.0f} MB for all: not even one fits. "
            "Make the network smaller (network.hidden), or raise memory."
        )
    for start in range(0, count, most):
        yield np.arange(start, min(count, start + most))


@dataclass(frozen=True, eq=False)
class _Job:
    """One run to be made: a recipe with a seed on a fold."""

    problem: Problem
    prepared: Prepared
    facts: Mapping[str, Any]

    @property
    def who(self) -> tuple[int, int | None]:
        """Its seed and its fold."""
        return self.facts["seed"], self.facts["fold"]

    def members(self, offset: int) -> tuple[Member, ...]:
        """Its members, their rows counted from the beginning of its block of prepared rows."""
        plan = plan_of(self.prepared.recipe)
        return tuple(
            replace(m, train_rows=m.train_rows + offset, val_rows=m.val_rows + offset, plan=plan)
            for m in self.prepared.members
        )


def train_many_problems(
    problem: Problem,
    recipes: Sequence[Recipe],
    *,
    seeds: Iterable[int] | None = None,
    folds: Sequence[Fold] | None = None,
    scored: bool = True,
    memory: int | None = None,
    on_progress: OnProgress | None = None,
    fork_at: int | None = None,
    names: Sequence[str] = (),
) -> list[Run]:
    """Train every recipe with every seed on every fold; see `fallline.train_many`.

    Args:
        problem: the problem.
        recipes: what differs.
        seeds: as there.
        folds: as there.
        scored: as there.
        memory: as there.
        on_progress: as there.
        fork_at: the first recipe's networks are trained for so many epochs; all recipes go on from there.
        names: of the recipes, for what is said where one of them cannot go on.

    Raises:
        InputError: also where a recipe cannot go on from the first one's networks.
        KeyboardInterrupt: stopped before the fork.
    """
    configure()
    jobs = list(_jobs(problem, recipes, seeds, folds))
    fork = None if fork_at is None else _fork(jobs, fork_at, names, memory, on_progress)
    return _runs(jobs, memory, on_progress, fork, scored=scored)


def train_recipes(
    problem: Problem,
    recipes: Sequence[Recipe],
    *,
    seeds: Iterable[int],
    folds: Sequence[Fold],
    on_progress: OnProgress | None = None,
) -> Iterator[list[Run]]:
    """Yield the runs of one recipe after another, so that what is done is not lost when the rest is not wanted.

    Networks that share a program are compiled once here, too. All recipes are checked before the first is trained.

    Args:
        problem: the problem.
        recipes: what differs.
        seeds: of each recipe.
        folds: of each seed, pairs (training rows, held-out rows).
        on_progress: as for `fallline.train`.
    """
    configure()
    jobs = list(_jobs(problem, recipes, seeds, folds))
    for index in range(len(recipes)):
        own = [job for job in jobs if job.facts["recipe_index"] == index]
        yield _runs(own, None, on_progress, None, scored=True)


def _runs(
    jobs: Sequence[_Job], memory: int | None, on_progress: OnProgress | None, fork: Fork | None, *, scored: bool
) -> list[Run]:
    """Train jobs, those of one program at once, and return their runs in the jobs' order."""
    found: dict[int, Run] = {}
    for key, places in _groups(jobs):
        for place, fitted, program, causes in _train_group(key, [jobs[i] for i in places], memory, on_progress, fork):
            if fitted.interrupted:
                on_progress = on_progress or ended_at_once
            job = jobs[places[place]]
            run = finish_run(job.problem, job.prepared, program, fitted, scored=scored, many=True)
            found[places[place]] = run.with_(facts={**with_causes(run.facts, causes), **job.facts})
    return [found[i] for i in range(len(jobs))]


def _groups(jobs: Sequence[_Job]) -> list[tuple[ProgramKey, list[int]]]:
    """Return programs, each with the places of the jobs that share it."""
    groups: dict[tuple[ProgramKey, int], list[int]] = {}
    for i, job in enumerate(jobs):
        key = replace(program_key(job.prepared, job.problem), members=0)
        groups.setdefault((key, int(job.prepared.recipe.training.batch_size)), []).append(i)
    return [(key, places) for (key, _), places in groups.items()]


def _fork(
    jobs: Sequence[_Job], at: int, names: Sequence[str], memory: int | None, on_progress: OnProgress | None
) -> Fork:
    """Train the first recipe's jobs up to the fork, once everything that stands in the way was said."""
    firsts = {job.facts["recipe_index"]: job for job in reversed(jobs)}
    control, anatomies = firsts[0].prepared.recipe, {i: _anatomy_of(job) for i, job in firsts.items()}
    epochs = int(control.training.epochs)
    if not 0 < at < epochs:
        raise InputError(f"fork_at = {at} is not allowed: the control trains {epochs} epochs, so 1 to {epochs - 1}.")
    called = {i: names[i] if names else f"recipe {i}" for i in firsts}
    refuse(
        {
            called[i]: recipe_obstacle(control, job.prepared.recipe) or shape_obstacle(anatomies[0], anatomies[i])
            for i, job in sorted(firsts.items())
        },
        at,
    )
    begun = {}
    own = [job for job in jobs if job.facts["recipe_index"] == 0]
    for key, places in _groups(own):
        for place, fitted, _, _ in _train_group(key, [own[i] for i in places], memory, on_progress, until=at):
            if fitted.interrupted:
                raise KeyboardInterrupt
            job = own[places[place]]
            begun[job.who] = (fitted, _anatomy_of(job))
    return Fork(at, begun)


def _anatomy_of(job: _Job) -> Anatomy:
    key = program_key(job.prepared, job.problem)
    return _anatomy(table_program(replace(key, members=bucket(len(job.prepared.members)))), key.recipe)


def _anatomy(program: TableProgram, recipe: Recipe) -> Anatomy:
    model = program.network.model
    return Anatomy(
        tuple(tuple(v.shape) for v in model.trainable_variables),
        tuple(v.path for v in model.non_trainable_variables),
        recipe.optimizer.name,
        recipe.training.loss,
    )


def _jobs(
    problem: Problem, recipes: Sequence[Recipe], seeds: Iterable[int] | None, folds: Sequence[Fold] | None
) -> Iterator[_Job]:
    known: Known = {}
    for index, recipe in enumerate(recipes):
        chosen = as_pixels(problem) if recipe.network.kind == "lenet5" else problem
        for seed in [recipe.seed] if seeds is None else list(seeds):
            for fold, rows in enumerate(folds or [None]):
                own, rate = with_found_rate(chosen, replace(recipe, seed=int(seed)), rows)
                prepared = prepare(chosen, own, rows, known)
                yield _Job(chosen, prepared, {"recipe_index": index, "seed": int(seed), "fold": fold, **rate})


def _train_group(
    key: ProgramKey,
    jobs: Sequence[_Job],
    memory: int | None,
    on_progress: OnProgress | None,
    fork: Fork | None = None,
    until: int | None = None,
) -> Iterator[tuple[int, Fitted, TableProgram, dict[int, Any]]]:
    """Train jobs of one program; yield (job's place, its members, the program, why members diverged)."""
    data, offsets = _blocks(jobs)
    sizes = [len(job.prepared.members) for job in jobs]
    single = table_program(replace(key, members=bucket(sizes[0])))
    first = begin(single, jobs[0].prepared, jobs[0].problem.kind)
    each = state_bytes(first, keep_best=jobs[0].prepared.recipe.stopping.restore_best)
    for wave in in_waves(len(jobs), each * max(sizes), memory):
        starts = [first if i == 0 else begin(single, jobs[i].prepared, jobs[i].problem.kind) for i in wave]
        state = jax.tree.map(lambda *leaves: np.concatenate(leaves), *starts)
        members = [m for i in wave for m in jobs[i].members(offsets[i])]
        program = table_program(replace(key, members=bucket(len(members))))
        plan = plan_of(jobs[0].prepared.recipe)
        begun = None if fork is None else fork.begun([jobs[i].who for i in wave], _anatomy(program, key.recipe))
        fitted = fit_population(
            program.population, members, plan, data, *state, on_progress=on_progress, until=until, begun=begun
        )
        causes = post_mortem(program.population, members, plan, data, fitted, program.network.model)
        done = 0
        for i in wave:
            own = np.arange(done, done + sizes[i])
            done += sizes[i]
            yield int(i), fitted.take(own), program, {k - int(own[0]): c for k, c in causes.items() if k in own}


def _blocks(jobs: Sequence[_Job]) -> tuple[Tree, list[int]]:
    """Return the prepared rows of all jobs, each kind once, and where each job's begin."""
    blocks: dict[tuple[int, bytes], int] = {}
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    offsets = []
    for job in jobs:
        p = job.prepared
        key = (id(p.features), p.weight.tobytes())
        if key not in blocks:
            blocks[key] = sum(len(part[0]) for part in parts)
            parts.append((p.features, p.targets, p.weight))
        offsets.append(blocks[key])
    x, y, weight = (np.concatenate(arrays) if len(parts) > 1 else arrays[0] for arrays in zip(*parts, strict=True))
    return (x, y, weight), offsets
