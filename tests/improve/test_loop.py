"""The loop without trainings: a bench whose scores are computed."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.experiment import compare
from fallline.improve.bench import Bench
from fallline.improve.candidates import GENERAL, Candidate, candidates
from fallline.improve.decisions import _always_better, preferred
from fallline.types import Comparison, Diagnosis, Experiment, Finding, Progress, Run, Score, Trace

_api = importlib.import_module("fallline.improve.api")

SLOW = Finding("learning-rate-too-low", "S11", "learning", "serious", 0.9, "Too slow.")
SMALL = Finding("capacity-unsuited", "S30", "learning", "warning", 0.9, "Too small.")


class Computed(Bench):
    """Scores are 1 less what the treatments bring, and a little noise; a subject is the tuple of its treatments."""

    folds, held_out, control, about = 5, 20, (), {"what": "computed"}

    def __init__(self, effects, findings=(SLOW,), together=None):
        self.effects, self.findings, self.together = effects, findings, together or {}
        self.trained = []

    def treated(self, subject, names):
        known = all(name in self.effects and subject.count(name) < 1 for name in names)
        return (*subject, *names) if known and len(set(names)) == len(names) else None

    def viable(self, subject):
        return True

    def key(self, subject):
        return "+".join(sorted(subject))

    def diagnosed(self, subject, on_progress):
        on_progress(Progress(1, 10))
        return Diagnosis(() if subject else self.findings)

    def experiment(self, control, arms, seeds, partition, on_progress):
        self.trained.append((control, tuple(arms), tuple(seeds), partition))
        on_progress(Progress(1, 10))
        scores = {}
        for place, (arm, subject) in enumerate({"control": control, **arms}.items()):
            rng = np.random.default_rng([place, partition, *seeds])
            gain = sum(self.effects[name] for name in subject)
            gain += sum(more for pair, more in self.together.items() if set(pair) <= set(subject))
            scores[arm] = 1 - gain + rng.normal(0, 0.01, (len(seeds), 5))
        found = compare(scores["control"], {arm: scores[arm] for arm in arms}, share=0.25)
        plain = {arm: tuple(values.ravel()) for arm, values in scores.items()}
        return Experiment(
            "", "", "", "", "", "log_loss", seeds=tuple(seeds), folds=5, scores=plain, comparisons=found
        )

    def finished(self, better, on_progress):
        scores = tuple(Score("log_loss", value, 0.1, 0.9, who=who) for who, value in (("model", 0.4), ("control", 0.6)))
        trace = Trace.from_columns({"member": [], "epoch": [], "layer": [], "quantity": [], "value": []})
        return Run(None, trace, "completed"), scores


@pytest.fixture
def improve(monkeypatch):
    def call(bench, **options):
        monkeypatch.setattr(_api, "_bench", lambda *given: bench)
        return fl.improve("default", **{"budget": None, "seeds": 3, **options})

    return call


EFFECTS = {"raise-learning-rate": 0.3, "use-adam": 0.0, "more-epochs": 0.1, "add-dropout": -0.2, "wider-layers": 0.0}


def test_the_first_experiment_is_no_larger_than_the_diagnosis_lets_expect(improve):
    bench = Computed(EFFECTS)
    bench.pace = 10.0  # of 5 folds an arm takes 50 s
    improve(bench, budget=210)
    assert len(bench.trained[0][1]) == 3, "beside the control"
    slow = Computed(EFFECTS)
    slow.pace = 1000.0
    improve(slow, budget=210)
    assert len(slow.trained[0][1]) == 1, "a guess is no reason to try nothing"


def test_what_helps_is_kept_and_nothing_is_tried_twice(improve):
    bench, events = Computed(EFFECTS), []
    found = improve(bench, on_event=events.append)
    assert set(found.treatments) == {"raise-learning-rate", "more-epochs"}
    assert found.outcome == "nothing helps"
    screened = [(control, arm) for control, arms, _, partition in bench.trained if partition == 0 for arm in arms]
    assert len(set(screened)) == len(screened)
    # What hurts on one control is not tried on the next.
    assert sum("add-dropout" in arm for _, arm in screened) == 1
    kinds = [event.kind for event in events]
    assert kinds[:3] == ["diagnosed", "candidates", "experiment"]
    assert kinds[-2:] == ["stopped", "scored"]
    assert "Against learning-rate-too-low" in next(event.text for event in events if event.kind == "candidates")
    in_experiments = sum(len(entry.experiment.scores) * 5 * len(entry.experiment.seeds) for entry in found.ledger)
    assert found.trainings == 1 + sum(bool(entry.kept) for entry in found.ledger) + in_experiments + 2


def test_what_is_not_decided_is_confirmed_with_fresh_seeds_and_other_folds(improve):
    bench = Computed({"raise-learning-rate": 0.012, "use-adam": 0.0})
    improve(bench, seeds=[7, 8, 9])
    stages = [(seeds, partition) for _, _, seeds, partition in bench.trained[:2]]
    assert stages == [((7,), 0), ((8, 9), 1)]


def test_two_faults_that_hide_each_other_are_treated_together(improve):
    pair = ("raise-learning-rate", "wider-layers")
    effects = {"raise-learning-rate": 0.0, "use-adam": 0.0, "wider-layers": 0.0}
    found = improve(Computed(effects, (SLOW, SMALL), {pair: 0.5}))
    assert found.treatments == pair


def test_a_budget_of_trainings_is_kept_and_fewer_arms_are_tried(improve):
    found = improve(Computed(EFFECTS), trainings=23)
    assert found.outcome == "budget"
    assert found.trainings <= 23
    assert [len(entry.arms) for entry in found.ledger] == [3]
    with pytest.raises(InputError, match="trainings = 12 is too small"):
        improve(Computed(EFFECTS), trainings=12)


def test_the_time_is_kept(improve, monkeypatch):
    now = iter(range(10_000))
    budget = importlib.import_module("fallline.improve.budget")
    monkeypatch.setattr(budget.time, "monotonic", lambda: float(next(now)))
    found = improve(Computed(EFFECTS), budget="20 seconds")
    assert found.outcome == "budget"
    assert found.run is not None
    with pytest.raises(InputError, match="too small for one training"):
        improve(Computed(EFFECTS), budget=1.5)


def test_an_interruption_keeps_the_ledger_and_the_same_call_goes_on(improve, tmp_path):
    whole = improve(Computed(EFFECTS))

    class Stopped(Computed):
        def experiment(self, *arguments):
            if len(self.trained) == 2:
                raise KeyboardInterrupt
            return super().experiment(*arguments)

    events = []
    stopped = improve(Stopped(EFFECTS), folder=tmp_path, on_event=events.append)
    assert stopped.outcome == "interrupted"
    assert stopped.run is None
    assert "under way is left out" in events[-1].text
    assert len(stopped.ledger) == 2
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"cut')  # a crash in the middle of a line
    bench = Computed(EFFECTS)
    resumed = improve(bench, folder=tmp_path)
    assert [entry.repeated for entry in resumed.ledger[:3]] == [True, True, False]
    assert len(bench.trained) == len(whole.ledger) - 2
    assert resumed.treatments == whole.treatments
    assert [e.experiment.scores for e in resumed.ledger] == [e.experiment.scores for e in whole.ledger]
    with pytest.raises(InputError, match="what another improvement remembers"):
        improve(Computed(EFFECTS), folder=tmp_path, seeds=4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": "soon"}, "90 s"),
        ({"budget": 0}, "too small for one training"),
        ({"budget": True}, "takes seconds"),
        ({"folds": 1}, "at least 2"),
        ({"seeds": 1}, "give at least 2"),
        ({"holdout": 1}, "share"),
        ({"trainings": 0}, "trainings = 0"),
    ],
)
def test_mistakes_are_said_before_any_work(improve, options, words):
    bench = Computed(EFFECTS)
    with pytest.raises(InputError, match=words):
        improve(bench, **options)
    assert not bench.trained


class Diverged(Computed):
    """The control's scores differ from fold to fold by orders, so that no t-test sees what the treatment gains."""

    def experiment(self, control, arms, seeds, partition, on_progress):
        found = super().experiment(control, arms, seeds, partition, on_progress)
        bad = np.tile(10.0 ** np.arange(5), len(seeds))
        scores = {arm: np.array(values) + (0 if self.cured(arm) else bad) for arm, values in found.scores.items()}
        if self.cured("+".join(control)):
            return found
        shaped = {arm: values.reshape(len(seeds), 5) for arm, values in scores.items()}
        compared = compare(shaped["control"], {arm: shaped[arm] for arm in arms}, share=0.25)
        plain = {arm: tuple(values) for arm, values in scores.items()}
        return replace(found, scores=plain, comparisons=compared)

    @staticmethod
    def cured(name):
        return "raise-learning-rate" in name


