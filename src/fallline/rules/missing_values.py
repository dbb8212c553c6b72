"""Missing values or sentinels reach the network.

What it does
------------
Counts inputs and targets that are NaN or infinite, and looks for values such as -999 that stand far apart from all
others of their column, in half a percent of the rows and more.

Why it hurts
------------
One NaN makes the loss NaN and, from the first step on, all weights. A sentinel is read as a measurement: it dominates
its column's mean and sd.

When it is wrong
----------------
A real measurement can be -999, though hardly many times and nothing near it.

Reference
---------
R. Little, D. Rubin, "Statistical Analysis with Missing Data" (2019), chapter 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S37", "missing-values", "learning", ("before", "after"))
ONE_OF = ("missing_inputs", "missing_targets", "sentinels")

WHAT_TO_TRY = (
    "replace missing values by the mean of their column (of the training rows), and add a column that says so",
    "leave out rows or columns with many of them",
)


def examine(
    missing_inputs: int | None = None,
    rows_with_missing: int | None = None,
    inputs_with_missing: Sequence[str] | None = None,
    missing_targets: int | None = None,
    sentinels: Mapping[str, tuple[float, float]] | None = None,
) -> Iterator[Finding]:
    """Yield one finding for values that are not numbers, else one for sentinels."""
    evidence: dict[str, float | int | str] = {
        "missing_inputs": int(missing_inputs or 0),
        "rows": int(rows_with_missing or 0),
        "missing_targets": int(missing_targets or 0),
    }
    if missing_inputs or missing_targets:
        parts = []
        if missing_inputs:
            parts.append(f"{_counted(missing_inputs, 'input')} in {_counted(int(rows_with_missing or 0), 'row')}")
        if missing_targets:
            parts.append(_counted(missing_targets, "target"))
        names = list(inputs_with_missing or ())
        where = f" (first in {names[0]})" if names else ""
        yield SYMPTOM.finding(
            "serious",
            1.0,
            f"NaN or infinite: {' and '.join(parts)}{where}, which makes the loss NaN in the first step.",
            evidence=evidence,
            cause="Missing values were not replaced.",
            what_to_try=WHAT_TO_TRY,
        )
        return
    if not sentinels:
        return
    name = max(sentinels, key=lambda key: sentinels[key][1])
    value, share = sentinels[name]
    yield SYMPTOM.finding(
        "serious" if share > 0.05 else "warning",
        0.9,
        f"{len(sentinels)} input{'s' if len(sentinels) > 1 else ''} hold{'' if len(sentinels) > 1 else 's'} a value "
        f"that stands for 'missing': {name} is {value:g} in {100 * share:.1f} % of the rows.",
        evidence={"input": name, "value": value, "share": share, "inputs": len(sentinels)},
        cause="A number was written where a value is missing, and the network reads it as a measurement.",
        what_to_try=WHAT_TO_TRY,
    )


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
