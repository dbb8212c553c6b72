"""What a script of the gallery gives: a picture, perhaps an animation, and a table of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import InputError
from fallline.types import Run

__all__ = ["Exhibit", "Measured", "Row", "animated", "final", "measure"]

_DPI = 110
_LEVEL = 0.975  # of Student's t: a 95 % interval


@dataclass(frozen=True)
class Measured:
    """A mean over seeds with its 95 % interval (Student's t); one value has none."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        def short(value: float) -> str:
            return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}" if abs(value) >= 10 else f"{value:.3f}"

        return short(self.mean) if self.n < 2 else f"{short(self.mean)} [{short(self.low)}, {short(self.high)}]"


def measure(values: Iterable[float]) -> Measured:
    """Return the mean of finite values with its interval.

    >>> print(measure([0.9, 1.0, 1.1]))
    1.000 [0.752, 1.248]
    """
    from scipy.stats import t

    v = np.asarray(list(values), float)
    v = v[np.isfinite(v)]
    if not len(v):
        return Measured(np.nan, np.nan, np.nan, 0)
    half = float(t.ppf(_LEVEL, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v))) if len(v) > 1 else np.nan
    return Measured(float(v.mean()), float(v.mean()) - half, float(v.mean()) + half, len(v))


def final(runs: Sequence[Run], quantity: str) -> list[float]:
    """Return each run's last value of a quantity."""
    return [float(run.trace.curve(quantity)[-1]) for run in runs]


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        what: what was measured.
        ours: our number, or words.
        published: what was published, or "" where nothing was.
    """

    what: str
    ours: Measured | str
    published: str = ""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A picture with its numbers.

    Args:
        title: one line.
        rows: our numbers beside the published ones.
        figure: a Matplotlib figure.
        remark: what is to be seen, a sentence or two.
        animate: () -> a Matplotlib animation, or None.
    """

    title: str
    rows: tuple[Row, ...]
    figure: Any
    remark: str = ""
    animate: Callable[[], Any] | None = None

    def __str__(self) -> str:
        cells = [("", "ours", "published"), *((row.what, str(row.ours), row.published or "–") for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(3)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]
        return "\n".join([self.title, "", *table, *(["", self.remark] if self.remark else [])])

    def __getitem__(self, what: str) -> Measured | str:
        return next(row.ours for row in self.rows if row.what == what)

    def save(self, folder: Any, name: str, *, overwrite: bool = False) -> list[Path]:
        """Write ``name.png`` and, where there is an animation, ``name.gif``; return their paths.

        Raises:
            InputError: one of them is there already and ``overwrite`` is False.
        """
        folder = Path(folder)
        paths = [folder / f"{name}.png", *([folder / f"{name}.gif"] if self.animate else [])]
        there = [str(path) for path in paths if path.exists()]
        if there and not overwrite:
            raise InputError(f"{', '.join(there)} would be replaced: choose another folder, or say --overwrite.")
        folder.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(paths[0], dpi=_DPI)
        if self.animate:
            self.animate().save(paths[1], writer="pillow", fps=15, dpi=72)
        return paths


def animated(figure: Any, frames: int, draw: Callable[[int], Any]) -> Any:
    """Return a Matplotlib animation; ``draw`` is given the number of the frame."""
    from matplotlib.animation import FuncAnimation

    return FuncAnimation(figure, lambda i: draw(i) or [], frames=frames, blit=False, cache_frame_data=False)
