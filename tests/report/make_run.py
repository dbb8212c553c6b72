"""Runs made by hand: what a training would leave behind, with numbers that hang together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fallline.score import score
from fallline.types import (
    ColumnSummary,
    Diagnosis,
    EnsembleRecipe,
    Finding,
    HeldOut,
    NetworkRecipe,
    OptimizerRecipe,
    Recipe,
    Run,
    Score,
    SplitRecipe,
    Summary,
    Trace,
    TrainingRecipe,
)

__all__ = ["HOSTILE", "MAKERS", "long_names", "make_run"]

HOSTILE = (
    '<script>alert("x")</script>',
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'); DROP TABLE runs;--",
    "javascript:alert(1)",
    "a\x00b\x1b[31mred\x07",
    "\u202eright to left\u202c",
    "https://example.com/track.png",
    "]]><svg onload=alert(1)>",
    "&lt;already&amp;escaped&gt;",
    '=HYPERLINK("http://example.com")',
    "\ud800lone surrogate",
)

ENVIRONMENT = {
    "python": "3.12.4",
    "packages": {"fallline": "0.1.0", "numpy": "2.4.0", "jax": "0.10.2", "keras": "3.15.0"},
    "platform": "Linux-6.8-x86_64",
    "machine": "x86_64",
    "processors": 2,
    "seed": 0,
    "time": "2026-03-02T09:30:00+00:00",
    "fingerprint": "9f86d081884c7d659a2feaa0c55ad015" * 2,
}


def trace_of(
    rng: np.random.Generator,
    members: int,
    epochs: int,
    metrics: dict[str, tuple[float, float]],
    *,
    overfit: bool = True,
    top: float = 0.7,
    floor: float = 0.08,
) -> tuple[Trace, list[dict[str, Any]]]:
    """Learning curves with a turn of the validation loss, a metric per entry (from, to), and a cosine rate."""
    columns: dict[str, list[Any]] = {k: [] for k in ("member", "epoch", "layer", "quantity", "value")}
    told = []
    for m in range(members):
        last = epochs if members == 1 else int(rng.integers(max(1, epochs * 2 // 3), epochs + 1))
        t = np.arange(1, last + 1)
        pace = epochs / 6 * rng.uniform(0.8, 1.2)
        loss = floor + (top - floor) * np.exp(-t / pace) + rng.normal(0, 0.004, last)
        val = loss + 0.03 + (0.10 * np.maximum(t / epochs - 0.4, 0) if overfit else 0) + rng.normal(0, 0.008, last)
        curves = {
            "loss": loss,
            "val_loss": val,
            "running_loss": loss + 0.05 + rng.normal(0, 0.01, last),
            "learning_rate": 0.01 * (1 + np.cos(np.pi * t / epochs)) / 2 + 1e-5,
        }
        for name, (start, end) in metrics.items():
            curve = end + (start - end) * np.exp(-t / pace)
            curves[name] = curve
            curves[f"val_{name}"] = curve + 0.06 * (start - end) + rng.normal(0, abs(start - end) * 0.03, last)
        best = int(val.argmin()) + 1
        told.append({"outcome": "stopped_early", "best_epoch": best, "best_val_loss": float(val[best - 1])})
        for name, values in curves.items():
            columns["member"] += [m] * last
            columns["epoch"] += t.tolist()
            columns["layer"] += [""] * last
            columns["quantity"] += [name] * last
            columns["value"] += values.tolist()
    return Trace.from_columns(columns), told


def numeric_column(rng: np.random.Generator, name: str, association: float, **more: Any) -> ColumnSummary:
    values = rng.gamma(rng.uniform(1, 9), 3, 400) * rng.choice([0.01, 1, 100])
    counts, edges = np.histogram(values, 20)
    q = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    statistics = dict(zip(("min", "q25", "median", "q75", "max"), q.tolist(), strict=True))
    statistics |= {"mean": float(values.mean()), "sd": float(values.std())}
    missing = more.pop("missing", 0)
    return ColumnSummary(
        name, "numeric", 400 - missing, missing, 380, statistics, (edges, counts), (), association, **more
    )


def category_column(name: str, levels: tuple[tuple[str, int], ...], distinct: int, association: float) -> ColumnSummary:
    return ColumnSummary(name, "category", sum(n for _, n in levels) + 40, 12, distinct, {}, None, levels, association)


def summary_of(
    rng: np.random.Generator,
    names: list[str],
    class_counts: dict[str, int],
    targets: tuple[ColumnSummary, ...] = (),
    **more: Any,
) -> Summary:
    columns = [
        numeric_column(rng, n, float(a), missing=int(rng.integers(0, 2) * rng.integers(0, 60)))
        for n, a in zip(names, np.sort(rng.beta(2, 3, len(names)))[::-1], strict=True)
    ]
    columns += [
        category_column("region", (("north", 150), ("south-east", 100), ("west", 70), ("east", 30)), 9, 0.41),
        ColumnSummary("customer_id", "left_out", 400, 0, 400, remark="Every value is different: an id."),
    ]
    return Summary(more.pop("rows", 412), tuple(columns), targets, class_counts, more.pop("duplicate_rows", 3), **more)


def recipe_of(folds: int = 5, members: int = 16) -> Recipe:
    return Recipe(
        split=SplitRecipe(folds=folds),
        network=NetworkRecipe(hidden=(256, 256), activation="mish"),
        optimizer=OptimizerRecipe(name="adamw", learning_rate=0.004),
        training=TrainingRecipe(epochs=200, batch_size=256),
        ensemble=EnsembleRecipe(members=members),
    )


OVERFIT = Finding(
    "overfit",
    "S3",
    "generalisation",
    "warning",
    0.86,
    "After epoch 23 the validation loss rises from 0.142 to 0.181 while the training loss goes on falling.",
    {"best_epoch": 23, "best_val_loss": 0.142, "last_val_loss": 0.181, "rise": 0.275},
    "The network has begun to learn the noise of the training rows.",
    ("stop at the best epoch (early stopping is on)", "raise dropout to 0.2", "raise weight decay tenfold"),
    epoch=23,
)
IMBALANCE = Finding(
    "class-imbalance",
    "S25",
    "learning",
    "note",
    0.99,
    "The rarest class has 37 % of the rows.",
    {"share_of_rarest": 0.372, "classes": 2},
    "The classes are not equally frequent.",
    ("training.class_weight=balanced",),
)
GOOD = Finding(
    "good-fit",
    "S4",
    "generalisation",
    "note",
    0.9,
    "Both losses fell together and the gap stayed small.",
    {"gap": 0.012},
    "",
    (),
    epoch=40,
)
EXAMINED = (
    "underfit-flat",
    "underfit-stopped-early",
    "overfit",
    "good-fit",
    "oscillation",
    "divergence",
    "class-imbalance",
    "no-skill",
)
MISSING = {"vanishing-gradients": "gradients per layer were not watched", "dead-relu": "activations were not watched"}


def baselines_of(kind: str, y: np.ndarray, dummy: np.ndarray, linear: np.ndarray) -> tuple[Score, ...]:
    return (*score(kind, y, dummy, who="dummy"), *score(kind, y, linear, who="linear"))  # type: ignore[arg-type]


def run_of(
    kind: str,
    y: np.ndarray,
    prediction: np.ndarray,
    others: tuple[np.ndarray, np.ndarray],
    trace: Trace,
    members: list[dict[str, Any]],
    summary: Summary | None,
    *,
    targets: tuple[str, ...],
    classes: tuple[Any, ...] = (),
    findings: tuple[Finding, ...] = (),
    name: str = "heart-0302-0930",
    **more: Any,
) -> Run:
    facts = {
        "name": name,
        "kind": kind,
        "target_names": list(targets),
        "classes": list(classes),
        "n_rows": 412,
        "notes": [
            "4 rows without a target were left out.",
            "Column customer_id was left out: every value is different.",
        ],
        "source": "data/heart.csv",
        "fingerprint": ENVIRONMENT["fingerprint"],
        "seconds": 12.4,
        "members": members,
        "temperature": 1.13,
        "parameters": 145_922,
    } | more.pop("facts", {})
    scores = (*score(kind, y, prediction), *baselines_of(kind, y, *others))  # type: ignore[arg-type]
    return Run(
        model=None,
        trace=trace,
        outcome=more.pop("outcome", "stopped_early"),
        recipe=more.pop("recipe", recipe_of(members=len(members))),
        diagnosis=Diagnosis(findings, MISSING, EXAMINED),
        scores=scores,
        held_out=HeldOut(y, prediction),
        summary=summary,
        facts=facts,
        environment=ENVIRONMENT,
        **more,
    )


def binary(seed: int = 0, n: int = 82) -> Run:
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.4, 2.6, n)
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    p = 1 / (1 + np.exp(-1.1 * logit))
    linear = 1 / (1 + np.exp(-0.55 * logit - rng.normal(0, 0.8, n)))
    trace, told = trace_of(rng, 8, 60, {"accuracy": (0.6, 0.95)})
    names = [
        "mean radius",
        "worst concave points",
        "mean texture",
        "area error",
        "worst smoothness",
        "mean symmetry",
        "fractal dimension",
    ]
    target = category_column("diagnosis", (("benign", 257), ("malignant", 155)), 2, math.nan)
    summary = summary_of(
        rng,
        names,
        {"benign": 257, "malignant": 155},
        (target,),
        correlated=(("mean radius", "area error", 0.973),),
        remarks=("Two columns have missing values.",),
    )
    return run_of(
        "binary",
        y,
        p,
        (np.full(n, 0.6), linear),
        trace,
        told,
        summary,
        targets=("diagnosis",),
        classes=("benign", "malignant"),
        findings=(OVERFIT, IMBALANCE),
    )


def multiclass(seed: int = 1, n: int = 2000) -> Run:
    rng = np.random.default_rng(seed)
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    y = rng.integers(0, 26, n)
    z = rng.normal(size=(n, 26)) + 5.5 * np.eye(26)[y] + 2.5 * np.eye(26)[(y * 7 + 3) % 26]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    weak = np.exp(z * 0.6) / np.exp(z * 0.6).sum(1, keepdims=True)
    trace, told = trace_of(rng, 16, 300, {"accuracy": (0.1, 0.93)}, overfit=False, top=3.2, floor=0.06)
    summary = summary_of(
        rng,
        [f"edge count {k}" for k in range(16)],
        {c: int(n) for c, n in zip(letters, rng.integers(700, 820, 26), strict=True)},
        rows=10_000,
        duplicate_rows=0,
        leakage=(("edge count 3", "alone it predicts the target with 99.8 % accuracy"),),
    )
    return run_of(
        "multiclass",
        y,
        p,
        (np.full((n, 26), 1 / 26), weak),
        trace,
        told,
        summary,
        targets=("letter",),
        classes=letters,
        findings=(GOOD,),
    )


def regression(seed: int = 2, n: int = 4128) -> Run:
    rng = np.random.default_rng(seed)
    y = np.minimum(rng.gamma(3, 70_000, n), 500_001)
    p = np.clip(y + rng.normal(0, 1, n) * (12_000 + 0.15 * y), 0, 560_000)
    linear = y * 0.62 + 80_000 + rng.normal(0, 60_000, n)
    trace, told = trace_of(rng, 1, 120, {"rmse": (140_000.0, 42_000.0)}, overfit=False, top=40.0, floor=0.15)
    counts, edges = np.histogram(y, 30)
    target = ColumnSummary(
        "median_house_value",
        "numeric",
        n,
        0,
        3000,
        {"median": 190_000.0, "min": 4000.0, "max": 500_001.0},
        (edges, counts),
    )
    summary = summary_of(
        rng, ["median income", "rooms", "latitude", "longitude", "age", "population"], {}, (target,), rows=20_640
    )
    return run_of(
        "regression",
        y,
        p,
        (np.full(n, y.mean()), linear),
        trace,
        told,
        summary,
        targets=("median_house_value",),
        findings=(GOOD,),
        recipe=recipe_of(1, 1),
        facts={"source": "data/california.csv"},
        name="california-01",
    )


def multioutput(seed: int = 3, n: int = 90) -> Run:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 3)) * [1, 10, 1000]
    p = y + rng.normal(size=(n, 3)) * [0.4, 5, 900]
    trace, told = trace_of(rng, 4, 40, {"rmse": (1.0, 0.4)})
    counts, edges = np.histogram(y[:, 0], 12)
    targets = tuple(
        ColumnSummary(t, "numeric", n, 0, n, {"median": 0.0}, (edges, counts)) for t in ("chins", "situps", "jumps")
    )
    return run_of(
        "multioutput",
        y,
        p,
        (np.zeros((n, 3)), y * 0.5),
        trace,
        told,
        summary_of(rng, ["weight", "waist", "pulse"], {}, targets),
        targets=("chins", "situps", "jumps"),
        findings=(OVERFIT,),
    )


def multilabel(seed: int = 4, n: int = 300) -> Run:
    rng = np.random.default_rng(seed)
    y = (rng.uniform(size=(n, 5)) < [0.5, 0.3, 0.2, 0.1, 0.03]).astype(np.int64)
    p = np.clip(y * 0.6 + rng.beta(1, 4, (n, 5)), 0.001, 0.999)
    trace, told = trace_of(rng, 4, 40, {"accuracy": (0.7, 0.95)})
    labels = ("politics", "sports", "arts", "science", "weather")
    summary = summary_of(rng, ["length", "commas"], {label: int(v) for label, v in zip(labels, y.sum(0), strict=True)})
    return run_of(
        "multilabel", y, p, (np.tile(y.mean(0), (n, 1)), np.clip(p * 0.7, 0, 1)), trace, told, summary, targets=labels
    )


def keras_model(seed: int = 5) -> Run:
    """A user's own Keras model: arrays, no table, no recipe, no test rows."""
    rng = np.random.default_rng(seed)
    trace, _ = trace_of(rng, 1, 20, {"accuracy": (0.5, 0.8)}, overfit=False)
    return Run(
        model=None,
        trace=trace,
        outcome="completed",
        facts={"loss": "binary_crossentropy", "seconds": 3.2, "parameters": 501},
    )


