"""What a watcher notes down while a training runs, and the run that comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS, Inside, Outcome, Run, Trace

__all__ = ["Layer", "Record"]


@dataclass(frozen=True)
class Layer:
    """What stays the same of one watched layer.

    Args:
        name: ``outer/inner`` for a layer of a nested model.
        kind: name of its class, or of the function.
        activation: name of its activation function; "" where it has none.
    """

    name: str
    kind: str
    activation: str = ""


@dataclass
class Record:
    """Curves and looks at the inside of one network, in the order in which they come.

    Args:
        layers: name -> layer, in forward order.
        output: name of the output layer; "" where it cannot be told.
        reasons: why something could not be watched.
        n_epochs: completed epochs.
    """

    layers: dict[str, Layer] = field(default_factory=dict)
    output: str = ""
    reasons: dict[str, None] = field(default_factory=dict)
    n_epochs: int = 0
    _curves: list[tuple[int, str, float]] = field(default_factory=list)
    _values: dict[int, dict[str, dict[str, float]]] = field(default_factory=dict)
    _network: dict[int, dict[str, float]] = field(default_factory=dict)

    def end_epoch(self, curves: Mapping[str, float]) -> None:
        """Note the curves of one more completed epoch."""
        self.n_epochs += 1
        self._curves += [(self.n_epochs, name, float(value)) for name, value in curves.items()]

    def note(
        self, epoch: int, layers: Mapping[str, Mapping[str, float]], network: Mapping[str, float] | None = None
    ) -> None:
        """Note statistics of layers and of the network at one look; parts of a look may come one after the other."""
        seen = self._values.setdefault(epoch, {})
        for name, statistics in layers.items():
            seen.setdefault(name, {}).update(statistics)
        self._network.setdefault(epoch, {}).update(network or {})

    def could_not(self, reason: str) -> None:
        """Note why something could not be watched, once."""
        self.reasons[reason] = None

    def last(self, quantity: str) -> float:
        """Return the last value of a curve; NaN when there is none."""
        return next((value for _, name, value in reversed(self._curves) if name == quantity), math.nan)

    def diverged(self) -> bool:
        """True when the last training loss is not a finite number."""
        names = {name for _, name, _ in self._curves}
        return any(name in names and not math.isfinite(self.last(name)) for name in ("running_loss", "loss"))

    def trace(self) -> Trace:
        """Return what was seen so far."""
        epochs, names, values = zip(*self._curves, strict=True) if self._curves else ((), (), ())
        blank: dict[str, Any] = {"member": np.zeros(len(epochs)), "layer": [""] * len(epochs)}
        columns = Trace.from_columns(blank | {"epoch": epochs, "quantity": names, "value": values})
        return Trace(
            columns.member, columns.epoch, columns.layer, columns.quantity, columns.value, inside=self._inside()
        )

    def _inside(self) -> Inside | None:
        if not self._values and not self.reasons:
            return None
        epochs = sorted(self._values)
        layers = list(self.layers.values())
        values = {name: np.full((1, len(epochs), len(layers)), np.nan) for name in LAYER_STATISTICS}
        network = {name: np.full((1, len(epochs)), np.nan) for name in NETWORK_STATISTICS}
        for t, epoch in enumerate(epochs):
            for at, layer in enumerate(layers):
                for name, value in self._values[epoch].get(layer.name, {}).items():
                    values[name][0, t, at] = value
            for name, value in self._network[epoch].items():
                network[name][0, t] = value
        names = [layer.name for layer in layers]
        with np.errstate(over="ignore"):  # a diverged network's figures become infinite in float32
            return Inside(
                tuple(names),
                tuple(layer.kind for layer in layers),
                tuple(layer.activation for layer in layers),
                names.index(self.output) if self.output in names else None,
                np.array(epochs, np.int64),
                values,
                network,
                "; ".join(self.reasons),
            )

    def run(self, *, model: Any, planned: int | None, ended: bool, facts: Mapping[str, Any]) -> Run:
        """Return the run so far, with its diagnosis.

        Args:
            model: the Keras model; None for others.
            planned: epochs that were planned; None when nobody said.
            ended: whether the training came to its end.
            facts: what else is known, see `Run.facts`.
        """
        outcome: Outcome = "completed"
        if self.diverged():
            outcome = "diverged"
        elif not ended:
            outcome = "interrupted"
        elif planned is not None and self.n_epochs < planned:
            outcome = "stopped_early"
        known = {"stopped_epoch": self.n_epochs, "notes": list(self.reasons), **facts}
        if planned is not None:
            known["planned_epochs"] = planned
        run = Run(model=model, trace=self.trace(), outcome=outcome, facts=known)
        return run.with_(diagnosis=run.diagnose())
