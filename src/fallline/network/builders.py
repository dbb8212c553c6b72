"""Plain Keras models of the usual kinds, for people who work with Keras: ``fallline.networks``.

All are built of Keras' own layers and can be saved, changed and trained as any Keras model; the initial weights are
those that suit the activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from fallline.errors import InputError, is_count, nearest
from fallline.network.activations import apply_activation
from fallline.network.initialise import INITIALIZERS, initial_kernel
from fallline.network.lenet5 import FILTERS, KERNEL, require_image
from fallline.network.rbf import centres_and_widths
from fallline.types import INITIALIZERS_OF

__all__ = ["autoencoder", "lenet5", "mlp", "rbf"]

_NORMALIZATIONS = ("none", "batch", "layer", "group")


def _suited(activation: str, initializer: str) -> str:
    return INITIALIZERS_OF.get(activation, "glorot_uniform") if initializer == "auto" else initializer


def _checked(
    sizes: dict[str, Sequence[Any]], activation: str, initializer: str, normalization: str, rates: dict[str, float]
) -> None:
    """Raise one error with every mistake of a call.

    Raises:
        InputError: sizes that are no whole numbers above 0, unknown names, rates out of bounds.
    """
    wrong = []
    for name, values in sizes.items():
        if not all(is_count(value, least=1) for value in values):
            wrong.append(f"{name} = {list(values)} must be whole numbers of at least 1.")
    try:
        if activation != "lecun_tanh":
            keras.activations.get(activation)
    except (ValueError, TypeError):
        known = [*sorted(INITIALIZERS_OF), "linear", "sigmoid", "tanh"]
        wrong.append(
            f"activation = {activation!r} is unknown.{nearest(str(activation), known)} Usual: {', '.join(known)}."
        )
    allowed = ["auto", *(name for name in INITIALIZERS if name != "lsuv")]
    if initializer not in allowed:
        hint = " Build the model with another one and call fallline.lsuv(model, x)." if initializer == "lsuv" else ""
        wrong.append(
            f"initializer = {initializer!r} is not allowed: it takes one of {', '.join(allowed)}."
            f"{hint or nearest(str(initializer), allowed)}"
        )
    if normalization not in _NORMALIZATIONS:
        wrong.append(f"normalization = {normalization!r} is not allowed: it takes one of {', '.join(_NORMALIZATIONS)}.")
    for name, rate in rates.items():
        high = 0.95 if name == "dropout" else float("inf")
        if not 0.0 <= rate <= high:
            wrong.append(
                f"{name} = {rate!r} is not allowed: it takes a number from 0" + (" to 0.95." if high < 1 else ".")
            )
    if wrong:
        raise InputError(" ".join(wrong))


class _Stack:
    """Puts layers one behind another and remembers the kernels to draw once the model is built."""

    def __init__(self, activation: str, initializer: str, normalization: str, dropout: float, noise: float) -> None:
        self.activation, self.initializer = activation, _suited(activation, initializer)
        self.normalization, self.dropout, self.noise = normalization, dropout, noise

    def behind(self, x: Any, name: str, channels: int) -> Any:
        """Normalisation, activation, dropout, noise."""
        if self.normalization == "batch":
            x = keras.layers.BatchNormalization(name=f"norm_{name}")(x)
        elif self.normalization == "layer":
            x = keras.layers.LayerNormalization(axis=list(range(1, len(x.shape))), name=f"norm_{name}")(x)
        elif self.normalization == "group":
            groups = next(g for g in (4, 3, 2, 1) if channels % g == 0)
            x = keras.layers.GroupNormalization(groups, name=f"norm_{name}")(x)
        x = apply_activation(self.activation, x, layer_name=f"activation_{name}")
        if self.dropout > 0.0:
            x = keras.layers.Dropout(self.dropout, name=f"dropout_{name}")(x)
        return keras.layers.GaussianNoise(self.noise, name=f"noise_{name}")(x) if self.noise > 0.0 else x

    def dense(self, x: Any, units: int, name: str) -> Any:
        """A hidden layer."""
        return self.behind(keras.layers.Dense(units, name=f"hidden_{name}")(x), name, units)

    def finished(self, inputs: Any, out: Any, name: str, seed: int) -> keras.Model:
        """Return the model with its kernels drawn from the seed."""
        model = keras.Model(inputs, out, name=name)
        rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        for layer in model.layers:
            if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D)):
                chosen = "lecun_normal" if layer.name == "output" else self.initializer
                layer.kernel.assign(initial_kernel(chosen, rng, tuple(layer.kernel.shape)))
        return model


def mlp(
    features: int,
    outputs: int,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    output: str = "linear",
    initializer: str = "auto",
    normalization: str = "none",
    dropout: float = 0.0,
    input_noise: float = 0.0,
    hidden_noise: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Return a multilayer perceptron; without hidden layers it is linear regression, or logistic by its output.

    Args:
        features: width of the input.
        outputs: units of the output.
        hidden: units of each hidden layer.
        activation: of the hidden layers: any of Keras' names, or ``lecun_tanh``, 1.7159 tanh(2x/3).
        output: activation of the output: ``linear``, ``sigmoid``, ``softmax`` ...
        initializer: of the hidden kernels; auto: He for the ReLU family, LeCun for selu and lecun_tanh, else Glorot.
        normalization: ``none``, ``batch``, ``layer`` or ``group``, before each hidden activation.
        dropout: share of hidden units silenced in training.
        input_noise: standard deviation of Gaussian noise on the inputs in training.
        hidden_noise: the same on the outputs of hidden layers.
        seed: of the initial weights.

    Raises:
        InputError: every mistake at once.

    >>> mlp(2, 1, hidden=(5, 5)).count_params()
    51
    """
    sizes: dict[str, Sequence[Any]] = {"features": [features], "outputs": [outputs], "hidden": list(hidden)}
    rates = {"dropout": dropout, "input_noise": input_noise, "hidden_noise": hidden_noise}
    _checked(sizes, activation, initializer, normalization, rates)
    stack = _Stack(activation, initializer, normalization, dropout, hidden_noise)
    x = inputs = keras.Input((features,), name="features")
    if input_noise > 0.0:
        x = keras.layers.GaussianNoise(input_noise, name="input_noise")(x)
    for i, units in enumerate(hidden):
        x = stack.dense(x, int(units), str(i + 1))
    out = keras.layers.Dense(outputs, activation=output, name="output")(x)
    return stack.finished(inputs, out, "mlp", seed)


