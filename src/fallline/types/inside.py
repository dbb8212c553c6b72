"""What happened inside a network while it was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LAYER_STATISTICS", "NETWORK_STATISTICS", "Inside", "median_of_known"]

# The statistics of a layer, in the order in which they are shown.
LAYER_STATISTICS: Mapping[str, str] = {
    "weight_mean": "mean of the layer's weights (kernels and other trainable tensors, biases excluded)",
    "weight_sd": "standard deviation of the same weights",
    "weight_norm": "Euclidean norm of the same weights",
    "gradient_mean": "mean of the loss's gradient by the same weights (training mode, the watch batch)",
    "gradient_sd": "standard deviation of that gradient",
    "gradient_norm": "Euclidean norm of that gradient",
    "gradient_max": "largest absolute entry of that gradient",
    "update_norm": "Euclidean norm of the change of the same weights by one optimizer step on the watch batch",
    "update_ratio": "update_norm / weight_norm",
    "activation_mean": "mean of the layer's output (evaluation mode, the watch batch)",
    "activation_sd": "standard deviation of the layer's output",
    "activation_rms": "root mean square of the layer's output",
    "saturated_share": "share of outputs within 1 % of an asymptote of the activation's range (sigmoid, tanh, softmax)",
    "zero_share": "share of outputs that are exactly 0",
    "dead_share": "share of units of the ReLU family whose output is <= 0 for every example of the watch batch",
    "constant_share": "share of units whose output is the same for every example of the watch batch",
    "twin_share": "share of units whose incoming weights equal another unit's",
    "preactivation_sd": "standard deviation of what the activation function is given",
}
# The statistics of the whole network.
NETWORK_STATISTICS: Mapping[str, str] = {
    "gradient_norm": "Euclidean norm of the loss's gradient by all trainable tensors",
    "weight_norm": "Euclidean norm of all trainable tensors",
    "update_ratio": "norm of one optimizer step / weight_norm",
    "distance_from_start": "Euclidean distance of all trainable tensors from their initial values",
    "gradient_noise_scale": "simple noise scale tr(Sigma) / |G|^2, in examples (arXiv 1812.06162, equation 2.9)",
    "sharpness": "largest eigenvalue of the loss's Hessian, by power iteration",
    "curvature_along_step": "d^T H d / d^T d along the direction d of one optimizer step",
}


@dataclass(frozen=True, eq=False)
class Inside:
    """What happened inside a network: statistics of its layers and of the whole, at a few epochs of the training.

    Args:
        layers: names of the L leaf layers in forward order; a layer of a nested model is ``outer/inner``.
        kinds: (L) class names of the layers.
        activations: (L) name of each layer's activation function, "" where it has none. An activation that is a layer
            of its own stands under its own name.
        output: index of the output layer; None where it cannot be told.
        epochs: (t,) int, ascending: completed epochs at each look; 0: before the first step.
        values: statistic of `LAYER_STATISTICS` -> (members, t, L) float32; NaN where a layer has no such thing, or a
            member had ended. A population's first members are watched, not necessarily all.
        network: statistic of `NETWORK_STATISTICS` -> (members, t) float32; NaN where it was not watched.
        reason: why some of it could not be watched; "" where nothing is missing.

    Raises:
        InputError: lengths or shapes disagree, or there is no such statistic.

    >>> inside = Inside(("a",), ("Dense",), ("relu",), 0, np.array([0, 1]), {"weight_sd": np.ones((1, 2, 1))}, {})
    >>> inside.statistics()["layer_weight_sd"].shape
    (2, 1)
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    activations: tuple[str, ...]
    output: int | None
    epochs: np.ndarray
    values: Mapping[str, np.ndarray]
    network: Mapping[str, np.ndarray] = field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        for name in ("layers", "kinds", "activations"):
            object.__setattr__(self, name, tuple(str(entry) for entry in getattr(self, name)))
        count, epochs = len(self.layers), np.asarray(self.epochs, np.int64)
        if not count == len(self.kinds) == len(self.activations) == len(set(self.layers)):
            raise InputError(
                f"Inside was given {count} layers (their names must differ), {len(self.kinds)} kinds and "
                f"{len(self.activations)} activations: give one of each per layer."
            )
        if self.output is not None and not 0 <= self.output < count:
            raise InputError(f"Inside: the output layer {self.output} is none of the {count} layers.")
        if epochs.ndim != 1 or (epochs < 0).any() or (np.diff(epochs) <= 0).any():
            raise InputError(f"Inside: the epochs {epochs.tolist()} must be >= 0 and ascend, each once.")
        object.__setattr__(self, "epochs", epochs)
        for name, known, tail in (
            ("values", LAYER_STATISTICS, (len(epochs), count)),
            ("network", NETWORK_STATISTICS, (len(epochs),)),
        ):
            object.__setattr__(self, name, _checked(name, getattr(self, name), known, tail))
        members = {a.shape[0] for a in (*self.values.values(), *self.network.values())}
        if len(members) > 1:
            raise InputError(f"Inside: the statistics are of different numbers of members: {sorted(members)}.")

    @property
    def members(self) -> int:
        """Number of members that were watched."""
        return next((a.shape[0] for a in (*self.values.values(), *self.network.values())), 0)

    def statistics(self) -> dict[str, Any]:
        """Return what the rules read: medians over the members, by the names of `fallline.rules.STATISTICS`.

        ``layer_<statistic>`` (t, L) and ``network_<statistic>`` (t,) float64, ``watched_epochs`` (t,) int64,
        ``layer_names``, ``layer_kinds``, ``layer_activations`` and, where it is known, ``output_layer``. A statistic
        without any value is left out: it was not watched.
        """
        found: dict[str, Any] = {}
        for prefix, values in (("layer", self.values), ("network", self.network)):
            for name, array in values.items():
                if not np.isnan(array).all():
                    found[f"{prefix}_{name}"] = _median(array)
        if not found:
            return {}
        found["watched_epochs"] = self.epochs
        if self.layers:
            found |= {"layer_names": self.layers, "layer_kinds": self.kinds, "layer_activations": self.activations}
            if self.output is not None:
                found["output_layer"] = self.output
        return found

    def to_columns(self) -> dict[str, np.ndarray]:
        """Return the statistics in long format, without the cells that are NaN.

        The columns are ``member`` int32, ``epoch`` int32, ``layer`` object ("" for the whole network), ``statistic``
        object and ``value`` float32; they are sorted by statistic (layers' first), member, epoch and layer.
        """
        parts: list[tuple[np.ndarray, ...]] = []
        names = np.array([*self.layers], object)
        for statistic, values in self.values.items():
            m, t, at = np.nonzero(~np.isnan(values))
            parts.append((m, self.epochs[t], names[at], np.full(len(m), statistic, object), values[m, t, at]))
        for statistic, values in self.network.items():
            m, t = np.nonzero(~np.isnan(values))
            blank = np.full(len(m), "", object)
            parts.append((m, self.epochs[t], blank, np.full(len(m), statistic, object), values[m, t]))
        kinds = {"member": np.int32, "epoch": np.int32, "layer": object, "statistic": object, "value": np.float32}
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 5
        return {name: column.astype(kinds[name]) for name, column in zip(kinds, columns, strict=True)}

    @staticmethod
    def from_columns(
        rows: Mapping[str, Sequence[Any] | np.ndarray],
        *,
        layers: Sequence[str],
        kinds: Sequence[str],
        activations: Sequence[str],
        output: int | None,
        epochs: Sequence[int] | np.ndarray,
        members: int,
        statistics: Sequence[str] = (),
        network: Sequence[str] = (),
        reason: str = "",
    ) -> Inside:
        """Return the object whose `to_columns` these are.

        Args:
            rows: the five columns.
            layers: as the field; so are the next four, and ``reason``.
            kinds: see there.
            activations: see there.
            output: see there.
            epochs: see there.
            members: number of members.
            statistics: names of the layers' statistics, in order; those without any row become NaN.
            network: names of the network's statistics, in order.
            reason: see there.
        """
        times = {int(epoch): i for i, epoch in enumerate(epochs)}
        places = {name: i for i, name in enumerate(layers)}
        values = {name: np.full((members, len(times), len(places)), np.nan, np.float32) for name in statistics}
        whole = {name: np.full((members, len(times)), np.nan, np.float32) for name in network}
        order = ("member", "epoch", "layer", "statistic", "value")
        member, epoch, layer, statistic, value = (np.asarray(rows[name]) for name in order)
        at = np.fromiter((times[int(e)] for e in epoch.tolist()), np.int64, len(epoch))
        for name in dict.fromkeys(statistic.tolist()):
            for chosen, target in (
                ((statistic == name) & (layer != ""), values),
                ((statistic == name) & (layer == ""), whole),
            ):
                if not chosen.any():
                    continue
                where: tuple[np.ndarray, ...] = (member[chosen], at[chosen])
                if target is values:
                    place = [places[one] for one in layer[chosen].tolist()]
                    where = (*where, np.asarray(place, np.int64))
                target[name][where] = value[chosen]
        return Inside(
            tuple(layers), tuple(kinds), tuple(activations), output, np.asarray(epochs, np.int64), values, whole, reason
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the statistics as a pandas frame with the columns member, epoch, layer, statistic, value."""
        import pandas as pd

        return pd.DataFrame(self.to_columns())


def _checked(
    what: str, given: Mapping[str, Any], known: Mapping[str, str], tail: tuple[int, ...]
) -> dict[str, np.ndarray]:
    found = {}
    for name, values in given.items():
        if name not in known:
            raise InputError(f"Inside: there is no statistic {name!r} in {what}.{nearest(name, known)}")
        array = np.asarray(values, np.float32)
        if array.ndim != 1 + len(tail) or array.shape[1:] != tail:
            wanted = ("members", *tail)
            raise InputError(f"Inside: {what}[{name!r}] has the shape {array.shape} instead of {wanted}.")
        found[name] = array
    return found


def median_of_known(values: np.ndarray) -> np.ndarray:
    """Return the median along the first axis of the values that are not NaN; NaN where there is none.

    NumPy's nanmedian is ten times as slow on arrays of this size, for it goes by masked arrays, and warns of a column
    without any value.

    >>> median_of_known(np.array([[1.0, np.nan], [5.0, np.nan], [np.nan, np.nan]])).tolist()
    [3.0, nan]
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=0)  # NaN last
    if not len(ordered):
        return np.full(ordered.shape[1:], np.nan)
    known = len(ordered) - np.isnan(ordered).sum(axis=0, keepdims=True)
    low, high = np.maximum((known - 1) // 2, 0), np.minimum(known // 2, len(ordered) - 1)
    two = np.take_along_axis(ordered, np.concatenate([low, high]), axis=0)
    return np.where(known[0] > 0, two.mean(axis=0), np.nan)


def _median(values: np.ndarray) -> np.ndarray:
    """The median over the members that have a value; NaN where none has one."""
    if values.shape[0] == 1:
        only: np.ndarray = values[0].astype(np.float64)
        return only
    return median_of_known(values)
