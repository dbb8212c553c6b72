"""The figures of a repair benchmark: shares that were cured, and how `fallline.improve` compares with a random search.

Seeds of one case are not independent of one another: what is hard with one is hard with the next. So the case is the
unit everywhere: its share over its seeds is one value, and tests and intervals count cases and not trials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

__all__ = ["BARS", "against_random", "interval", "sign_flips", "summary"]

Row = dict[str, Any]

# Shares of cases to be cured.
BARS = {"faults": 0.9, "programs": 0.65}


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what was cured, by group; a trial that failed with an error is not cured."""
    found: dict[str, Any] = {}
    for group in sorted({row["group"] for row in rows}):
        own = [row for row in rows if row["group"] == group]
        shares = [_mean(row.get("improved_cures", False) for row in case) for case in _by_case(own)]
        cured = _mean(shares)
        found[group] = {
            "cases": len(shares),
            "trials": len(own),
            "errors": sum("error" in row for row in own),
            "cured": round(float(cured), 3),
            "interval": [round(end, 3) for end in interval(float(cured), len(shares))],
            "cured_by_seed": {
                str(seed): f"{sum(one.get('improved_cures', False) for one in part)} of {len(part)}"
                for seed in sorted({row["seed"] for row in own})
                if (part := [row for row in own if row["seed"] == seed])
            },
            "bar": BARS.get(group),
            "against_random_search": against_random(own),
        }
    return found


def against_random(rows: Iterable[Row]) -> dict[str, Any] | None:
    """Compare with the random search on the trials that both have run; None where there are none.

    Cures are compared by an exact sign-flip test of the cases' differences of shares, scores (each a share of the
    reference, 0 where it is negative) by Wilcoxon's signed-rank test of the cases' mean differences; both two-sided.
    """
    from scipy.stats import wilcoxon

    both = [row for row in rows if "random" in row and "error" not in row]
    if not both:
        return None
    by_case = _by_case(both)
    cures = [_mean(row["improved_cures"] for row in case) for case in by_case]
    theirs = [_mean(row["random_cures"] for row in case) for case in by_case]
    scores = [float(_mean(_share(row, "improved") - _share(row, "random") for row in case)) for case in by_case]
    differences = [one - other for one, other in zip(cures, theirs, strict=True)]
    unequal = [one for one in scores if one]
    return {
        "cases": len(by_case),
        "trials": len(both),
        "cured": round(float(_mean(cures)), 3),
        "cured_by_random_search": round(float(_mean(theirs)), 3),
        "cases_ahead": sum(one > 0 for one in differences),
        "cases_behind": sum(one < 0 for one in differences),
        "p_cured": round(sign_flips(differences), 5),
        "mean_score_difference": round(sum(scores) / len(scores), 3),
        "scores_ahead": sum(one > 0 for one in scores),
        "scores_behind": sum(one < 0 for one in scores),
        "p_scores": round(float(wilcoxon(unequal).pvalue), 5) if unequal else 1.0,
    }


def sign_flips(differences: Sequence[Fraction | int]) -> float:
    """Return the exact two-sided p-value of "each difference could as well have the other sign".

    >>> sign_flips([1, 1, 1, 1, -1])
    0.375
    """
    sums = Counter({Fraction(0): 1})
    for one in differences:
        flipped: Counter[Fraction] = Counter()
        for total, ways in sums.items():
            flipped[total + one] += ways
            flipped[total - one] += ways
        sums = flipped
    seen = abs(sum(differences))
    extreme = sum(ways for total, ways in sums.items() if abs(total) >= seen)
    return float(Fraction(extreme, sums.total()))


def interval(share: float, cases: int, level: float = 0.95) -> tuple[float, float]:
    """Return an interval of a share, each case counted as one draw, however many seeds it was run with.

    Source: C. Clopper, E. Pearson, Biometrika 26 (1934), by quantiles of the beta distribution, which are defined for
    a sum of shares as for a count.

    >>> [round(end, 2) for end in interval(1.0, 29)]
    [0.88, 1.0]
    """
    from scipy.stats import beta

    cured, rest = share * cases, (1 - share) * cases
    low = float(beta.ppf((1 - level) / 2, cured, rest + 1)) if cured > 0 else 0.0
    high = float(beta.ppf((1 + level) / 2, cured + 1, rest)) if rest > 0 else 1.0
    return low, high


def _by_case(rows: Iterable[Row]) -> list[list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["what"], row["table"]), []).append(row)
    return list(found.values())


def _mean(values: Iterable[Fraction | bool]) -> Fraction:
    every = [Fraction(one) for one in values]
    return sum(every, Fraction(0)) / len(every)


def _share(row: Row, who: str) -> Fraction:
    """Return a score as a share of the reference, to four digits: less is how a sum was rounded."""
    return Fraction(round(1e4 * max(0.0, row[who] / row["reference"])), 10_000)