def test_what_is_better_on_every_fold_of_both_experiments_is_kept(improve):
    events = []
    found = improve(Diverged({"raise-learning-rate": 0.0, "use-adam": 0.0}), on_event=events.append)
    assert "raise-learning-rate" in found.treatments
    assert [entry.stage for entry in found.ledger[:2]] == ["screen", "confirm"]
    decisive = found.ledger[1]
    assert decisive.experiment[decisive.kept].decision == "cannot tell"
    assert any("better on every fold of both experiments" in event.text for event in events)


def test_chance_is_seldom_better_on_every_fold_of_both_experiments():
    rng = np.random.default_rng(0)

    def chance(arms, seeds):
        gains = rng.normal(size=(arms, seeds, 5)) + rng.normal(size=(1, 1, 5))  # the control's luck is in all arms
        compared = [
            Comparison(f"{arm}", tuple(each.ravel()), 0.0, 0.0, 0.0, 1.0, 1.0, "cannot tell")
            for arm, each in enumerate(gains)
        ]
        return Experiment("", "", "", "", "", "loss", seeds=tuple(range(seeds)), folds=5, comparisons=tuple(compared))

    kept = sum(bool(_always_better(chance(8, 1), chance(3, 2))) for _ in range(2000))
    assert kept / 2000 < 0.02
    assert not _always_better(None, chance(1, 1))


