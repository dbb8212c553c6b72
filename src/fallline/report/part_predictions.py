"""Held-out predictions, drawn."""

from __future__ import annotations

import numpy as np

from fallline.report.chart_predictions import (
    MOST_CELLS,
    calibration_chart,
    confusion_chart,
    residual_chart,
    scatter_chart,
)
from fallline.report.document import Block, Cell, Figure, Line, Paragraph, Part, Row, Span, Table
from fallline.report.figures import Calibration, bins_for, calibration, confusion, worst_confusions
from fallline.report.text import count, number, percent, plural
from fallline.report.view import View
from fallline.score import area_under_curve

__all__ = ["predictions"]

_MOST_TARGETS = 4
_MOST_LABELS = 60


def predictions(view: View) -> Part | None:
    """Return the pictures behind the scores."""
    held = view.run.held_out
    if held is None or len(held.y) == 0 or not view.kind:
        return None
    y, prediction = np.asarray(held.y), np.asarray(held.prediction, np.float64)
    where = {"test": "test rows", "out_of_fold": "out-of-fold rows"}.get(held.rows, "held-out rows")
    lead = Paragraph(f"All pictures here are of the {count(len(y))} {where}.")
    finite = np.isfinite(prediction.reshape(len(y), -1)).all(axis=1)
    if not finite.any():
        return Part("Held-out predictions", (lead, Paragraph("No prediction is a number.")))
    y, prediction = y[finite], prediction[finite]
    blocks: list[Block] = [lead]
    if not finite.all():
        blocks.append(Paragraph(f"{plural(int((~finite).sum()), 'prediction')} without a number left out.", "small"))
    if view.kind in ("binary", "multiclass"):
        blocks += _classes(view, y.astype(np.int64), prediction)
    elif view.kind == "multilabel":
        blocks += _labels(view, y, prediction)
    else:
        blocks += _quantities(view, y.reshape(len(y), -1), prediction.reshape(len(y), -1))
    return Part("Held-out predictions", tuple(blocks))


def _classes(view: View, y: np.ndarray, prediction: np.ndarray) -> list[Block]:
    names = view.classes
    if view.kind == "binary":
        label, probability, outcome = (prediction > 0.5).astype(np.int64), prediction, y
        axis = f"predicted probability of {names[-1] if names else 'class 1'}"
    else:
        label = prediction.argmax(axis=1)
        probability, outcome = prediction.max(axis=1), label == y
        axis = "probability of the predicted class"
    k = 2 if view.kind == "binary" else prediction.shape[1]
    names = names if len(names) == k else tuple(str(i) for i in range(k))
    table = confusion(y, label, k)
    figures: list[Block] = []
    if k <= MOST_CELLS:
        figures.append(
            Figure(
                confusion_chart(table, names),
                "Each row is a true class; the shade is its share of the row. Blue: right, "
                "on the diagonal. Orange: confused.",
                "Confusion matrix",
            )
        )
    found = calibration(probability, outcome, bins_for(len(outcome)))
    figures.append(Figure(calibration_chart(found, axis), _calibrated(found), "Calibration"))
    blocks: list[Block] = [Row(tuple(figures))]
    if k > 2:
        rows = table.sum(axis=1)
        worst = tuple(
            ((Span(names[t], "mono"),), (Span(names[p], "mono"),), count(n), percent(n / max(int(rows[t]), 1)))
            for t, p, n in worst_confusions(table)
        )
        if worst:
            blocks.append(
                Table(
                    ("True class", "Predicted", "Rows", "Share of the true class"),
                    worst,
                    "Most frequent confusions",
                    numeric=frozenset({2, 3}),
                )
            )
    return blocks


def _calibrated(found: Calibration) -> Line:
    return (
        "Of the rows predicted with 70\u202f%, about 70\u202f% should come true: the dashed line. ",
        "The average distance from it, the expected calibration error, is ",
        Span(percent(found.error)),
        f" in {len(found.counts)} bins. Whiskers: 95\u202f% intervals (Wilson); bars: rows behind each point.",
    )


def _labels(view: View, y: np.ndarray, prediction: np.ndarray) -> list[Block]:
    found = calibration(prediction, y, bins_for(prediction.size))
    rows: list[tuple[Cell, ...]] = []
    names = view.targets if len(view.targets) == y.shape[1] else tuple(str(k) for k in range(y.shape[1]))
    for k, label in enumerate(names[:_MOST_LABELS]):
        t, p = y[:, k] == 1, prediction[:, k] > 0.5
        area = area_under_curve(y[:, k], prediction[:, k])[0]
        rows.append(
            (
                Span(label, "mono"),
                percent(float(t.mean())),
                percent(float((t == p).mean())),
                number(area),
                count(int((t & p).sum())),
                count(int((~t & p).sum())),
                count(int((t & ~p).sum())),
            )
        )
    heads = ("Label", "Present", "Accuracy", "AUC", "Found", "False alarms", "Missed")
    blocks: list[Block] = [
        Row(
            (
                Figure(
                    calibration_chart(found, "predicted probability of a label"),
                    _calibrated(found),
                    "Calibration, all labels",
                ),
            )
        ),
        Table(heads, tuple(rows), "Each label", numeric=frozenset(range(1, 7)), stacked=True),
    ]
    if len(names) > _MOST_LABELS:
        blocks.append(Paragraph(f"{count(len(names) - _MOST_LABELS)} more labels are not listed.", "small"))
    return blocks


def _quantities(view: View, y: np.ndarray, prediction: np.ndarray) -> list[Block]:
    names = view.targets if len(view.targets) == y.shape[1] else tuple(f"target {k + 1}" for k in range(y.shape[1]))
    blocks: list[Block] = []
    for k, target in enumerate(names[:_MOST_TARGETS]):
        label = target if y.shape[1] > 1 or view.targets else "value"
        heading = label if y.shape[1] > 1 else ""
        blocks.append(
            Row(
                (
                    Figure(
                        scatter_chart(y[:, k], prediction[:, k], label),
                        "Dashed: a perfect prediction.",
                        f"Predicted against true{': ' + heading if heading else ''}",
                    ),
                    Figure(
                        residual_chart(y[:, k], prediction[:, k], label),
                        "Dashed: no error. A funnel or a bend means that errors depend on the prediction.",
                        f"Errors{': ' + heading if heading else ''}",
                    ),
                )
            )
        )
    rows: list[tuple[Cell, ...]] = []
    for k, target in enumerate(names[:_MOST_LABELS]):
        errors = y[:, k] - prediction[:, k]
        q = np.quantile(errors, [0.05, 0.5, 0.95])
        variance = float(y[:, k].var())
        rows.append(
            (
                Span(target, "mono"),
                number(float(np.sqrt((errors**2).mean()))),
                number(float(np.abs(errors).mean())),
                number(1 - float((errors**2).mean()) / variance) if variance > 0 else "–",
                number(float(q[1])),
                f"{number(float(q[0]))} to {number(float(q[2]))}",
            )
        )
    heads = ("Target", "RMSE", "Mean absolute error", "R²", "Median error", "Nine in ten errors")
    blocks.append(
        Table(
            heads,
            tuple(rows),
            "Errors (true − predicted) in the target's units",
            numeric=frozenset(range(1, 6)),
            stacked=True,
        )
    )
    return blocks
