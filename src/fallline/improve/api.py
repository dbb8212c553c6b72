"""`fallline.improve`: diagnose, treat, keep what helps, until nothing does or the budget ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from fallline import recipe as recipes
from fallline.errors import InputError, count_mistakes
from fallline.improve import story
from fallline.improve.bench import Bench, OnProgress
from fallline.improve.budget import SHORTEST, Budget, OverBudgetError
from fallline.improve.candidates import Candidate, candidates, symptoms_of
from fallline.improve.decisions import most_hopeful, others_that_helped, preferred
from fallline.improve.ledger import Ledger
from fallline.search import checked_seeds
from fallline.types import (
    Diagnosis,
    End,
    Experiment,
    ImproveEvent,
    Improvement,
    LedgerEntry,
    Progress,
    Recipe,
    Run,
    Score,
)
from fallline.types.duration import parse_seconds

__all__ = ["improve"]

OnEvent = Callable[[ImproveEvent], Any]
Stage = Literal["screen", "confirm"]

# Share of what the best constant prediction falls short by: with less of it there is nothing left to gain.
_LEFT = 0.01


def improve(
    control: Any = "default",
    x: Any = None,
    y: Any = None,
    *,
    target: str | list[str] | None = None,
    kind: str | None = None,
    budget: Any = "10 minutes",
    trainings: int | None = None,
    seeds: Any = 3,
    folds: int = 5,
    holdout: float = 0.2,
    loss: Any = None,
    optimizer: Any = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    metric: str | None = None,
    seed: int = 0,
    folder: Any = None,
    on_event: OnEvent | None = None,
    on_progress: OnProgress | None = None,
) -> Improvement:
    """Diagnose a training, try treatments beside the untreated control, keep what helps, and begin again.

    Every round screens treatments with one seed on all folds. What is not decided there but looks good is tried again
    with the other seeds and on another partition. A treatment is kept when the experiment says that it helps.

    Args:
        control: a `Recipe`, the name of a preset, or the `Run` of a table; or a Keras model (Sequential or Functional;
            it stays as it is), a `Design`, or the `Run` of a Keras model. First weights are drawn anew by the seeds.
        x: a table, as for `fallline.train`; with y=None also the pair (x, y). For a Keras model the inputs (n, ...).
        y: targets, or a column's name; for a Keras model (n, ...).
        target: the target column(s) of ``x``.
        kind: the kind of problem, when it shall not be inferred.
        budget: seconds, ``"10 minutes"``, ``"2 h"``; None: no limit. The last training is kept within it.
        trainings: most trainings, in the place of time or besides; a recipe's ensemble counts as one.
        seeds: of a confirmation, or how many; the first screens.
        folds: of an experiment.
        holdout: share of the rows that no choice sees and that the result is scored on; 0: all rows are chosen by, and
            there is no honest score.
        loss: of a Keras model, in the place of what it was compiled with.
        optimizer: likewise.
        epochs: of a Keras model; default 100.
        batch_size: of a Keras model; default 32.
        shuffle: of a Keras model.
        metric: by which is judged; default: log-loss, or RMSE.
        seed: of the hold-out and the folds.
        folder: where the ledger is kept as it grows; the same call with the same folder goes on from it.
        on_event: called with every `ImproveEvent`.
        on_progress: called with a `Progress` between chunks of epochs; returning True interrupts.

    Returns:
        what was kept, the run trained with it, scores on rows that no choice has seen, and the ledger.

    Raises:
        InputError: before any experiment: a budget that is too small for one training, fewer rows than folds, a class
            that is absent from a fold, the ledger of something else.

    Source: docs/improve.md says how it decides.
    """
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    chosen = _checked(seeds, folds, holdout, trainings)
    limit = Budget(parse_seconds(budget, least=SHORTEST), trainings, last_trainings=2 if holdout else 1)
    fitting = {"epochs": epochs, "batch_size": batch_size, "shuffle": shuffle, "loss": loss, "optimizer": optimizer}
    rows = {"folds": folds, "holdout": holdout, "metric": metric, "seed": seed}
    bench = _bench(control, x, y, target, kind, fitting, rows)
    needed = 1 + 2 * folds + limit.last_trainings
    if trainings is not None and trainings < needed:
        raise InputError(
            f"trainings = {trainings} is too small: a diagnosis (1), a treatment beside its control on {folds} folds "
            f"({2 * folds}) and the last trainings ({limit.last_trainings}) take {needed}."
        )
    about = {**bench.about, "seeds": chosen}
    return _Work(bench, limit, Ledger(folder, about), chosen, on_event, on_progress).improvement()


def _checked(seeds: Any, folds: Any, holdout: Any, trainings: Any) -> list[int]:
    """Say everything that is wrong with the plain arguments at once."""
    mistakes = []
    chosen = checked_seeds(seeds) or []
    if len(chosen) < 2:
        mistakes.append(f"seeds = {seeds!r} is not allowed: one seed screens and others confirm; give at least 2.")
    mistakes += count_mistakes(folds=(folds, 2))
    if isinstance(holdout, bool) or not isinstance(holdout, (int, float)) or not 0 <= holdout < 1:
        mistakes.append(f"holdout = {holdout!r} is not allowed: it takes a share from 0 to below 1.")
    if trainings is not None:
        mistakes += count_mistakes(trainings=(trainings, 1))
    if mistakes:
        raise InputError(" ".join(mistakes))
    return chosen


def _bench(
    control: Any, x: Any, y: Any, target: Any, kind: Any, fitting: Mapping[str, Any], rows: Mapping[str, Any]
) -> Bench:
    """Make the bench of a table or of a Keras model."""
    from fallline.train.api import make_recipe_problem

    if isinstance(control, Run) and control.recipe is not None and control.preparation is not None:
        control = control.recipe
    if isinstance(control, (str, Recipe)):
        given = [name for name, value in fitting.items() if value is not None]
        if given:
            raise InputError(f"{', '.join(given)}: these are of Keras models; a recipe says it itself.")
        from fallline.improve.tables import TableBench

        problem = make_recipe_problem(x, y, target, kind, None)
        return TableBench(recipes.default(control) if isinstance(control, str) else control, problem, **rows)
    from fallline.improve.keras_models import KerasBench, design_from

    training = {name: fitting[name] for name in ("epochs", "batch_size", "shuffle")}
    design = design_from(control, fitting["loss"], fitting["optimizer"], training)
    if x is None or y is None or target is not None or kind is not None:
        raise InputError("A Keras model is trained on x and y: fl.improve(model, x, y).")
    return KerasBench(design, x, y, **rows)


class _Work:
    """An improvement under way."""

    def __init__(
        self,
        bench: Bench,
        budget: Budget,
        ledger: Ledger,
        seeds: Sequence[int],
        on_event: OnEvent | None,
        on_progress: OnProgress | None,
    ) -> None:
        self.bench, self.budget, self.ledger, self.seeds = bench, budget, ledger, seeds
        self.on_event, self.on_progress = on_event, on_progress
        self.subject = bench.control
        self.kept: tuple[str, ...] = ()
        self.entries: list[LedgerEntry] = []
        self.tried: set[str] = set()
        self.hurting: set[str] = set()
        self.helped: dict[tuple[str, ...], str] = {}
        self.treated: dict[str, None] = {}  # symptoms that something was kept for, latest first
        self.before = self.after = Diagnosis()
        self.outcome: End = "nothing helps"
        self.under_way = False  # an experiment

    def improvement(self) -> Improvement:
        """Do it all."""
        run: Run | None = None
        scores: tuple[Score, ...] = ()
        try:
            self.before = self.after = self.first_diagnosis()
            try:
                while self.round():
                    pass
            except OverBudgetError:
                self.outcome = "budget"
            self.tell("stopped", *story.stopped(self.outcome, self.kept, under_way=self.under_way))
            run, scores = self.bench.finished(self.subject, self.passed_on)
            self.after = run.diagnosis
            self.budget.spent += self.budget.last_trainings
            self.tell("scored", *story.scored(scores, self.kept, self.bench.held_out))
        except KeyboardInterrupt:
            self.outcome = "interrupted"
            self.tell("stopped", *story.stopped(self.outcome, self.kept, under_way=self.under_way))
        return Improvement(
            self.subject, self.kept, run, scores, tuple(self.entries), self.before, self.after, self.outcome,
            self.budget.spent, self.budget.elapsed(),
        )  # fmt: skip

    def tell(self, kind: Any, text: str, facts: Any) -> None:
        """Pass an event on."""
        if self.on_event is not None:
            self.on_event(ImproveEvent(kind, text, facts, self.budget.elapsed(), self.budget.spent))

    def passed_on(self, now: Progress) -> bool:
        """Show progress; a caller who asks for the end interrupts."""
        if self.on_progress is not None and self.on_progress(now):
            raise KeyboardInterrupt
        return False

    def within_budget(self, now: Progress) -> bool:
        """Show progress, and end an experiment when the time for it is over."""
        if self.budget.over():
            raise OverBudgetError
        return self.passed_on(now)

    # ------------------------------------------------------------------------------------------------- the steps

    def first_diagnosis(self) -> Diagnosis:
        """Diagnose the control; what that takes says what the end will take."""
        latest = Progress(0, 0)

        def watched(now: Progress) -> bool:
            nonlocal latest
            latest = now
            return self.within_budget(now)

        begun = time.monotonic()
        try:
            found = self.diagnosed(watched)
        except OverBudgetError:
            came_to = f"after {latest.epoch} of at most {latest.epochs} epochs" if latest.epoch else "before it began"
            raise InputError(
                f"The budget of {self.budget.seconds:.0f} seconds is too small for one training: it was over "
                f"{came_to}, and an experiment takes many trainings. Give a larger budget, fewer epochs or a smaller "
                "network."
            ) from None
        self.budget.kept_back = self.budget.last_trainings * (time.monotonic() - begun)
        self.budget.guess(self.bench.pace)
        return found

    def diagnosed(self, on_progress: OnProgress) -> Diagnosis:
        """Diagnose what there is now."""
        found = self.bench.diagnosed(self.subject, on_progress)
        self.budget.spent += 1
        self.tell("diagnosed", *story.diagnosed(found, self.kept))
        return found

    def round(self) -> bool:
        """Try the next candidates; False: there is none left, or nothing to gain."""
        offered = self.offered()
        if not offered:
            return False
        self.tell("candidates", *story.offered(offered, self.kept))
        found, best = self.measured("screen", offered)
        hopeful = [] if self.solved(found, "control") else most_hopeful(found, offered)
        if best is None and hopeful:
            found, best = self.measured("confirm", hopeful, found)
        if best is not None:
            self.subject, self.kept = best.subject, (*self.kept, *best.treatments)
            self.helped = others_that_helped(found, offered, best)
            self.treated = dict.fromkeys((*symptoms_of(best, self.after), *self.treated))
        if self.solved(found, best.name if best is not None else "control"):
            self.outcome = "solved"
            return False
        if best is not None:
            if not self.budget.affords(1 + 2 * self.bench.folds):  # no experiment would follow the diagnosis
                raise OverBudgetError
            self.after = self.diagnosed(self.within_budget)
        return True

    def solved(self, found: Experiment, arm: str) -> bool:
        """Return whether an arm falls so little short of the best possible score that nothing is left to gain."""
        constant = self.bench.constant(found.metric)
        if constant is None or arm not in found.scores:
            return False
        best, values = float(found.higher_is_better), found.scores[arm]
        return abs(best - sum(values) / len(values)) <= _LEFT * abs(best - constant)

    def offered(self) -> list[Candidate]:
        """Return the next candidates, as many as an experiment takes."""
        found = candidates(
            self.bench, self.subject, self.after, tried=self.tried, without=self.hurting, helped=self.helped,
            treated=self.treated, kept=self.kept,
        )  # fmt: skip
        most: list[Candidate] = []
        for one in found:
            if len(most) == self.bench.most_arms or (most and one.tier != most[0].tier):
                break
            most.append(one)
        return most

    def measured(
        self, stage: Stage, offered: list[Candidate], screen: Experiment | None = None
    ) -> tuple[Experiment, Candidate | None]:
        """Make an experiment, or recall it from the ledger; return it with the arm that is kept."""
        seeds = self.seeds[:1] if stage == "screen" else self.seeds[1:]
        each, control = len(seeds) * self.bench.folds, self.bench.key(self.subject)
        known = self.ledger.recall(stage, control, offered)
        if known is not None:
            found, arms = known
        else:
            place = 0 if stage == "screen" else 1
            untrained = 0 if self.bench.remembers(self.subject, seeds, place) else 1
            arms = offered[: self.arms_within(each, untrained, stage)]
            if not arms or self.budget.over():
                raise OverBudgetError
            count = (untrained + len(arms)) * each
            self.tell("experiment", *story.begins(len(self.entries) + 1, stage, arms, seeds, self.bench.folds, count))
            begun, self.under_way = time.monotonic(), True
            found = self.bench.experiment(
                self.subject, {one.name: one.subject for one in arms}, seeds, place, self.within_budget
            )
            self.under_way = False
            arms = [one for one in arms if one.name in found.scores]  # those that the time sufficed for
            self.budget.took((untrained + len(arms)) * each, time.monotonic() - begun)
        best = preferred(found, arms, screen)
        self.entered(stage, control, arms, found, best, known is not None)
        return found, best

    def arms_within(self, each: int, untrained: int, stage: Stage) -> int:
        """Return how many arms of so many trainings are affordable.

        Where something was kept already, what helps further helps less, and is seldom decided by a screen: of half of
        them no more than leave enough to confirm one are tried, for what cannot be confirmed any more is lost.
        """
        most = max(0, self.budget.affords(each) - untrained)
        kept_back = 2 * len(self.seeds[1:]) if stage == "screen" and self.kept else 0
        return max(most - kept_back, (most + 1) // 2)

    def entered(
        self, stage: Stage, control: str, arms: list[Candidate], found: Experiment, best: Candidate | None,
        repeated: bool,
    ) -> None:  # fmt: skip
        """Write an experiment into the ledger and say what it decided."""
        kept = "" if best is None else best.name
        if not repeated:
            self.ledger.add(stage, control, arms, kept, found, self.kept)
        self.tried |= {one.key for one in arms} if stage == "screen" else set()
        alone = {one.name for one in arms if len(one.treatments) == 1}
        self.hurting |= {one.name for one in found.comparisons if one.decision == "hurts" and one.name in alone}
        entry = LedgerEntry(
            len(self.entries) + 1, stage, self.kept, {one.name: one.treatments for one in arms},
            {one.name: one.reason for one in arms}, found, kept, repeated,
        )  # fmt: skip
        self.entries.append(entry)
        self.tell("decided", *story.decided(entry, going_on=stage == "screen" and bool(most_hopeful(found, arms))))
