"""From trials to figures: recall, rank, precision, how early, false alarms, and the bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.clinic.run import Row

__all__ = ["BARS", "by_fault", "by_symptom", "false_alarms", "programs", "summary", "table"]

# name -> (bound, True where the figure must reach it, False where it must stay below)
BARS: dict[str, tuple[float, bool]] = {
    "recall": (0.95, True),
    "first": (0.80, True),
    "zoo_false_alarms": (0.03, False),
    "programs_named": (0.85, True),
    "programs_first": (0.60, True),
    "programs_precision": (0.60, True),
    "programs_silent": (0.90, True),
    "rules_ms": (50.0, False),
}


def _warned(row: Row) -> list[str]:
    return [name for name, severity, _ in row["findings"] if severity != "note"]


def _rank(row: Row) -> int | None:
    """Rank of the first finding that names the fault, from 1."""
    ranks = [i for i, finding in enumerate(row["findings"], 1) if finding[0] in row["names"]]
    return ranks[0] if ranks else None


def _share(values: Iterable[bool]) -> float | None:
    values = list(values)
    return round(sum(values) / len(values), 4) if values else None


def _when(row: Row) -> float | None:
    """Share of the planned epochs that had passed when the fault was named; 0: before training; 1: at the end."""
    if set(row["checked"]) & set(row["names"]):
        return 0.0
    rank = _rank(row)
    if rank is None:
        return None
    epoch = row["findings"][rank - 1][2]
    return 1.0 if epoch is None else min(1.0, epoch / row["epochs"])


def by_fault(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Per injected fault: trials, recall, share first, ranks, how early, what was first instead."""
    found: dict[str, dict[str, Any]] = {}
    for fault in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == fault]
        ranks = [_rank(row) for row in mine]
        named = [r for r in ranks if r is not None]
        moments = [m for m in map(_when, mine) if m is not None]
        instead: dict[str, int] = {}
        for row, rank in zip(mine, ranks, strict=True):
            if rank != 1:
                head = row["error"] or (row["findings"][0][0] if row["findings"] else "nothing")
                instead[head] = instead.get(head, 0) + 1
        found[fault] = {
            "trials": len(mine),
            "recall": _share(r is not None for r in ranks),
            "first": _share(r == 1 for r in ranks),
            "median_rank": float(np.median(named)) if named else None,
            "before_training": _share(bool(set(row["checked"]) & set(row["names"])) for row in mine),
            "median_moment": float(np.median(moments)) if moments else None,
            "first_instead": instead,
        }
    return found


def by_symptom(spoiled: Sequence[Row], healthy: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Per symptom: of its warnings, the share in trials whose fault it names; of those trials, the share it warned in.

    A fault that several symptoms name asks for one of them; a symptom's recall counts the faults of which it is the
    plainest name.
    """
    found: dict[str, dict[str, Any]] = {}
    symptoms = {name for row in [*spoiled, *healthy] for name in _warned(row)} | {row["names"][0] for row in spoiled}
    for symptom in sorted(symptoms):
        warned = [row for row in [*spoiled, *healthy] if symptom in _warned(row)]
        plainest = [row for row in spoiled if row["names"][0] == symptom]
        found[symptom] = {
            "warned": len(warned),
            "precision": _share(symptom in row.get("names", ()) for row in warned),
            "recall": _share(any(f[0] == symptom for f in row["findings"]) for row in plainest),
            "in_zoo": sum(symptom in _warned(row) for row in healthy),
        }
    return found


def false_alarms(healthy: Sequence[Row]) -> dict[str, Any]:
    """The share of healthy runs with any warning, and which."""
    alarms = {f"{row['what']}, seed {row['seed']}": _warned(row) or [row["error"]] for row in healthy
              if _warned(row) or row["error"]}  # fmt: skip
    return {"runs": len(healthy), "share": _share(bool(_warned(r) or r["error"]) for r in healthy), "alarms": alarms}


def programs(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of the real programs; programs with an arguable label are also reported apart."""
    faulty = [row for row in rows if not row["healthy"]]
    sound = [row for row in rows if row["healthy"]]

    def figures(chosen: Sequence[Row]) -> dict[str, Any]:
        precise = [np.mean([name in row["names"] for name in _warned(row)]) for row in chosen if _warned(row)]
        return {
            "trials": len(chosen),
            "named": _share(_rank(row) is not None for row in chosen),
            "first": _share(_rank(row) == 1 for row in chosen),
            "precision": round(float(np.mean(precise)), 4) if precise else None,
        }

    doubtful = [row for row in faulty if row["doubt"] == "label"]
    return {
        "all": figures(faulty),
        "label_in_doubt": figures(doubtful),
        "label_sure": figures([row for row in faulty if row["doubt"] != "label"]),
        "healthy": {"trials": len(sound), "silent": _share(not (_warned(row) or row["error"]) for row in sound)},
        "not_named": sorted({row["what"] for row in faulty if _rank(row) is None}),
        "not_silent": {row["what"]: _warned(row) or [row["error"]] for row in sound if _warned(row) or row["error"]},
    }


def summary(half: str, spoiled: Sequence[Row], healthy: Sequence[Row]) -> dict[str, Any]:
    """All figures of one half."""
    ranks = [_rank(row) for row in spoiled]
    moments = [m for m in map(_when, spoiled) if m is not None]
    return {
        "half": half,
        "trials": len(spoiled),
        "kinds": len({row["what"] for row in spoiled}),
        "recall": _share(r is not None for r in ranks),
        "first": _share(r == 1 for r in ranks),
        "named_before_training": _share(bool(set(row["checked"]) & set(row["names"])) for row in spoiled),
        "median_moment": round(float(np.median(moments)), 3) if moments else None,
        "zoo": false_alarms(healthy),
        "faults": by_fault(spoiled),
        "symptoms": by_symptom(spoiled, healthy),
    }


def table(found: dict[str, Any]) -> str:
    """One half as text."""
    lines = [
        f"{found['half']}: {found['kinds']} kinds of fault, {found['trials']} trials",
        f"  named {_text(found['recall'])}, first {_text(found['first'])}",
        f"  named before training {_text(found['named_before_training'])}",
        f"  {'fault':36} {'trials':>6} {'named':>6} {'first':>6} {'before':>6} {'moment':>6}  first instead",
    ]
    for fault, row in found["faults"].items():
        instead = ", ".join(f"{name} x{n}" for name, n in row["first_instead"].items())
        lines.append(
            f"  {fault:36} {row['trials']:>6} {_text(row['recall']):>6} {_text(row['first']):>6} "
            f"{_text(row['before_training']):>6} {_text(row['median_moment']):>6}  {instead}"
        )
    lines.append(f"  {'symptom':36} {'warned':>6} {'precis':>6} {'recall':>6} {'in zoo':>6}")
    for symptom, row in found["symptoms"].items():
        lines.append(
            f"  {symptom:36} {row['warned']:>6} {_text(row['precision']):>6} {_text(row['recall']):>6} "
            f"{row['in_zoo']:>6}"
        )
    zoo = found["zoo"]
    lines.append(f"  zoo: {zoo['runs']} healthy runs, false alarms {_text(zoo['share'])}")
    lines += [f"    {name}: {', '.join(what)}" for name, what in zoo["alarms"].items()]
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
