"""From figures per fold to ranks: only folds that everybody compared has finished count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.skill.protocol import METRICS, Table

__all__ = ["PEERS", "Standing", "ahead", "mean_ranks", "standings"]

# The ones to be ahead of.
PEERS = ("catboost", "xgb", "hgb", "rf", "linear", "realmlp_td", "mlp_sklearn", "mlp_sklearn_noes")

# A loss below this is as good as none: the ratio of two of them says nothing.
_LEAST_LOST = 1e-3


@dataclass(frozen=True)
class Standing:
    """One table under one metric.

    Args:
        table: its name.
        metric: the metric.
        folds: the folds that count.
        values: who -> mean over these folds.
        ranks: who -> rank, 1 is best, ties share the mean rank.
        left_out: who -> why there is no figure.
    """

    table: str
    metric: str
    folds: tuple[int, ...]
    values: Mapping[str, float]
    ranks: Mapping[str, float]
    left_out: Mapping[str, str]


def standings(
    tables: Sequence[Table], rows: Sequence[Mapping[str, Any]], who: str, peers: Sequence[str], metric: str = ""
) -> list[Standing]:
    """Rank ``who`` among the peers, table by table.

    Args:
        tables: the tables in the order wanted; those on which ``who`` has no figure are left out.
        rows: figures per (dataset, peer, fold), those of ``who`` among them.
        who: the contender.
        peers: whom it is compared with.
        metric: instead of each table's own.
    """
    from scipy.stats import rankdata

    found = []
    for table in tables:
        name = metric or table.metric
        figures: dict[str, dict[int, float]] = {}
        for row in rows:
            if row["dataset"] == table.name and name in row and row["peer"] in (who, *peers):
                figures.setdefault(row["peer"], {})[int(row["fold"])] = float(row[name])
        if who not in figures:
            continue
        # A peer that finished none of the contender's folds (too slow there) is left out of this table, and named.
        left_out = {
            peer: "no figure on these folds" for peer in peers if not figures.get(peer, {}).keys() & figures[who].keys()
        }
        compared = [who, *(peer for peer in peers if peer not in left_out)]
        shared = sorted(set.intersection(*(set(figures[peer]) for peer in compared)))
        if not shared:
            continue
        values = {peer: float(np.mean([figures[peer][fold] for fold in shared])) for peer in compared}
        sign = -1.0 if METRICS[name] else 1.0
        ranks = rankdata([sign * value for value in values.values()])
        standing = Standing(
            table.name, name, tuple(shared), values, dict(zip(values, map(float, ranks), strict=True)), left_out
        )
        found.append(standing)
    return found


def mean_ranks(found: Sequence[Standing]) -> dict[str, tuple[float, int]]:
    """Return who -> (mean rank, number of tables), best first."""
    ranks: dict[str, list[float]] = {}
    for standing in found:
        for peer, rank in standing.ranks.items():
            ranks.setdefault(peer, []).append(rank)
    means = {peer: (float(np.mean(values)), len(values)) for peer, values in ranks.items()}
    return dict(sorted(means.items(), key=lambda item: item[1][0]))


def ahead(found: Sequence[Standing], who: str, peer: str) -> dict[str, float]:
    """Return on how many tables ``who`` is ahead of a peer, on how many both are, and the p-value of that lead.

    The p-value is that of Wilcoxon's signed-rank test over the tables, two-sided, of the logarithm of the ratio of
    what is lost (log-loss, RMSE, 1 - accuracy), where a table counts no more for being harder.

    Args:
        found: standings of these two.
        who: the contender.
        peer: the other; {} where it has no figure.
    """
    from scipy.stats import wilcoxon

    pairs = [standing for standing in found if peer in standing.values]
    if not pairs:
        return {}

    def lost(standing: Standing, name: str) -> float:
        value = standing.values[name]
        return max(1.0 - value if METRICS[standing.metric] else value, _LEAST_LOST)

    gains = np.log([lost(standing, peer) / lost(standing, who) for standing in pairs])
    p = float(wilcoxon(gains).pvalue) if np.any(gains != 0.0) else 1.0
    return {"tables": sum(s.ranks[who] < s.ranks[peer] for s in pairs), "of": len(pairs), "p": p}
