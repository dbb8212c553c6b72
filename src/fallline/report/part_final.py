"""The saved model, loaded again: rows that it predicts, and which columns it relies on."""

from __future__ import annotations

import math

import numpy as np

from fallline.report.chart_importance import importance_chart
from fallline.report.document import Block, Cell, Figure, Fold, Line, Paragraph, Part, Span, Table
from fallline.report.text import count, metric, name, number, percent, plural
from fallline.report.view import View
from fallline.types import FinalModel

__all__ = ["importance", "loaded_again"]

_MOST_DRAWN = 20
# Single precision has 24 bits: predictions that differ by less are the same, summed in another order.
_SAME = 1e-5
_NOT_LOADED = (
    "This report was not written from a run folder, so there is no file to load again. fallline train saves the "
    "model, loads it again and predicts the held-out rows; fallline report RUN does the same for a run that was saved."
)


def loaded_again(view: View) -> Part:
    """Return what the model does after it was read from its file."""
    title, final = "Saved, and loaded again", view.run.final
    if final is None:
        return Part(title, (Paragraph(_NOT_LOADED),))
    where = "held-out rows" if final.rows == "test" else "rows of the training part (none were kept apart)"
    lead: Line = (
        "The file ", Span(name(final.file, 80), "mono"), f" ({_bytes(final.size)}, SHA-256 {name(final.sha256, 12)}) ",
        f"was read from the disk and the network built anew. On {count(final.n)} {where} ", *_verdict(view, final),
    )  # fmt: skip
    return Part(title, (Paragraph(lead), _rows(view, final)))


def _bytes(size: int) -> str:
    return f"{number(size / 1e6, 2)} MB" if size >= 1e5 else f"{number(size / 1e3, 2)} kB"


def _verdict(view: View, final: FinalModel) -> tuple[str | Span, ...]:
    if math.isnan(final.largest):
        return (Span("some predictions are not numbers"), ", before and after.")
    if final.largest == 0:
        return ("it predicts ", Span("exactly the same numbers"), " as before it was saved.")
    scale = 1.0 if view.classification else float(np.abs(final.before).max()) or 1.0
    words = "the same numbers up to rounding" if final.largest <= _SAME * scale else "other numbers"
    gap = f" as before it was saved: the largest difference is {number(final.largest, 2)}."
    return ("it predicts ", Span(words), gap)


def _rows(view: View, final: FinalModel) -> Table:
    """Some rows: the truth, the prediction before saving and the one of the loaded model."""
    rows: list[tuple[Cell, ...]] = []
    for k, row in enumerate(np.asarray(final.row).tolist()):
        truth, before = _told(view, final.y[k], final.before[k])
        _, again = _told(view, final.y[k], final.again[k])
        rows.append((f"Row {count(int(row) + 1)}", truth, before, again))
    heads = ("Held-out row", "True", "Before it was saved", "Loaded again")
    caption = "The first of these rows, numbered as in the table without the rows that have no target"
    return Table(heads, tuple(rows), caption, numeric=frozenset({2, 3}), stacked=True)


def _told(view: View, y: np.ndarray, prediction: np.ndarray) -> tuple[Line, Line]:
    """(the truth, a prediction) of one row in words."""
    if view.kind == "binary" and view.classes:
        sure = float(prediction)
        label = view.classes[int(sure > 0.5)]
        return Span(view.classes[int(y)], "mono"), (Span(label, "mono"), f" ({percent(max(sure, 1 - sure), 2)})")
    if view.kind == "multiclass" and view.classes:
        best = int(np.argmax(prediction))
        words = (Span(view.classes[best], "mono"), f" ({percent(float(prediction[best]), 2)})")
        return Span(view.classes[int(y)], "mono"), words
    return _listed(np.atleast_1d(y)), _listed(np.atleast_1d(prediction))


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(number(float(v), 5) for v in values[:4])
    return shown + (" …" if len(values) > 4 else "")


def importance(view: View) -> Part | None:
    """Return the permutation importance of the columns on held-out rows, with its spread."""
    final = view.run.final
    if final is None:
        return None
    title = "What it relies on"
    if final.importance is None:
        why = name(final.reason, 300) or "it was not measured"
        return Part(title, (Paragraph(f"The importance of the columns is not shown: {why}."),))
    values = np.asarray(final.importance, np.float64)
    repeats = values.shape[1]
    words = metric(final.metric)
    axis = f"how much worse the {words} becomes"
    shown = [(name(c, 60), values[i]) for i, c in enumerate(final.columns[:_MOST_DRAWN])]
    rows = plural(final.shuffled_rows, "held-out row")
    told = (
        f"One column at a time was shuffled among {rows}, {count(repeats)} times: the bar is the mean, the dots the "
        "single shufflings. A column whose dots lie around 0 is not needed. Columns that say the same replace "
        "one another, so each looks less important than it is. This is what the network uses, not what causes what."
    )
    blocks: list[Block] = [Figure(importance_chart(shown, axis), told)]
    if final.left_out:
        more = plural(final.left_out, "column was", "columns were")
        blocks.append(Paragraph(f"{more} not shuffled: those with the weakest relation to the target.", "small"))
    table = tuple(
        (Span(name(c, 60), "mono"), number(float(v.mean())), number(float(v.std(ddof=1))) if repeats > 1 else "–")
        for c, v in zip(final.columns, values, strict=True)
    )
    heads = ("Column", "Mean", "Standard deviation")
    blocks.append(Fold("The figures", (Table(heads, table, f"Increase of the error in {words}",
                                             numeric=frozenset({1, 2})),)))  # fmt: skip
    return Part(title, tuple(blocks))
