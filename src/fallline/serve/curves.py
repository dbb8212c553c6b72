"""Curves and heat maps as plain lists for the page: thinned to what a screen can show, None for what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.diagnose import diagnose
from fallline.report.figures import MOST_POINTS, Curves, curves, decimate, log_wanted, performance_names
from fallline.report.text import AS_PERCENT, METRICS
from fallline.rules import discover
from fallline.store import Live
from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS, Finding, Inside, Trace

__all__ = ["grouped", "heat_maps", "line", "live_charts", "live_findings", "plain", "trace_charts"]

MOST_COLUMNS = 240  # of a heat map
MOST_ROWS = 400
_DIGITS = 5


def plain(values: np.ndarray) -> list[float | None]:
    """Return numbers with a few digits, None for what is not finite: JSON has no word for it."""
    return [float(f"{v:.{_DIGITS}g}") if np.isfinite(v) else None for v in np.asarray(values, np.float64).tolist()]


def line(x: np.ndarray, y: np.ndarray) -> dict[str, list[Any]]:
    """Return a line as ``{"x": [...], "y": [...]}``."""
    return {"x": [int(v) for v in x], "y": plain(y)}


def _thinned(curve: np.ndarray) -> dict[str, list[Any]]:
    return line(*decimate(np.arange(1, len(curve) + 1), curve, MOST_POINTS))


def _chart(found: Curves, lines: Sequence[tuple[str, dict[str, list[Any]]]]) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": METRICS.get(found.name, found.name.replace("_", " ")),
        "percent": found.name in AS_PERCENT,
        "log": bool(log_wanted(found.values())),
        "lost": found.lost,
        "lines": [{"key": key, **points} for key, points in lines if points["x"]],
    }


def trace_charts(trace: Trace) -> list[dict[str, Any]]:
    """Return one chart a quantity: the loss first, then the metrics, then the learning rate."""
    found = []
    names = ["loss", *performance_names(trace)] + (["learning_rate"] if "learning_rate" in trace.quantities else [])
    for name in names:
        seen = curves(trace, name)
        lines = [("running", _thinned(seen.running)), ("train", _thinned(seen.train)), ("val", _thinned(seen.val))]
        chart = _chart(seen, lines)
        own = [] if name == "learning_rate" else seen.members
        chart["members"] = [_thinned(member[: seen.n_epochs]) for member in own]
        if chart["lines"]:
            found.append(chart)
    return found


# ------------------------------------------------------------------------------------------------ while it trains


def live_charts(live: Live) -> list[dict[str, Any]]:
    """Return the same charts of a training under way; epochs that were not sent are passed over."""
    trace = _live_trace(live)
    found = []
    for name in ["loss", *performance_names(trace)]:
        seen = curves(trace, name)
        keys = (("running", "running_loss" if name == "loss" else ""), ("train", name), ("val", f"val_{name}"))
        chart = _chart(seen, [(key, _sent(live, quantity)) for key, quantity in keys])
        if chart["lines"]:
            # A gap is an epoch that was not sent; a training that is lost ends in values that are none.
            ends = [_sent(live, quantity)["y"][-1:] for _, quantity in keys[1:]]
            found.append({**chart, "members": [], "lost": live.epoch if [None] in ends else None})
    return found


def _sent(live: Live, quantity: str) -> dict[str, list[Any]]:
    curve = live.curves.get(quantity, {})
    epochs = sorted(curve)
    values = np.array([curve[epoch] for epoch in epochs], np.float64)
    return line(*decimate(np.array(epochs, np.int64), values, MOST_POINTS))


def _live_trace(live: Live) -> Trace:
    rows = [(e, name, v) for name, curve in live.curves.items() for e, v in curve.items()]
    epoch, quantity, value = zip(*rows, strict=True) if rows else ((), (), ())
    return Trace.from_columns(
        {
            "member": np.zeros(len(rows)),
            "epoch": epoch,
            "layer": np.full(len(rows), "", object),
            "quantity": np.array(quantity, object),
            "value": np.array([np.nan if v is None else v for v in value], np.float64),
        }
    )


def live_findings(live: Live) -> list[Finding]:
    """Return what the rules say about a training under way.

    Only symptoms that further epochs do not take away are looked for: those whose rule says ``during``. Epochs that
    were not sent are filled in by straight lines.
    """
    filled = {name: _filled(curve) for name in ("loss", "val_loss") if len(curve := live.curves.get(name, {})) > 1}
    if "loss" not in filled or not np.isfinite(filled["loss"]).any():
        return []
    during = {rule.symptom.name for rule in discover() if "during" in rule.symptom.when}
    return [finding for finding in diagnose(filled) if finding.symptom in during]


def _filled(curve: dict[int, float | None]) -> np.ndarray:
    epochs = np.array(sorted(curve))
    values = np.array([curve[epoch] for epoch in epochs.tolist()], np.float64)
    out = np.full(int(epochs[-1]), np.nan)
    known = np.isfinite(values)
    if known.any():
        last = int(epochs[known][-1])
        out[:last] = np.interp(np.arange(1, last + 1), epochs[known], values[known])
    return out


# ------------------------------------------------------------------------------------------------------ the inside


def heat_maps(inside: Inside) -> dict[str, Any]:
    """Return the layers' statistics over the epochs as rows of cells, and the network's as curves.

    Medians over the members that were watched. Maps of more columns or rows than a screen has are thinned.
    """
    known = inside.statistics()
    columns = _chosen(len(inside.epochs), MOST_COLUMNS)
    rows = _chosen(len(inside.layers), MOST_ROWS)
    maps = [
        {"name": name, "about": about, "rows": [plain(row) for row in found[np.ix_(columns, rows)].T]}
        for name, about in LAYER_STATISTICS.items()
        if (found := known.get(f"layer_{name}")) is not None
    ]
    network = [
        {"name": name, "about": about, "line": _network_line(inside, found)}
        for name, about in NETWORK_STATISTICS.items()
        if (found := known.get(f"network_{name}")) is not None
    ]
    return {
        "layers": [inside.layers[i] for i in rows],
        "kinds": [inside.kinds[i] for i in rows],
        "activations": [inside.activations[i] for i in rows],
        "epochs": inside.epochs[columns].tolist(),
        "maps": maps,
        "network": network,
        "members": inside.members,
        "reason": inside.reason,
    }


def _network_line(inside: Inside, values: np.ndarray) -> dict[str, Any]:
    seen = np.isfinite(values)
    return line(*decimate(inside.epochs[seen], values[seen], MOST_POINTS))


def _chosen(length: int, most: int) -> np.ndarray:
    chosen: np.ndarray = np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int))
    return chosen


# ------------------------------------------------------------------------------------------------------- many runs


def grouped(traces: Sequence[Trace], quantity: str) -> dict[str, Any] | None:
    """Return mean and standard deviation of one quantity over several runs; None where no run has it.

    The standard deviation is that of a sample (n - 1), and is given up to the last epoch that all runs reached: beyond
    it the survivors are a selection. One run has a mean alone.

    Returns:
        ``{"x", "y", "low", "high", "n"}``.
    """
    found = [curve for trace in traces if len(curve := trace.curve(quantity))]
    if not found:
        return None
    if len(found) == 1:
        return {**_thinned(found[0]), "low": [], "high": [], "n": 1}
    common = min(len(curve) for curve in found)
    values = np.stack([curve[:common] for curve in found])
    with np.errstate(all="ignore"):  # a loss that was lost is infinite; it becomes a gap
        mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
        low, high = mean - sd, mean + sd
    x, _ = decimate(np.arange(1, common + 1), mean, MOST_POINTS)
    at = x - 1
    return {**line(x, mean[at]), "low": plain(low[at]), "high": plain(high[at]), "n": len(found)}
