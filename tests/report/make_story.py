"""What a report may be given beside a run: the inside of its layers, and the experiments behind it."""

from __future__ import annotations

import numpy as np

from fallline.report import Step, Story
from fallline.types import Comparison, Diagnosis, Experiment, FinalModel, Finding, Inside, Run, Score
from tests.report.make_run import HOSTILE, MAKERS, OVERFIT, make_run

__all__ = ["experiment", "pages_of", "story", "watched"]

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
        "log_loss", (0, 1), 5,
        {"control": tuple(control), **{arm: tuple(control - gain) for arm, gain in gains.items()}}, comparisons,
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
        Step(experiment(text), "confirmed", reasons, ("add-dropout",)),
    )
    return Story(steps, ("add-dropout",), scores, "nothing helps" + text, 60)


def pages_of() -> dict[str, tuple[Run, Story | None]]:
    """Every run made by hand, with the story it came with."""
    made: dict[str, tuple[Run, Story | None]] = {name: (make(), None) for name, make in MAKERS.items()}
    made["watched"] = (watched(), story())
    bad = HOSTILE[0]
    facts = {"command": {"source": {"data": f"/tmp/{HOSTILE[2]}; rm -rf ~"}}}
    hostile = make_run("hostile")
    hostile = hostile.with_(facts={**hostile.facts, **facts}, diagnosis=Diagnosis((OVERFIT,), {}, ()))
    made["hostile story"] = (watched(tuple(HOSTILE[:4]), hostile), story(bad))
    return made
