"""What a search tells about its entries: the curve over one of them, and which of them matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fallline.errors import InputError, nearest
from fallline.search.border import binned
from fallline.search.space import levels, place
from fallline.types import Choice, Search

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["importance", "u_curve"]

_TREES = 64
_FEWEST_TRIALS = 8  # below, a forest over the trials says nothing
_MARGINAL_POINTS = 32
_MARGINAL_SAMPLES = 256


def _check(search: Search, entry: str) -> None:
    if entry not in search.space:
        raise InputError(f"The search did not vary {entry!r}; it varied {', '.join(search.space)}."
                         f"{nearest(entry, search.space)}")  # fmt: skip


def u_curve(search: Search, entry: str) -> pd.DataFrame:
    """Return the best score over an entry, one row a value (or a range of values, by its middle).

    Args:
        search: a finished search.
        entry: one that it varied.

    Raises:
        InputError: the search did not vary it.
    """
    import pandas as pd

    _check(search, entry)
    dimension, sign = search.space[entry], -1.0 if search.higher_is_better else 1.0
    trials = [t for t in search.trials if t.epochs is None]
    if isinstance(dimension, Choice):
        rows = []
        for value in levels(dimension, 0):
            scores = [t.value for t in trials if t.point[entry] == value and np.isfinite(t.value)]
            if scores:
                rows.append({entry: value, search.metric: sign * min(sign * s for s in scores)})
        return pd.DataFrame(rows, columns=[entry, search.metric])
    values, losses = binned(dimension, trials, entry, sign)
    return pd.DataFrame({entry: values, search.metric: sign * losses})


def importance(search: Search, *, seed: int = 0) -> pd.DataFrame:
    """Return each entry's main effect: the share of the score's variance that it explains by itself.

    A random forest is fitted to the trials, and its predictions are averaged over all other entries.

    Args:
        search: a finished search of at least 8 trials.
        seed: of the forest.

    Raises:
        InputError: too few trials.

    Source: F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance"
    (2014), with Monte Carlo marginals.
    """
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor

    trials = [t for t in search.trials if t.epochs is None and np.isfinite(t.value)]
    if len(trials) < _FEWEST_TRIALS:
        raise InputError(f"{len(trials)} finished trials are too few to tell what matters; at least {_FEWEST_TRIALS}.")
    names = list(search.space)
    x = np.array([[place(search.space[name], t.point[name]) for name in names] for t in trials])
    y = np.array([t.value for t in trials])
    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed).fit(x, y)
    sample = np.random.default_rng(seed).random((_MARGINAL_SAMPLES, len(names)))
    total = float(forest.predict(sample).var())
    shares = []
    for k in range(len(names)):
        grid = np.linspace(0.0, 1.0, _MARGINAL_POINTS)
        fixed = np.repeat(sample[None], _MARGINAL_POINTS, axis=0)
        fixed[:, :, k] = grid[:, None]
        marginal = forest.predict(fixed.reshape(-1, len(names))).reshape(_MARGINAL_POINTS, -1).mean(axis=1)
        shares.append(float(marginal.var() / total) if total > 0 else 0.0)
    found = pd.DataFrame({"entry": names, "share": shares})
    return found.sort_values("share", ascending=False, ignore_index=True)
