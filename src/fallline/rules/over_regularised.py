"""Over-regularised: penalty, noise or dropout are too strong for the network.

What it does
------------
Looks for L2 or L1 penalties, dropout rates and noise beyond what is usual, and for several dropout layers in a row that
together let less than a tenth of the signal's paths through.

Why it hurts
------------
The penalty outweighs the loss, and the weights go to 0; or so little of the signal arrives in training that the network
learns only the mean.

When it is wrong
----------------
Very wide layers bear high rates, and penalties are to be seen beside the loss: a run that learned well outweighs the
finding.

Reference
---------
N. Srivastava et al., "Dropout" (2014), section 7.3: rates of 0.2 to 0.5 for hidden units; the flat region ends at 0.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S36", "over-regularised", "learning", ("before", "after"))

RATE = 0.6
# Product of the shares that dropout layers let through: four layers of a half leave 0.06.
PATHS = 0.1
# Keras' l2(c) adds c times the sum of squares to a loss of about 1; usual are 1e-5 to 1e-2.
PENALTY = 0.1
PENALTY_L1 = 0.03  # ... and on outputs: 30 units of 0.5 add half of a loss of 1
# Noise on inputs of sd 1.
NOISE = 1.0
# With a run that explains little, half of each is enough to be named.
POOR = 0.5


def examine(
    layers: Sequence[LayerFacts],
    explained: float | None = None,
    input_sd: np.ndarray | None = None,
) -> Iterator[Finding]:
    """Yield one finding that names what is strongest beyond its limit."""
    factor = 0.5 if explained is not None and explained < POOR else 1.0
    found: list[tuple[float, str, str, dict[str, float | int | str]]] = []
    dropouts = [layer for layer in layers if "Dropout" in layer.kind and 0 < layer.rate < 1]
    paths = float(np.prod([1 - layer.rate for layer in dropouts])) if dropouts else 1.0
    for layer in layers:
        if "Dropout" in layer.kind and layer.rate >= RATE:
            found.append((layer.rate / RATE, layer.name, f"Dropout {layer.name!r} has a rate of {layer.rate:.2g}",
                          {"rate": layer.rate}))  # fmt: skip
        if layer.kind == "GaussianNoise" and layer.rate > NOISE * factor:
            found.append((layer.rate / NOISE, layer.name, f"The noise {layer.name!r} has an sd of {layer.rate:.2g}",
                          {"noise_sd": layer.rate}))  # fmt: skip
        if layer.l2 >= PENALTY * factor:
            found.append((layer.l2 / PENALTY, layer.name, f"Layer {layer.name!r} has an L2 penalty of {layer.l2:.2g}",
                          {"l2": layer.l2}))  # fmt: skip
        if layer.l1 >= PENALTY_L1 * factor:
            found.append((layer.l1 / PENALTY_L1, layer.name,
                          f"Layer {layer.name!r} has an L1 penalty of {layer.l1:.2g}", {"l1": layer.l1}))  # fmt: skip
        size = max(layer.activity_l1, layer.activity_l2)
        if size >= PENALTY_L1 * factor:
            words = f"Layer {layer.name!r} has a penalty of {size:.2g} on its output"
            found.append((size / PENALTY_L1, layer.name, words, {"activity_penalty": size}))
    if len(dropouts) > 1 and paths < PATHS:
        found.append((PATHS / max(paths, 1e-9), dropouts[0].name,
                      f"{len(dropouts)} dropout layers together let {100 * paths:.1f} % of the paths through",
                      {"dropout_layers": len(dropouts), "share_of_paths": paths}))  # fmt: skip
    if not found:
        return
    strength, layer_name, words, evidence = max(found, key=lambda item: item[0])
    yield SYMPTOM.finding(
        "warning",
        0.85 if factor < 1 or strength > 3 else 0.6,
        f"{words}, too strong for most networks.",
        evidence={"layer": layer_name, **evidence},
        cause="Penalty, noise or dropout outweigh what the data says.",
        what_to_try=(
            "lower the penalty tenfold",
            "use dropout of 0.2, after the widest layers only",
            "leave the noise out",
        ),
        layer=layer_name,
    )
