"""A resolved recipe's network, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fallline.network.lenet5 import build_lenet5
from fallline.network.member import MemberNetwork
from fallline.network.mlp import build_mlp
from fallline.network.rbf import build_rbf
from fallline.types import NetworkRecipe

__all__ = ["build_network"]

_BUILDERS: Mapping[str, Callable[..., MemberNetwork]] = {
    "mlp": build_mlp,
    "autoencoder": build_mlp,
    "rbf": build_rbf,
    "lenet5": build_lenet5,
}


def build_network(recipe: NetworkRecipe, *, features: int, numbers: int, outputs: int) -> MemberNetwork:
    """Build one member's network from a resolved recipe.

    Args:
        recipe: no entry is "auto"; ``kind`` says which network.
        features: d, prepared features.
        numbers: m <= d, how many of them are scaled numbers (they come first).
        outputs: width of the output layer (linear).

    Raises:
        InputError: columns that are no image, for LeNet-5.
    """
    return _BUILDERS[recipe.kind](recipe, features=features, numbers=numbers, outputs=outputs)
