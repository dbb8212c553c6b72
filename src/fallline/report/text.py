"""Numbers and names as a careful typographer would set them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from fallline.report.markup import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fallline.types import Score

__all__ = [
    "AS_PERCENT",
    "METRICS",
    "METRIC_MEANING",
    "and_list",
    "count",
    "duration",
    "metric",
    "name",
    "number",
    "percent",
    "percent_ticks",
    "plural",
    "score_interval",
    "score_value",
    "tick_words",
    "who",
]

NARROW = "\u202f"  # narrow no-break space: groups of thousands, before the per cent sign
MINUS = "\u2212"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

METRICS = {
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "auc": "AUC",
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "r2": "R²",
    "mse": "MSE",
}
METRIC_MEANING = {
    "log_loss": "the average of −ln p, p being the probability given to what was true; 0 is perfect, lower is better",
    "accuracy": "the share of right answers; higher is better",
    "auc": "the chance that a positive row is ranked above a negative one; 0.5 is guessing, higher is better",
    "rmse": "a typical error in the target's units, large errors weighing more; lower is better",
    "mae": "mean absolute error in the target's units; lower is better",
    "r2": "the share of the target's variance that is explained; 1 is perfect, 0 is the mean, higher is better",
}
AS_PERCENT = ("accuracy",)


def name(text: Any, limit: int = 80) -> str:
    """Return a user's name (column, class, file) made fit for print; a placeholder when nothing is left."""
    return clean(text, limit) or "(no name)"


def number(value: float, digits: int = 3) -> str:
    r"""Return a number with so many significant digits.

    >>> [number(v) for v in (0.08214, -12.345, 20640, 1234567.0, 0.0000123, 0, float("nan"))]
    ['0.0821', '−12.3', '20\u202f640', '1.23\u202f×\u202f10⁶', '1.23\u202f×\u202f10⁻⁵', '0', '–']
    """
    value = float(value)
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e6:
        return count(int(value))
    power = math.floor(math.log10(abs(value)))
    if power >= 6 or power < -4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.replace('-', MINUS)}{NARROW}×{NARROW}10{str(int(exponent)).translate(_RAISED)}"
    decimals = max(0, digits - 1 - power)
    return _grouped(f"{value:.{decimals}f}")


