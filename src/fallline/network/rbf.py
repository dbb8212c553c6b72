"""Radial basis functions: units that answer to the distance from their centre.

Source: LeCun, Bottou, Orr & Mueller 1998, Efficient BackProp, section 1.4.8 (centres by unsupervised k-means, then all
weights by gradient descent); widths: Moody & Darken, Neural Computation 1 (1989), p. 285 (mean distance to the nearest
centres).
"""

from __future__ import annotations

import keras
import numpy as np

from fallline.errors import InputError
from fallline.network.layers import RadialUnits, Scale
from fallline.network.member import MemberNetwork
from fallline.network.mlp import disturb, noisy_inputs, outputs_with_skip
from fallline.types import NetworkRecipe

__all__ = ["build_rbf", "centres_and_widths"]

_NEIGHBOURS = 2  # Moody & Darken's P nearest neighbours
_KMEANS_ROWS = 20_000  # k-means places some hundred centres on so many rows as well as on more


def centres_and_widths(x: np.ndarray, units: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return k-means' centres (h, d) of rows (n, d), and widths (h,): each centre's mean distance to the nearest two.

    Args:
        x: rows.
        units: h, at most the number of different rows.
        seed: of k-means.

    Raises:
        InputError: more centres than different rows.

    >>> centres, widths = centres_and_widths(np.array([[0.0], [0.2], [5.0], [5.2], [10.0], [10.2]]), 3, 0)
    >>> [f"{c:.1f}" for c in np.sort(centres[:, 0])], [f"{w:.1f}" for w in np.sort(widths)]
    (['0.1', '5.1', '10.1'], ['5.0', '7.5', '7.5'])
    """
    from sklearn.cluster import KMeans

    different = len(np.unique(x, axis=0))
    if units > different:
        raise InputError(
            f"{units} centres cannot be placed on {different} different training rows: every centre needs a row of its "
            f"own. Ask for at most {different} centres (network.hidden = [{different}]), or give more rows."
        )
    rows = x if len(x) <= _KMEANS_ROWS else x[np.random.default_rng(seed).permutation(len(x))[:_KMEANS_ROWS]]
    found = KMeans(units, n_init=1, random_state=seed % 2**32).fit(np.asarray(rows, np.float64))
    centres = found.cluster_centers_
    if units == 1:
        spread = np.sqrt(np.square(rows - centres).sum(axis=1).mean())
        widths = np.array([spread])
    else:
        distance = np.sqrt(np.square(centres[:, None] - centres[None]).sum(axis=-1))
        widths = np.sort(distance, axis=1)[:, 1 : 1 + _NEIGHBOURS].mean(axis=1)
    usual = widths[widths > 0].mean() if (widths > 0).any() else 1.0
    return centres.astype(np.float32), np.where(widths > 0, widths, usual).astype(np.float32)


def build_rbf(recipe: NetworkRecipe, *, features: int, numbers: int, outputs: int) -> MemberNetwork:
    """Build one member's network of radial units from a resolved recipe; arguments as for `build_mlp`."""
    inputs = keras.Input((features,), name="features")
    x = start = noisy_inputs(recipe, inputs)
    if recipe.input_scale:
        x = Scale(name="scale")(x)
    assert recipe.hidden != "auto"
    x = disturb(recipe, RadialUnits(recipe.hidden[0], name="centres")(x), "1")
    out = outputs_with_skip(recipe, x, start, outputs, skip=recipe.skip)
    return MemberNetwork(keras.Model(inputs, out, name="member"), recipe, features, numbers, outputs, recipe.hidden)