def test_what_cures_all_findings_comes_first():
    found = Diagnosis((SLOW, SMALL, Finding("dead-relu", "S17", "learning", "note", 0.9, "Dead.")))
    effects = dict.fromkeys(("raise-learning-rate", "wider-layers", "warm-up", "add-dropout"), 0.0)
    names = [one.treatments for one in candidates(Computed(effects), (), found, tried=())]
    assert names[:3] == [
        ("raise-learning-rate", "wider-layers"),
        ("raise-learning-rate", "wider-layers", "warm-up"),
        ("raise-learning-rate",),
    ]


def test_what_a_treatment_was_kept_for_is_treated_further_before_what_often_pays():
    bench = Computed(dict.fromkeys(("raise-learning-rate", "more-epochs", "use-adam", "add-dropout"), 0.0))
    found = candidates(bench, ("raise-learning-rate",), Diagnosis(), tried=(), treated=[SLOW.symptom],
                       kept=["raise-learning-rate"])  # fmt: skip
    told = [(one.treatments, one.reason, one.tier) for one in found]
    assert told[0] == (("more-epochs",), SLOW.symptom, 0)
    assert told[-1] == (("add-dropout",), "", 1)


def gains(**values):
    """One seed, five folds: arm -> a `Comparison` with these paired gains."""
    named = {name.replace("_", "-"): np.asarray(each) for name, each in values.items()}
    found = compare(np.ones((1, 5)), {name: 1 - each[None] for name, each in named.items()}, share=0.25)
    return Experiment("", "", "", "", "", "loss", seeds=(0,), folds=5, comparisons=found)


def arms(reason="learning-rate-too-low", **treatments):
    named = {name.replace("_", "-"): each for name, each in treatments.items()}
    return [Candidate(name, each, reason, None, name) for name, each in named.items()]


def test_a_larger_dose_needs_no_better_reason_but_a_further_treatment_does():
    noise = np.array([0.0, 0.02, -0.02, 0.01, -0.01])
    tried = gains(once=0.5 + noise, twice=0.52 + noise, both=0.53 + noise[::-1] * 3)
    once, twice, both = ("raise-learning-rate",), ("raise-learning-rate",) * 2, ("raise-learning-rate", "use-adam")
    assert preferred(tried, arms(once=once, twice=twice, both=both), None).name == "twice"
    assert preferred(gains(once=0.5 + noise, both=0.6 + noise), arms(once=once, both=both), None).name == "both"


def test_a_confirmation_asks_of_what_was_diagnosed_whether_it_helps_and_no_more():
    slight = gains(shuffle=[0.01, 0.06, 0.03, 0.05, 0.02])
    assert slight["shuffle"].decision == "cannot tell"
    assert 0.05 < slight["shuffle"].p_adjusted < 0.1
    shuffled = {"shuffle": ("shuffle",)}
    assert preferred(slight, arms("not-shuffled", **shuffled), gains(shuffle=[0.1, -0.1, 0.1, 0, 0])).name == "shuffle"
    assert preferred(slight, arms("", **shuffled), gains(shuffle=[0.1, -0.1, 0.1, 0, 0])) is None
    assert preferred(slight, arms("not-shuffled", **shuffled), None) is None


def test_it_ends_where_nothing_is_left_to_gain(improve):
    class Solved(Computed):
        def constant(self, metric):
            return 1.0

    found = improve(Solved({"raise-learning-rate": 0.995, "use-adam": 0.0, "wider-layers": 0.0}))
    assert found.outcome == "solved"
    assert found.treatments == ("raise-learning-rate",)
    assert len(found.ledger) == 1
    assert improve(Solved({"raise-learning-rate": 0.5, "use-adam": 0.0})).outcome == "nothing helps"


class Chance(Computed):
    """Nothing helps: every design has its own luck on every fold and with every seed."""

    def __init__(self, number):
        super().__init__(dict.fromkeys(GENERAL, 0.0), findings=())
        self.rng, self.luck = np.random.default_rng(number), {}

    def experiment(self, control, arms, seeds, partition, on_progress):
        def drawn(subject):
            keys = [(self.key(subject), seed, partition) for seed in seeds]
            return np.stack([self.luck.setdefault(key, self.rng.normal(1.0, 0.05, 5)) for key in keys])

        scores = {arm: drawn(subject) for arm, subject in {"control": control, **arms}.items()}
        found = compare(scores["control"], {arm: scores[arm] for arm in arms}, share=0.25)
        plain = {arm: tuple(values.ravel()) for arm, values in scores.items()}
        return Experiment(
            "", "", "", "", "", "log_loss", seeds=tuple(seeds), folds=5, scores=plain, comparisons=found
        )


@pytest.mark.slow
def test_where_nothing_helps_a_whole_improvement_seldom_keeps_something(improve):
    found = [improve(Chance(number)) for number in range(100)]
    assert np.mean([len(one.ledger) for one in found]) > 5
    assert sum(bool(one.treatments) for one in found) <= 10
