"""LeNet-5: two convolutions with pooling behind each, and two dense layers before the output.

Source: LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition, section II-B,
figure 2. As there, the first convolution sees a border of 2 pixels: images of 28 x 28 give the paper's 32 x 32.
"""

from __future__ import annotations

from typing import Any

import keras

from fallline.errors import InputError
from fallline.network.activations import activation
from fallline.network.member import MemberNetwork
from fallline.network.mlp import disturb, hidden_layer, noisy_inputs, normalise
from fallline.types import NetworkRecipe

__all__ = ["FILTERS", "KERNEL", "SMALLEST", "build_lenet5", "require_image"]

FILTERS, KERNEL = (6, 16), 5
SMALLEST = 12  # pixels: (12 / 2 - 4) / 2 = 1 is left behind the second pooling


def require_image(image: tuple[int, ...], features: int) -> None:
    """Raise unless (h, w, c) is an image that LeNet-5 can take and that the columns fill.

    Raises:
        InputError: not three sizes, too small, or another number of pixels than there are columns.
    """
    if len(image) != 3:
        raise InputError(
            f"network.image = {list(image)} is no image: LeNet-5 takes [height, width, channels], e.g. [28, 28, 1], or "
            "images of the shape (n, height, width, channels) as x."
        )
    height, width, channels = image
    if min(height, width) < SMALLEST:
        raise InputError(
            f"Images of {height} x {width} are too small for LeNet-5: two {KERNEL} x {KERNEL} convolutions with "
            "pooling "
            f'need at least {SMALLEST} x {SMALLEST} pixels. Enlarge the images, or use network.kind = "mlp".'
        )
    if height * width * channels != features:
        raise InputError(
            f"network.image = {list(image)} has {height * width * channels:,} pixels, but there are {features:,} "
            "columns "
            "of numbers. LeNet-5 takes a table whose columns are the pixels, row by row, the channels of a pixel "
            "together, "
            "and nothing else."
        )


def _convolution(recipe: NetworkRecipe, x: Any, index: int) -> Any:
    x = keras.layers.Conv2D(
        FILTERS[index],
        KERNEL,
        padding="valid" if index else "same",
        kernel_initializer="zeros",
        name=f"convolution_{index + 1}",
    )(x)
    x = normalise(recipe, x, f"norm_c{index + 1}")
    x = keras.layers.Activation(activation(recipe.activation), name=f"activation_c{index + 1}")(x)
    return keras.layers.AveragePooling2D(2, name=f"pool_{index + 1}")(x)


def build_lenet5(recipe: NetworkRecipe, *, features: int, numbers: int, outputs: int) -> MemberNetwork:
    """Build one member's LeNet-5 from a resolved recipe.

    Args:
        recipe: no entry is "auto"; ``image`` is (h, w, c).
        features: d, prepared features, h * w * c.
        numbers: how many of them are scaled numbers: all.
        outputs: width of the output layer (linear).

    Raises:
        InputError: the columns are no image.
    """
    require_image(recipe.image, features if features == numbers else -1)
    inputs = keras.Input((features,), name="features")
    x = keras.layers.Reshape(recipe.image, name="image")(noisy_inputs(recipe, inputs))
    for index in range(2):
        x = disturb(recipe, _convolution(recipe, x, index), f"c{index + 1}")
    x = keras.layers.Flatten(name="flat")(x)
    assert recipe.hidden != "auto"
    for i, units in enumerate(recipe.hidden):
        x = hidden_layer(recipe, x, units, str(i + 1))
    out = keras.layers.Dense(outputs, kernel_initializer="zeros", name="output")(x)
    return MemberNetwork(keras.Model(inputs, out, name="member"), recipe, features, numbers, outputs, recipe.hidden)
