"""Inside the layers: heat maps of what the trace kept, and the findings that they show."""

from __future__ import annotations

import numpy as np

from fallline.report.chart_layers import MOST_LAYERS, layer_chart
from fallline.report.document import Block, Figure, Paragraph, Part, Row
from fallline.report.remarks import cards
from fallline.report.text import name, plural
from fallline.report.view import View

__all__ = ["inside"]

# Statistic -> (in words, what to look for, whether it is a share).
_DRAWN = {
    "gradient_norm": (
        "gradient norm",
        "Where it fades from the last layer (bottom) to the first (top), the signal dies on its way back.",
        False,
    ),
    "update_ratio": (
        "update / weight",
        "How far one step moves a layer, as a part of its weights; about 0.001 is usual.",
        False,
    ),
    "dead_share": ("share of dead units", "Units of the ReLU family that answer no row at all.", True),
    "zero_share": ("share of outputs that are 0", "Outputs that are exactly 0.", True),
    "saturated_share": ("share of saturated outputs", "Outputs at an end of the activation's range.", True),
}
_MOST_DRAWN = 4


def inside(view: View) -> Part | None:
    """Return the heat maps of layers x epochs; None where nobody looked inside."""
    seen = view.layers
    if seen is None:
        return None
    found = seen.statistics()
    marks = [f.epoch for _, f in view.findings_at("inside") if f.epoch is not None]
    figures: dict[str, Block] = {}
    for key, (title, told, share) in _DRAWN.items():
        values = found.get(f"layer_{key}")
        if values is None or (share and not np.nanmax(values) > 0):
            continue
        if key == "zero_share" and "dead_share" in figures:
            continue  # says nearly the same, less clearly
        rows = np.flatnonzero(np.isfinite(values).any(axis=0))[:MOST_LAYERS]
        names = [seen.layers[i] for i in rows]
        chart = layer_chart(values[:, rows], names, seen.epochs, title, share=share, marks=marks)
        figures[key] = Figure(chart, told)
    blocks: list[Block] = []
    if figures:
        watched = "" if view.n_members == 1 else f" of {plural(seen.members, 'watched member')}"
        lead = f"Median{watched} at each look; the first layer stands at the top. Darker: more."
        blocks += [Paragraph(lead, "small"), Row(tuple(figures.values())[:_MOST_DRAWN])]
    if seen.reason:
        blocks.append(Paragraph(name(seen.reason, 300), "small"))
    blocks += cards(view, "inside")
    return Part("Inside the layers", tuple(blocks)) if blocks else None
