"""The section of a recipe about the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fallline.types.recipe_entry import entry as _entry

__all__ = ["INITIALIZERS_OF", "NetworkRecipe"]

# The one place that says which initialiser keeps the variance of what flows through an activation; for the others it is
# glorot_uniform.
INITIALIZERS_OF: Mapping[str, str] = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "gelu", "silu", "mish"), "he_normal"),
    **dict.fromkeys(("selu", "lecun_tanh"), "lecun_normal"),
}


@dataclass(frozen=True)
class NetworkRecipe:
    """The network's architecture (part of the compiled program)."""

    kind: str = _entry(
        "mlp",
        "the architecture: mlp = multilayer perceptron, lenet5 = LeNet-5 for images, rbf = one layer of units that "
        "answer to the distance from their centre, autoencoder = reproduces its inputs through the last of its hidden "
        "layers, mirrored behind it",
        choices=("mlp", "lenet5", "rbf", "autoencoder"),
    )
    image: tuple[int, ...] = _entry(
        (),
        "height, width and channels of the image whose pixels are the columns, row by row (lenet5)",
        low=1,
        each=True,
    )
    hidden: tuple[int, ...] | Literal["auto"] = _entry(
        "auto",
        "units of each hidden layer, e.g. [256, 256]; []: linear model; auto: by the number of rows (rbf: one number, "
        "the "
        "centres; lenet5: the two dense layers, [120, 84])",
        low=1,
        each=True,
        auto=True,
    )
    activation: str = _entry(
        "auto",
        "activation of the hidden layers; auto: what the preset's measurements favour",
        choices=(
            "auto",
            "relu",
            "selu",
            "elu",
            "gelu",
            "silu",
            "mish",
            "tanh",
            "sigmoid",
            "lecun_tanh",
            "leaky_relu",
            "linear",
        ),
    )
    initializer: str = _entry(
        "auto",
        "initial weights; auto: he_normal for the ReLU family, lecun_normal for selu and lecun_tanh, else "
        "glorot_uniform: each keeps the variance of what flows through its activation; lsuv: orthogonal, then every "
        "layer scaled to outputs of variance 1 on training rows",
        choices=(
            "auto",
            "glorot_uniform",
            "glorot_normal",
            "he_normal",
            "he_uniform",
            "lecun_normal",
            "lecun_uniform",
            "orthogonal",
            "random_normal",
            "random_uniform",
            "lsuv",
        ),
    )
    initializer_scale: float = _entry(
        1.0, "sigma of random_normal, N(0, sigma^2); a of random_uniform, U(-a, a)", above=0.0
    )
    embedding: str = _entry(
        "auto",
        "expansion of each number before the first layer: periodic = learned cos(2 pi (w x + b)) features, piecewise = "
        "learned piecewise linear functions that bend at quantiles of the training rows and, for labels, where a "
        "decision tree on the number alone parts the classes, both = the two side by side; auto: periodic, from 1,000 "
        "rows (quantities: 5,000) both",
        choices=("auto", "none", "periodic", "piecewise", "both"),
    )
    embedding_spread: float = _entry(
        0.1, "standard deviation of the first frequencies w of a periodic embedding; small: it starts smooth", above=0.0
    )
    input_scale: bool = _entry(True, "learn one factor per input before the first hidden layer")
    skip: bool = _entry(True, "add a linear path from the inputs to the output beside the deep one")
    normalization: str = _entry(
        "none", "normalisation after each hidden layer", choices=("none", "batch", "layer", "group")
    )
    groups: int = _entry(4, "groups of units that are normalised together (group)", low=2)
    dropout: float | Literal["auto"] = _entry(
        "auto", "share of hidden units silenced at random in training", low=0.0, high=0.95, auto=True
    )
    rate_per_layer: bool = _entry(
        True,
        "scale each kernel's learning rate by sqrt(256 / fan_in), so that wide and narrow layers learn at equal speed",
    )
    input_noise: float = _entry(
        0.0, "standard deviation of Gaussian noise added to the prepared inputs in training", low=0.0
    )
    input_dropout: float = _entry(
        0.0, "share of the prepared inputs silenced at random in training", low=0.0, high=0.95
    )
    hidden_noise: float = _entry(
        0.0, "standard deviation of Gaussian noise added to the outputs of hidden layers in training", low=0.0
    )
    output: str = _entry(
        "plain",
        "output unit; plain: linear for quantities, softmax or sigmoid of the loss for labels; sigmoid, lecun_tanh: "
        "one "
        "such unit per class, under training.loss = mse",
        choices=("plain", "sigmoid", "lecun_tanh"),
    )
