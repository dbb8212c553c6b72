"""What a report may be given beside a run: the inside of its layers, and the experiments behind it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.types import (
    Choice,
    Comparison,
    Diagnosis,
    Difference,
    Dimension,
    Evaluation,
    Experiment,
    FinalModel,
    Finding,
    Inside,
    Range,
    Run,
    Score,
    Search,
    Step,
    Story,
    Trial,
)
from tests.report.make_run import HOSTILE, MAKERS, OVERFIT, make_run, recipe_of

__all__ = ["evaluation", "experiment", "pages_of", "search", "story", "watched"]

VANISHING = Finding(
    "vanishing-gradients", "S13", "learning", "serious", 0.93,
    "At the first layer the gradient is 3,000 times smaller than at the last.", {"ratio": 0.00033},
    "Sigmoid units pass on at most a quarter of the gradient.", ("use relu", "normalise layers"), "dense", 12,
)  # fmt: skip


def watched(layers: tuple[str, ...] = ("dense", "dense_1", "dense_2", "out"), run: Run | None = None) -> Run:
    """A run whose layers were looked at: the gradient fades towards the first, half of the units die."""
    rng = np.random.default_rng(0)
    epochs = np.array([0, 1, 2, 4, 8, 12, 20, 30, 40, 48])
    depth, t = len(layers), len(epochs)
    fade = 10.0 ** -(np.arange(depth)[::-1])[None, :] * np.exp(-epochs / 30)[:, None]
    dead = np.clip(epochs / 60, 0, 1)[:, None] * np.array([1.0] + [0.1] * (depth - 1))[None, :]
    dead[:, -1] = np.nan  # no ReLU there
    values = {
        "gradient_norm": (fade * rng.uniform(0.8, 1.2, (t, depth)))[None].astype(np.float32),
        "update_ratio": (fade / 500)[None].astype(np.float32),
        "dead_share": dead[None].astype(np.float32),
        "zero_share": dead[None].astype(np.float32),
    }
    dense, relu = ("Dense",) * depth, ("relu",) * (depth - 1) + ("",)
    inside = Inside(layers, dense, relu, depth - 1, epochs, values)
    run = run or make_run("binary")
    findings = (VANISHING, *run.diagnosis.findings)
    held, columns = run.held_out, tuple(c.name for c in run.summary.columns[:8]) if run.summary else ()
    assert held is not None
    final = FinalModel(
        "model.keras", "5ccf76e8da40df9d" * 4, 512_291, "test", len(held.y), 0.0, np.arange(6) * 7, held.y[:6],
        held.prediction[:6], held.prediction[:6], "log_loss", columns,
        np.geomspace(0.2, 0.002, len(columns))[:, None] + rng.normal(0, 0.01, (len(columns), 5)), 82, 3,
    )  # fmt: skip
    return run.with_(
        final=final,
        trace=run.trace.with_inside(inside),
        diagnosis=Diagnosis(findings, run.diagnosis.not_examined, run.diagnosis.examined),
    )


def experiment(text: str = "") -> Experiment:
    """Two arms beside a control: the first helps, the second cannot be told."""
    rng = np.random.default_rng(1)
    control = 0.45 + 0.02 * rng.normal(size=10)
    gains = {"add-dropout": 0.06 + 0.02 * rng.normal(size=10), "use-adam" + text: 0.004 + 0.03 * rng.normal(size=10)}
    comparisons = (
        Comparison("add-dropout", tuple(gains["add-dropout"]), 0.06, 0.04, 0.08, 0.001, 0.002, "helps"),
        Comparison("use-adam" + text, tuple(gains["use-adam" + text]), 0.004, -0.03, 0.04, 0.7, 0.7, "cannot tell", 9),
    )
    return Experiment(
        "Does anything help against the overfitting?" + text,
        "Dropout should: the training loss goes on falling while the validation loss rises." + text,
        "2 seeds x 5 folds, 330 training rows; corrected resampled t-test, Holm over 2 arms." + text,
        "add-dropout +0.060 [0.040, 0.080]; use-adam +0.004 [-0.030, 0.040]" + text,
        "add-dropout helps; for use-adam nothing can be told." + text,
        "log_loss", (0, 1), 5, comparisons=comparisons,
        scores={"control": tuple(control), **{arm: tuple(control - gain) for arm, gain in gains.items()}},
    )  # fmt: skip


def story(text: str = "") -> Story:
    """A screening, a confirmation that kept something, and the scores on rows that no choice saw."""
    reasons = (("add-dropout", "overfit" + text), ("use-adam" + text, ""))
    scores = tuple(
        Score("log_loss", value, value - 0.05, value + 0.05, n=82, who=who)
        for who, value in (("model", 0.39), ("control", 0.45), ("linear", 0.56), ("dummy", 0.69))
    )
    steps = (
        Step(experiment(text), "screened" + text, reasons),
        Step(experiment(text), "confirmed", reasons, "add-dropout"),
    )
    return Story(steps, ("add-dropout",), scores, "nothing helps" + text, 60)


def evaluation(text: str = "", folds: int = 5) -> Evaluation:
    """Two recipes beside two baselines on the same folds; nested, so that something was chosen."""
    rng = np.random.default_rng(2)
    names, level = ("default" + text, "simple", "dummy", "linear"), (0.40, 0.44, 0.69, 0.52)
    easy = rng.normal(0, 0.03, (folds, 1))
    values = {one: at + easy + rng.normal(0, 0.01, (folds, 2)) for one, at in zip(names, level, strict=True)}
    scores = tuple(
        Score(key, at if key == "log_loss" else 1 - at, *(v if key == "log_loss" else 1 - v for v in ends), "test", 400,
              one, key == "accuracy")
        for key in ("log_loss", "accuracy") for one, at in zip(names, level, strict=True)
        for ends in [(at - 0.05, at + 0.05)]
    )  # fmt: skip
    gaps = [(a, b, level[i] - level[j]) for i, a in enumerate(names) for j, b in enumerate(names) if i < j]
    differences = tuple(
        Difference(a, b, "log_loss", gap, gap - 0.06, gap + 0.06, 0.3 if abs(gap) < 0.06 else 0.001)
        for a, b, gap in gaps
    )
    rows = tuple((np.arange(320), np.arange(80)) for _ in range(folds))
    return Evaluation(
        "log_loss", False, "5 folds, stratified, 2 seeds" + text, names, {"log_loss": values}, scores, differences,
        rows, (0, 1), (recipe_of(),), 0.37, 40, ("2 rows without a target were left out." + text,),
    )  # fmt: skip


def search(text: str = "") -> Search:
    """Forty trials over a rate, a width and a choice; the best lies on the border, and one diverged."""
    rng = np.random.default_rng(3)
    space: dict[str, Dimension] = {
        "optimizer.learning_rate": Range(1e-4, 1e-1, log=True),
        "network.dropout": Range(0.0, 0.5),
        "network.activation": Choice(("relu" + text, "tanh", "mish")),
    }
    trials = []
    for i in range(40):
        rate, drop = 10 ** rng.uniform(-4, -1), rng.uniform(0, 0.5)
        value = 0.4 + 0.1 * (np.log10(rate) + 1.2) ** 2 + 0.1 * drop + 0.01 * rng.normal()
        point = {"optimizer.learning_rate": rate, "network.dropout": drop, "network.activation": "tanh"}
        trials.append(Trial(i, point, float("nan") if i == 7 else value, ((value,),), None, int(i == 7), recipe_of()))
    told = "The best rate is the largest." + text
    finding = Finding("best-value-on-border", "S33", "prediction", "warning", 0.9, told)
    return Search("log_loss", False, "random", space, tuple(trials), (finding,), "completed", 200, 400)


def pages_of() -> dict[str, Any]:
    """Everything made by hand of which there is a report."""
    made: dict[str, Any] = {name: make() for name, make in MAKERS.items()}
    made |= {"evaluation": evaluation(), "search": search(), "experiment": experiment()}
    made |= {"hostile evaluation": evaluation(HOSTILE[0]), "hostile search": search(HOSTILE[1])}
    made["hostile experiment"] = experiment(HOSTILE[2])
    made["watched"] = watched().with_(story=story())
    bad = HOSTILE[0]
    facts = {"command": {"source": {"data": f"/tmp/{HOSTILE[2]}; rm -rf ~"}}}
    hostile = make_run("hostile")
    hostile = hostile.with_(facts={**hostile.facts, **facts}, diagnosis=Diagnosis((OVERFIT,), {}, ()))
    made["hostile story"] = watched(tuple(HOSTILE[:4]), hostile).with_(story=story(bad))
    return made
