"""What the rules ask of a model's layers, one plain record a layer, read by the attributes Keras layers have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "CONSTANT_LINEAR",
    "NORMALISERS",
    "RELU_LIKE",
    "SQUASHING",
    "LayerFacts",
    "chain_back",
    "flat_layers",
    "kind_of",
    "layer_activation",
    "layer_facts",
    "weight_layers",
]

NORMALISERS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization")
RELU_LIKE = ("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "silu", "swish", "gelu", "mish", "softplus")
SQUASHING = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign")
# Layers through which a linear map stays one, as far as a rule about nonlinearity is concerned.
CONSTANT_LINEAR = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Flatten", "Reshape",
    "Permute", "Rescaling", "Normalization", "Identity", "ZeroPadding2D", "Cropping2D", "AveragePooling1D",
    "AveragePooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "InputLayer", "ActivityRegularization",
)  # fmt: skip
_ACTIVATION_LAYERS = {"Softmax": "softmax", "ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu"}
_CONTAINERS = ("Sequential", "Functional", "Model")
# Numbers in a kernel up to which its units are compared one by one.
_MOST_WEIGHTS = 20_000_000
# Relative difference below which two units count as equal: they started equal and differ by rounding.
_EQUAL = 1e-6


@dataclass(frozen=True)
class LayerFacts:
    """One layer, in plain values.

    Args:
        name: the layer's name.
        kind: its class name.
        activation: the name of its activation; None: it has none.
        units: outputs of a dense layer, channels of a convolution; else None.
        parents: names of the layers whose output it takes; None: not known (a subclassed model).
        weights: trainable numbers.
        trainable: whether it is trained.
        rate: dropout rate or sd of the noise.
        l1: of the kernel's penalty.
        l2: of the kernel's penalty.
        activity_l1: of the penalty on its output.
        activity_l2: of the penalty on its output.
        fan_in: inputs of one unit; None without a kernel or before it is built.
        kernel_sd: root mean square of the kernel.
        twin_share: share of units whose incoming weights equal another unit's; NaN for a single unit.
    """

    name: str
    kind: str
    activation: str | None = None
    units: int | None = None
    parents: tuple[str, ...] | None = None
    weights: int = 0
    trainable: bool = True
    rate: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    activity_l1: float = 0.0
    activity_l2: float = 0.0
    fan_in: int | None = None
    kernel_sd: float = math.nan
    twin_share: float = math.nan

    @property
    def is_penalised(self) -> bool:
        """True where the loss holds a penalty on its kernel or its output."""
        return max(self.l1, self.l2, self.activity_l1, self.activity_l2) > 0

    @property
    def is_weighted(self) -> bool:
        """True for a dense layer or a convolution."""
        return self.kind == "Dense" or ("Conv" in self.kind and "LSTM" not in self.kind)


def kind_of(layer: Any) -> str:
    """Return a layer's class name."""
    return type(layer).__name__


def flat_layers(layers: Any) -> Iterator[Any]:
    """Yield the leaf layers of nested Sequential and Functional models, in their order."""
    for layer in layers:
        inner = getattr(layer, "layers", None)
        if inner and kind_of(layer) in _CONTAINERS:
            yield from flat_layers(inner)
        else:
            yield layer


def layer_activation(layer: Any) -> str | None:
    """Return the name of a layer's activation, or None when it has none."""
    if kind_of(layer) in _ACTIVATION_LAYERS:
        return _ACTIVATION_LAYERS[kind_of(layer)]
    found = getattr(layer, "activation", None)
    return getattr(found, "__name__", None) if found is not None else None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def twin_share(kernel: np.ndarray) -> float:
    """Return the share of units (last axis) whose incoming weights equal those of another unit; NaN for one unit.

    >>> twin_share(np.array([[1.0, 1.0, 2.0], [3.0, 3.0, 4.0]])).__round__(3)
    0.667
    """
    table = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    units = table.shape[1]
    if units < 2 or table.size > _MOST_WEIGHTS or not np.isfinite(table).all():
        return math.nan
    probe = np.random.default_rng(0).uniform(0.5, 1.5, table.shape[0])
    seen = np.sort(probe @ table)  # equal columns have equal projections; unequal ones hardly ever
    scale = float(np.sqrt(np.mean(table**2))) * math.sqrt(table.shape[0])
    close = np.diff(seen) <= _EQUAL * scale
    return float((np.append(close, False) | np.append(False, close)).mean())