def diverged(seed: int = 6) -> Run:
    rng = np.random.default_rng(seed)
    trace, told = trace_of(rng, 1, 30, {"accuracy": (0.5, 0.7)}, overfit=False)
    value = trace.value.copy()
    growing = np.isin(trace.quantity.astype(str), ["loss", "val_loss", "running_loss"])
    value[growing] *= np.exp(0.5 * trace.epoch[growing])
    value[(trace.epoch >= 18) & growing] = np.nan
    trace = Trace(trace.member, trace.epoch, trace.layer, trace.quantity, value)
    y = rng.integers(0, 2, 50)
    bad = np.full(50, np.nan)
    finding = Finding(
        "divergence",
        "S8",
        "learning",
        "serious",
        1.0,
        "The loss stopped being a number at epoch 18.",
        {"epoch": 18, "largest_loss": 4100.0, "learning_rate": 3.0},
        "The learning rate is far too high.",
        ("optimizer.learning_rate=0.3", "optimizer.clip_norm=1"),
        epoch=18,
    )
    run = run_of(
        "binary",
        y,
        bad,
        (np.full(50, 0.5), np.full(50, 0.4)),
        trace,
        told,
        None,
        targets=("y",),
        classes=(0, 1),
        findings=(finding,),
        outcome="diverged",
    )
    return run.with_(
        facts=dict(run.facts) | {"members": [{"outcome": "diverged", "best_epoch": None, "best_val_loss": None}]}
    )


