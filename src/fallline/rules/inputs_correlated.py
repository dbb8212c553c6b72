"""Inputs correlated or constant: some inputs say nothing, or the same as others.

What it does
------------
Looks for inputs that do not vary and for pairs that are the same but for scale (correlation above 0.9999), in tables.
A quarter of the inputs and more is a warning, fewer a note.

Why it hurts
------------
A constant input adds weights that act like a bias; repeated inputs share one effect among many weights, which makes
the loss surface a narrow valley.

When it is wrong
----------------
Border pixels of pictures are constant by nature, and a column of ones can stand for a bias on purpose. Modern
optimizers cope with both; a run that learned well outweighs the finding.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 4.3: inputs should be uncorrelated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S22", "inputs-correlated", "learning", ("before", "after"))

# Share of the inputs that are constant or repeat others.
MANY = 0.25
# A correlation worth a remark, for it makes two weights undetermined.
STRONG = 0.98


def examine(
    constant_inputs: Sequence[str],
    twin_inputs: Sequence[str],
    n_features: int | None = None,
    input_correlation: float | None = None,
    correlated_pair: str | None = None,
) -> Iterator[Finding]:
    """Yield one finding for constant and repeated inputs, else a note for the strongest correlation."""
    constant, twins = list(constant_inputs), list(twin_inputs)
    evidence: dict[str, float | int | str] = {"constant_inputs": len(constant), "repeated_inputs": len(twins)}
    what_to_try = ("leave out the inputs that say nothing new", "de-correlate the inputs (PCA whitening)")
    if not constant and not twins:
        if input_correlation is None or not input_correlation > STRONG:
            return
        evidence |= {"correlation": input_correlation, "pair": correlated_pair or ""}
        yield SYMPTOM.finding(
            "note",
            0.6,
            f"The inputs {correlated_pair or ''} are strongly correlated ({input_correlation:.3f}).",
            evidence=evidence,
            cause="Two inputs measure nearly the same.",
            what_to_try=what_to_try,
        )
        return
    parts = []
    if constant:
        parts.append(_listed(constant, "does not vary", "do not vary"))
    if twins:
        parts.append(_listed(twins, "repeats another one", "repeat another one"))
    share = (len(constant) + len(twins)) / max(n_features or 0, len(constant) + len(twins), 1)
    yield SYMPTOM.finding(
        "warning" if share >= MANY else "note",
        0.8,
        f"Of {n_features or 'the'} inputs, {' and '.join(parts)}.",
        evidence=evidence | {"share": share},
        cause="Columns were copied, derived from each other, or never measured.",
        what_to_try=what_to_try,
    )


def _listed(names: Sequence[str], one: str, several: str) -> str:
    if len(names) == 1:
        return f"1 {one} ({names[0]})"
    return f"{len(names)} {several} (the first is {names[0]})"
