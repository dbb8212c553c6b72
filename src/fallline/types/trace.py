"""What was seen during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.types.inside import Inside
from fallline.types.verbs import verb

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["Trace"]


@dataclass(frozen=True, eq=False)
class Trace:
    """What was seen during training, in long format: one row per value.

    Args:
        member: (r,) int32, index of the network in its population.
        epoch: (r,) int32, completed epochs, from 1 (0: before the first step).
        layer: (r,) object, layer name, "" for quantities of the whole network.
        quantity: (r,) object: ``loss`` and ``val_loss`` (evaluation mode), ``running_loss`` (mean over the epoch's
            steps, training mode), ``accuracy``, ``val_accuracy``, ``rmse`` ..., ``learning_rate``.
        value: (r,) float64.
        inside: what happened in the layers; None where nobody looked.
    """

    member: np.ndarray
    epoch: np.ndarray
    layer: np.ndarray
    quantity: np.ndarray
    value: np.ndarray
    inside: Inside | None = None

    @staticmethod
    def from_columns(rows: Mapping[str, Sequence[Any] | np.ndarray]) -> Trace:
        """Build a trace from five equally long columns.

        >>> t = Trace.from_columns({"member": [0, 0], "epoch": [1, 2], "layer": ["", ""],
        ...                         "quantity": ["loss", "loss"], "value": [0.5, 0.4]})
        >>> t.curve("loss").tolist()
        [0.5, 0.4]
        """
        return Trace(
            member=np.asarray(rows["member"], np.int32),
            epoch=np.asarray(rows["epoch"], np.int32),
            layer=np.asarray(rows["layer"], object),
            quantity=np.asarray(rows["quantity"], object),
            value=np.asarray(rows["value"], np.float64),
        )

    def with_inside(self, inside: Inside | None) -> Trace:
        """Return the same curves with what was seen in the layers."""
        return replace(self, inside=inside)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the quantities that were watched, sorted."""
        return tuple(sorted(set(self.quantity.tolist())))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that were watched, in order of first appearance."""
        return tuple(dict.fromkeys(name for name in self.layer.tolist() if name))

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the population's members."""
        return tuple(sorted(set(self.member.tolist())))

    @property
    def n_epochs(self) -> int:
        """The last completed epoch of any member; 0 for an empty trace."""
        return int(self.epoch.max()) if len(self.epoch) else 0

    def matrix(self, quantity: str, layer: str = "") -> np.ndarray:
        """Return one quantity as (members, epochs), NaN where a member has no value; epoch 1 stands in column 0."""
        chosen = (self.quantity == quantity) & (self.layer == layer) & (self.epoch >= 1)
        members = {m: i for i, m in enumerate(self.members)}
        out = np.full((len(members), self.n_epochs), np.nan)
        rows = np.fromiter((members[m] for m in self.member[chosen].tolist()), np.int64, int(chosen.sum()))
        out[rows, self.epoch[chosen] - 1] = self.value[chosen]
        return out

    def curve(self, quantity: str, layer: str = "", member: int | None = None) -> np.ndarray:
        """Return one quantity per epoch, shape (epochs,), from epoch 1.

        For several members it is their mean, up to the last epoch that at least half of them reached: beyond it the
        survivors are a selection, and their mean would bend the curve.
        """
        values = self.matrix(quantity, layer)
        if member is not None:
            row: np.ndarray = values[self.members.index(member)]
            present = np.flatnonzero(~np.isnan(row))
            return row[: present[-1] + 1] if len(present) else row[:0]
        seen = (~np.isnan(values)).sum(axis=0)
        long_enough = np.flatnonzero(seen * 2 >= max(len(values), 1))
        end = int(long_enough[-1]) + 1 if len(long_enough) and seen.any() else 0
        kept, count = values[:, :end], seen[:end]
        return np.where(count > 0, np.nansum(kept, axis=0) / np.maximum(count, 1), np.nan)

    def to_frame(self) -> pd.DataFrame:
        """Return the trace as a pandas frame with the columns member, epoch, layer, quantity, value."""
        import pandas as pd

        return pd.DataFrame({name: getattr(self, name) for name in ("member", "epoch", "layer", "quantity", "value")})

    def plot_layers(self, statistic: str = "gradient_norm", ax: Any = None) -> Any:
        """Draw a statistic of every layer over the epochs as a heat map; return Matplotlib's axes."""
        # As below.
        return verb("fallline.plot:plot_layers")(self, statistic, ax)

    def to_tensorboard(self, folder: Any) -> Any:
        """Write the trace as TensorBoard's event files into a new folder; needs the extra ``tensorboard``."""
        # A higher room's, found by name when it is called.
        return verb("fallline.store.tensorboard:write_tensorboard")(self, folder)