def one_epoch() -> Run:
    rng = np.random.default_rng(7)
    trace, told = trace_of(rng, 1, 1, {"accuracy": (0.5, 0.8)})
    y = rng.integers(0, 2, 30)
    return run_of(
        "binary",
        y,
        np.clip(y * 0.5 + rng.uniform(0, 0.5, 30), 0, 1),
        (np.full(30, 0.5), np.full(30, 0.5)),
        trace,
        told,
        None,
        targets=("y",),
        classes=(0, 1),
        recipe=recipe_of(1, 1),
    )


def wide(columns: int = 1000) -> Run:
    rng = np.random.default_rng(8)
    run = binary()
    many = tuple(numeric_column(rng, f"gene_{k:05d}", float(a)) for k, a in enumerate(rng.beta(1, 8, columns)))
    assert run.summary is not None
    return run.with_(summary=Summary(412, many, (), run.summary.class_counts, 0))


def hostile() -> Run:
    """Names that try to leave their place: every text field of a run holds them."""
    rng = np.random.default_rng(9)
    bad = HOSTILE
    k = len(bad)
    y = rng.integers(0, k, 200)
    z = rng.normal(size=(200, k)) + 3 * np.eye(k)[y]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    trace, told = trace_of(rng, 2, 12, {bad[0]: (0.5, 0.9), "accuracy": (0.4, 0.9)})
    told = [dict(m) | {"outcome": bad[2]} for m in told]
    columns = [numeric_column(rng, b, 0.5, remark=b) for b in bad]
    columns += [ColumnSummary(bad[1], bad[2], 10, 1, 3, {}, None, tuple((b, 3) for b in bad))]
    summary = Summary(
        200, tuple(columns), (), dict.fromkeys(bad, 10), 2, ((bad[0], bad[1], 0.99),), ((bad[2], bad[4]),), bad
    )
    finding = Finding(
        bad[0], bad[1], "learning", "serious", 0.5, bad[2], {bad[0]: bad[1], "n": 3}, bad[5], bad, bad[0], 5
    )
    run = run_of(
        "multiclass",
        y,
        p,
        (np.full((200, k), 1 / k), p),
        trace,
        told,
        summary,
        targets=(bad[0],),
        classes=bad,
        findings=(finding,),
        name=bad[0],
        facts={
            "source": bad[1],
            "notes": list(bad),
            "fingerprint": bad[2],
            "loss": bad[3],
            "seconds": bad[0],
            "parameters": bad[1],
            "temperature": bad[2],
        },
    )
    return run.with_(
        environment={bad[0]: bad[1], "packages": {bad[2]: bad[0]}, "time": bad[4], "fingerprint": bad[5]},
        diagnosis=Diagnosis((finding,), {bad[0]: bad[1]}, bad),
    )


def long_names(columns: int = 10_000) -> Run:
    """The largest page: very many columns, all with long names that grow when they are escaped."""
    run = multiclass()
    assert run.summary is not None
    long = tuple(
        ColumnSummary(
            f"{'<&>' * 400}{k}",
            "category",
            9,
            1,
            3,
            {},
            None,
            tuple(("\"'" * 300, 3) for _ in range(20)),
            0.5,
            "<" * 5000,
        )
        for k in range(columns)
    )
    counts = {f"{'&' * 300}{k}": 3 for k in range(5000)}
    return run.with_(
        summary=Summary(
            9,
            long,
            (),
            counts,
            0,
            tuple((c.name, c.name, 0.99) for c in long),
            tuple((c.name, "<" * 900) for c in long),
            ("&" * 900,) * 5000,
        )
    )


MAKERS = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
    "multioutput": multioutput,
    "multilabel": multilabel,
    "keras_model": keras_model,
    "diverged": diverged,
    "one_epoch": one_epoch,
    "wide": wide,
    "hostile": hostile,
}


def make_run(name: str) -> Run:
    """Return the run of that name."""
    return MAKERS[name]()