def _grouped(digits: str) -> str:
    sign, digits = (MINUS, digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, rest = digits.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", NARROW)
    if not float(digits):
        sign = ""
    return sign + whole + ("." + rest if rest else "")


def count(value: int) -> str:
    r"""Return a whole number, thousands set apart.

    >>> count(569), count(1234567)
    ('569', '1\u202f234\u202f567')
    """
    return _grouped(str(int(value)))


def tick_words(values: Sequence[float]) -> list[str]:
    """Return an axis' values with as many decimals as tell them apart, the same for all of them.

    >>> tick_words([0.2, 0.6, 1.0]), tick_words([0.0, 50.0]), tick_words([0.1, 1.0, 10.0])
    (['0.2', '0.6', '1.0'], ['0', '50'], ['0.1', '1', '10'])
    """
    largest = max((abs(v) for v in values), default=0.0)
    smallest = min((abs(v) for v in values if v), default=1.0)
    if largest >= 1e7 or smallest < 1e-4:
        short = [number(v, 1) for v in values]
        return short if len(set(short)) == len(short) else [number(v, 3) for v in values]
    steps = [b - a for a, b in itertools.pairwise(values)]
    if steps and max(steps) > 1.01 * min(steps):  # a logarithmic axis: every value in its own digits
        return [_grouped(f"{v:.6f}".rstrip("0").rstrip(".")) for v in values]
    decimals = max((len(f"{v:.6f}".rstrip("0").partition(".")[2]) for v in values), default=0)
    return [_grouped(f"{v:.{decimals}f}") for v in values]


def percent(share: float, decimals: int = 1) -> str:
    r"""Return a share as per cent; nothing is rounded to 0 or 100 that is not.

    >>> percent(0.9737), percent(1.0), percent(0.99999), percent(0.00001)
    ('97.4\u202f%', '100\u202f%', '>\u202f99.9\u202f%', '<\u202f0.1\u202f%')
    """
    if not math.isfinite(share):
        return "–"
    if share in (0, 1):
        return f"{int(share * 100)}{NARROW}%"
    step = 10.0**-decimals
    shown = round(100 * share, decimals)
    if 0 < share < 1 and shown <= 0:
        return f"<{NARROW}{step:g}{NARROW}%"
    if 0 < share < 1 and shown >= 100:
        return f">{NARROW}{100 - step:g}{NARROW}%"
    return _grouped(f"{100 * share:.{decimals}f}") + f"{NARROW}%"


def percent_ticks(values: Sequence[float]) -> list[str]:
    r"""Return an axis' shares as per cent, decimals as `tick_words`.

    >>> percent_ticks([0.5, 0.75]), percent_ticks([0.985, 0.99])
    (['50\u202f%', '75\u202f%'], ['98.5\u202f%', '99.0\u202f%'])
    """
    return [f"{words}{NARROW}%" for words in tick_words([round(100 * v, 6) for v in values])]


def plural(n: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    >>> plural(1, "row"), plural(0, "row"), plural(2, "class", "classes")
    ('1 row', 'no rows', '2 classes')
    """
    return f"{count(n) if n else 'no'} {one if n == 1 else many or one + 's'}"


def and_list(words: Sequence[str]) -> str:
    """Return words as an enumeration.

    >>> and_list(["a"]), and_list(["a", "b"]), and_list(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def duration(seconds: Any) -> str:
    """Return a time span in words.

    >>> duration(0.8), duration(75), duration(7260)
    ('0.8 s', '1 min 15 s', '2 h 1 min')
    """
    try:
        value = float(seconds)
    except (TypeError, ValueError):
        return ""
    if not math.isfinite(value) or value < 0:
        return ""
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


# ------------------------------------------------------------------------------------------------------- scores


def metric(key: str) -> str:
    """Return a metric's name in words."""
    return METRICS.get(key, name(key.replace("_", " "), 40))


def _decimals(scores: Sequence[float], low: float, high: float) -> int:
    """Decimals for two digits of the interval's half width, at most four of the value; three without an interval."""
    half = (high - low) / 2
    known = math.isfinite(half) and half > 0
    largest = max((abs(v) for v in scores if math.isfinite(v)), default=0.0)
    digits = max(0, min(6, (3 if known else 2) - math.floor(math.log10(largest)))) if largest > 0 else 2
    return max(0, min(digits, 1 - math.floor(math.log10(half)))) if known else digits


def _set(value: float, decimals: int) -> str:
    if not math.isfinite(value) or abs(value) >= 1e6:
        return number(value)
    return _grouped(f"{value:.{decimals}f}")


def score_value(score: Score, like: Score | None = None) -> str:
    """Return a score's value, with as many digits as its interval, or another score's, bears."""
    if score.metric in AS_PERCENT:
        return percent(score.value)
    measure = like or score
    return _set(score.value, _decimals([measure.value], measure.low, measure.high))


def score_interval(score: Score) -> str:
    """Return a score's interval as ``low to high``, or nothing when it has none."""
    if not (math.isfinite(score.low) and math.isfinite(score.high)):
        return ""
    if score.metric in AS_PERCENT:
        low, high = percent(score.low), percent(score.high)
        return (
            f"{low.removesuffix(NARROW + '%')} to {high}"
            if low[0].isdigit() and high[0].isdigit()
            else f"{low} to {high}"
        )
    decimals = _decimals([score.value], score.low, score.high)
    return f"{_set(score.low, decimals)} to {_set(score.high, decimals)}"


def who(score_who: str, classification: bool, members: int = 1) -> str:
    """Return who was scored, in words."""
    if score_who == "model":
        return f"this ensemble of {count(members)}" if members > 1 else "this network"
    if score_who == "dummy":
        return "class shares only" if classification else "the mean only"
    if score_who == "linear":
        return "logistic regression" if classification else "ridge regression"
    return name(score_who, 40)
