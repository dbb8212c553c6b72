"""Best value on the border: the best setting of a search lies at the edge of its range.

What it does
------------
Takes the values that a search tried for one setting and their scores, and looks whether the best one is the smallest or
the largest tried while the score still improved towards it.

Why it hurts
------------
The best value may well lie beyond the edge, where nobody looked.

When it is wrong
----------------
A setting with a natural limit (no dropout at all) cannot go further; and where all scores are alike the place of the
best one is chance.

Reference
---------
Y. Bengio, "Practical recommendations for gradient-based training of deep architectures" (2012), section 3.3: if the
best value is near the border, explore beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S33", "best-value-on-border", "prediction", ("after",))

FEWEST = 3
# The neighbour is worse by at least this share of all that the setting changes: else the edge is flat.
SLOPE = 0.05


def examine(
    search_values: Sequence[float] | np.ndarray,
    search_scores: Sequence[float] | np.ndarray,
    search_name: str | None = None,
    higher_is_better: bool = False,
    search_limits: tuple[float, float] | None = None,
) -> Iterator[Finding]:
    """Yield a finding when the best value lies on an edge that is not a natural limit."""
    values, scores = np.asarray(search_values, np.float64), np.asarray(search_scores, np.float64)
    if values.shape != scores.shape or values.ndim != 1:
        return
    kept = np.isfinite(values) & np.isfinite(scores)
    values, scores = values[kept], -scores[kept] if higher_is_better else scores[kept]
    grid = np.unique(values)
    if len(grid) < FEWEST:
        return
    level = np.array([float(np.mean(scores[values == value])) for value in grid])
    best = int(np.argmin(level))
    if best not in (0, len(grid) - 1):
        return
    neighbour = 1 if best == 0 else len(grid) - 2
    spread = float(np.ptp(level))
    slope = float(level[neighbour] - level[best])
    if spread <= 0 or slope < SLOPE * spread or (search_limits is not None and grid[best] in tuple(search_limits)):
        return
    edge = "smallest" if best == 0 else "largest"
    name = search_name or "the setting"
    yield SYMPTOM.finding(
        "warning",
        0.8,
        f"The best value of {name} is {grid[best]:.4g}, the {edge} that was tried; the score was still improving "
        "towards it.",
        evidence={"setting": name, "best_value": float(grid[best]), "edge": edge, "values_tried": len(grid),
                  "gain_over_neighbour": slope},
        cause="The range of the search ends too early.",
        what_to_try=(f"search further: try values {'below' if best == 0 else 'above'} {grid[best]:.4g}",),
    )  # fmt: skip