def _kernel(layer: Any) -> np.ndarray | None:
    if getattr(layer, "kernel", None) is None or not getattr(layer, "built", False):
        return None
    weights = layer.get_weights()
    return np.asarray(weights[0]) if weights and np.ndim(weights[0]) >= 2 else None


def _parents(layer: Any) -> tuple[str, ...] | None:
    nodes = getattr(layer, "_inbound_nodes", None) or ()
    found: list[str] = []
    for node in nodes:
        found += [str(getattr(parent.operation, "name", "")) for parent in getattr(node, "parent_nodes", ())]
    return tuple(dict.fromkeys(found)) if nodes else None


def _penalties(layer: Any, of: str) -> tuple[float, float]:
    regularizer = getattr(layer, of, None)
    return _number(getattr(regularizer, "l1", 0.0)), _number(getattr(regularizer, "l2", 0.0))


def _weights(layer: Any) -> int:
    try:
        return int(sum(int(np.prod(v.shape)) for v in layer.trainable_weights))
    except (AttributeError, TypeError, ValueError):
        return 0


def _facts(layer: Any, parents: tuple[str, ...] | None) -> LayerFacts:
    kernel = _kernel(layer)
    l1, l2 = _penalties(layer, "kernel_regularizer")
    activity_l1, activity_l2 = _penalties(layer, "activity_regularizer")
    units = getattr(layer, "units", None) or getattr(layer, "filters", None)
    rate = _number(getattr(layer, "rate", 0.0)) or _number(getattr(layer, "stddev", 0.0))
    if kind_of(layer) == "GaussianNoise":
        rate = _number(getattr(layer, "stddev", 0.0))
    return LayerFacts(
        name=str(getattr(layer, "name", "")),
        kind=kind_of(layer),
        activation=layer_activation(layer),
        units=int(units) if isinstance(units, (int, np.integer)) else None,
        parents=parents,
        weights=_weights(layer),
        trainable=bool(getattr(layer, "trainable", True)),
        rate=rate,
        l1=l1,
        l2=l2,
        activity_l1=activity_l1,
        activity_l2=activity_l2,
        fan_in=None if kernel is None else int(np.prod(kernel.shape[:-1])),
        kernel_sd=math.nan if kernel is None else float(np.sqrt(np.mean(np.square(kernel, dtype=np.float64)))),
        twin_share=math.nan if kernel is None else twin_share(kernel),
    )


def layer_facts(model: Any) -> list[LayerFacts]:
    """Return one record per leaf layer, in forward order where the model shows it.

    Args:
        model: a Keras model, built or not. The parents of a subclassed model's layers are not known.
    """
    layers = list(flat_layers(getattr(model, "layers", None) or ()))
    if kind_of(model) != "Sequential":
        nested = any(getattr(layer, "layers", None) for layer in getattr(model, "layers", None) or ())
        return [_facts(layer, None if nested else _parents(layer)) for layer in layers]
    before = [(), *((str(layer.name),) for layer in layers[:-1])]
    return [_facts(layer, parents) for layer, parents in zip(layers, before, strict=True)]


def weight_layers(layers: Sequence[LayerFacts]) -> list[LayerFacts]:
    """Return the dense layers and convolutions."""
    return [layer for layer in layers if layer.is_weighted]


def chain_back(layers: Mapping[str, LayerFacts], layer: LayerFacts) -> Iterator[LayerFacts]:
    """Yield the layers in front of one, nearest first, as long as there is exactly one."""
    seen: set[str] = set()
    while layer.parents is not None and len(layer.parents) == 1 and layer.name not in seen:
        seen.add(layer.name)
        if layer.parents[0] not in layers:
            return
        layer = layers[layer.parents[0]]
        yield layer