def lenet5(
    image: Sequence[int] = (28, 28, 1),
    classes: int = 10,
    *,
    activation: str = "relu",
    output: str = "softmax",
    pool: str = "average",
    initializer: str = "auto",
    normalization: str = "none",
    dropout: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Return LeNet-5: conv 6@5x5 - pool - conv 16@5x5 - pool - 120 - 84 - classes.

    Args:
        image: height, width and channels, at least 12 x 12.
        classes: units of the output.
        activation: of convolutions and dense layers; the paper's is ``lecun_tanh``.
        output: activation of the output.
        pool: ``average``, as in the paper, or ``max``.
        initializer: as for `mlp`.
        normalization: as for `mlp`; batch and group normalisation are per channel behind convolutions.
        dropout: share of the dense layers' units silenced in training.
        seed: of the initial weights.

    Raises:
        InputError: every mistake at once; an image that is none, or too small.

    Source: LeCun, Bottou, Bengio & Haffner 1998, section II-B. The first convolution sees a border of 2 pixels, so that
    28 x 28 pixels give the paper's sizes.

    >>> lenet5().count_params()
    61706
    """
    image = tuple(image)
    sizes: dict[str, Sequence[Any]] = {"image": image, "classes": [classes]}
    _checked(sizes, activation, initializer, normalization, {"dropout": dropout})
    require_image(image, int(np.prod(image)))
    pools = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}
    if pool not in pools:
        raise InputError(f'pool = {pool!r} is not allowed: it takes "average" or "max".')
    stack = _Stack(activation, initializer, normalization, 0.0, 0.0)
    x = inputs = keras.Input(image, name="image")
    for i, filters in enumerate(FILTERS):
        x = keras.layers.Conv2D(filters, KERNEL, padding="valid" if i else "same", name=f"convolution_{i + 1}")(x)
        x = pools[pool](2, name=f"pool_{i + 1}")(stack.behind(x, f"c{i + 1}", filters))
    x = keras.layers.Flatten(name="flat")(x)
    stack.dropout = dropout
    for i, units in enumerate((120, 84)):
        x = stack.dense(x, units, str(i + 1))
    out = keras.layers.Dense(classes, activation=output, name="output")(x)
    return stack.finished(inputs, out, "lenet5", seed)


def rbf(x: Any, outputs: int, *, centres: int = 20, output: str = "linear", seed: int = 0) -> keras.Model:
    """Return a network of radial units: exp(-|x - c|^2 / (2 s^2)), and a dense output.

    Args:
        x: (n, d) prepared training inputs: k-means places the centres among them, and each width begins as the mean
            distance to the two nearest centres.
        outputs: units of the output.
        centres: radial units, at most the number of different rows.
        output: activation of the output.
        seed: of k-means and of the output's weights.

    Returns:
        a model in which centres and widths are weights; training may stretch a unit along single inputs.

    Raises:
        InputError: more centres than different rows; inputs that are no table.

    Source: LeCun et al. 1998, Efficient BackProp, section 1.4.8; Moody & Darken 1989.

    >>> rbf(np.random.default_rng(0).normal(size=(50, 3)), 1, centres=5).output_shape
    (None, 1)
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise InputError(f"x has the shape {x.shape}; radial units take finite numbers of the shape (rows, columns).")
    _checked({"outputs": [outputs], "centres": [centres]}, "linear", "auto", "none", {})
    where, widths = centres_and_widths(x, centres, seed)
    inputs = keras.Input((x.shape[1],), name="features")
    distance = keras.layers.EinsumDense(
        "bd,dh->bhd", output_shape=(centres, x.shape[1]), bias_axes="hd", name="distances"
    )
    answer = ops.exp(ops.multiply(ops.sum(ops.square(distance(inputs)), axis=-1), -0.5))
    out = keras.layers.Dense(outputs, activation=output, name="output")(answer)
    model = _Stack("linear", "auto", "none", 0.0, 0.0).finished(inputs, out, "rbf", seed)
    distance.set_weights(radial_weights(where, widths))
    return model


def radial_weights(centre: np.ndarray, width: np.ndarray) -> list[np.ndarray]:
    """Return kernel (d, h) and bias (h, d) by which (x - c) / s is one stock product per unit and input."""
    scale = np.broadcast_to(1.0 / width, (centre.shape[1], len(width)))
    return [np.ascontiguousarray(scale, np.float32), (-centre / width[:, None]).astype(np.float32)]


def autoencoder(
    features: int,
    *,
    hidden: Sequence[int] = (64, 8),
    activation: str = "relu",
    output: str = "linear",
    initializer: str = "auto",
    input_noise: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Return a network that reproduces its inputs through a narrow layer, the ``code``.

    Args:
        features: width of input and output.
        hidden: units of the encoder's layers; the last is the code, linear; the others are mirrored behind it.
        activation: of the other hidden layers.
        output: activation of the output.
        initializer: as for `mlp`.
        input_noise: standard deviation of Gaussian noise on the inputs in training: a denoising autoencoder.
        seed: of the initial weights.

    Returns:
        the model; train it on (x, x). ``keras.Model(model.input, model.get_layer("code").output)`` encodes.

    Raises:
        InputError: every mistake at once.

    >>> model = autoencoder(10, hidden=(6, 2))
    >>> model.output_shape, model.get_layer("code").output.shape
    ((None, 10), (None, 2))
    """
    widths = list(hidden) or [0]
    _checked({"features": [features], "hidden": widths}, activation, initializer, "none", {"input_noise": input_noise})
    stack = _Stack(activation, initializer, "none", 0.0, 0.0)
    x = inputs = keras.Input((features,), name="features")
    if input_noise > 0.0:
        x = keras.layers.GaussianNoise(input_noise, name="input_noise")(x)
    for i, units in enumerate(widths[:-1]):
        x = stack.dense(x, int(units), f"in_{i + 1}")
    x = keras.layers.Dense(int(widths[-1]), name="code")(x)
    for i, units in enumerate(widths[-2::-1]):
        x = stack.dense(x, int(units), f"out_{i + 1}")
    out = keras.layers.Dense(features, activation=output, name="output")(x)
    return stack.finished(inputs, out, "autoencoder", seed)
