"""What cannot be honoured in the network's section of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fallline.types import NetworkRecipe, PretrainingRecipe, Recipe

__all__ = ["factor_contradictions", "network_contradictions"]

# Two 5 x 5 convolutions with pooling leave one pixel of so many (`fallline.network.lenet5`).
_SMALLEST_IMAGE = 12


def network_contradictions(recipe: Recipe) -> Iterator[str]:
    """Yield one sentence for each pair of entries about the network that cannot both be honoured."""
    yield from _kind(recipe)
    yield from _pretraining(recipe)
    network = recipe.network
    if network.initializer_scale != 1.0 and network.initializer not in ("random_normal", "random_uniform"):
        yield (
            f"network.initializer_scale = {network.initializer_scale:g} belongs to random_normal and random_uniform, "
            "but "
            f'network.initializer = "{network.initializer}" finds its own. Use one of the two, or initializer_scale = '
            "1."
        )
    if network.hidden == () and network.hidden_noise > 0:
        yield "network.hidden_noise disturbs hidden outputs, but network.hidden = [] has none. Use hidden_noise = 0."
    if network.hidden == ():
        if network.dropout not in ("auto", 0.0):
            yield "network.dropout silences hidden units, but network.hidden = [] has none. Use network.dropout = 0."
        if network.normalization != "none":
            yield (
                f'network.normalization = "{network.normalization}" follows hidden layers, but network.hidden = [] has '
                'none. Use network.normalization = "none".'
            )


# What each kind of network does not have: the entry, the values that say nothing, and why.
_WITHOUT: dict[str, dict[str, tuple[tuple[Any, ...], str]]] = {
    "rbf": {
        "activation": (("auto", "mish"), "radial units have an activation of their own"),
        "initializer": (("auto", "he_normal"), "the centres come from k-means"),
        "normalization": (("none",), "radial units answer between 0 and 1"),
        "embedding": (("auto", "none"), "the units measure distances between the inputs themselves"),
    },
    "lenet5": {"embedding": (("auto", "none"), "the inputs are pixels")},
    "autoencoder": {"embedding": (("auto", "none"), "its inputs are its targets")},
}


def _kind(recipe: Recipe) -> Iterator[str]:
    """What the kind of network contradicts."""
    network, kind = recipe.network, recipe.network.kind
    for entry, (idle, why) in _WITHOUT.get(kind, {}).items():
        value = getattr(network, entry)
        if value not in idle:
            yield (
                f'network.{entry} = "{value}" has no place in network.kind = "{kind}": {why}. Use {entry} = '
                f'"{idle[0]}".'
            )
    if kind == "lenet5" and len(network.image) not in (0, 3):  # none yet: images as x bring their own
        yield (
            f'network.kind = "lenet5" takes images, but network.image = {list(network.image)}. Use network.image = '
            "[height, width, channels], or give images of the shape (n, height, width, channels) as x."
        )
    if kind == "lenet5" and network.image and min(network.image[:2]) < _SMALLEST_IMAGE:
        yield (
            f"network.image = {list(network.image)} is too small for LeNet-5, which needs at least {_SMALLEST_IMAGE} x "
            f'{_SMALLEST_IMAGE} pixels. Enlarge the images, or use network.kind = "mlp".'
        )
    if kind == "lenet5" and recipe.prepare.whiten != "none":
        yield 'prepare.whiten mixes the pixels, and LeNet-5 looks at their places. Use prepare.whiten = "none".'
    if kind != "lenet5" and network.image:
        yield (
            f'network.image belongs to lenet5, but network.kind = "{kind}". Use network.kind = "lenet5", or '
            "network.image = []."
        )
    if kind == "rbf" and network.hidden != "auto" and len(network.hidden) != 1:
        yield (
            f"network.hidden = {list(network.hidden)} has {len(network.hidden)} layers, but rbf has one: the number of "
            "centres. Use e.g. network.hidden = [50]."
        )
    if kind == "autoencoder" and network.hidden == ():
        yield "network.hidden = [] leaves an autoencoder no layer for its code. Use e.g. network.hidden = [64, 8]."
    yield from _groups(recipe)


# The numbers that only one kind of pre-training reads.
_PRETRAINING_NUMBERS = {"silenced": "denoising", "contraction": "contractive", "gibbs_steps": "rbm"}


def _pretraining(recipe: Recipe) -> Iterator[str]:
    """What pre-training contradicts."""
    chosen, network = recipe.pretraining, recipe.network
    for number, reader in _PRETRAINING_NUMBERS.items():
        value, usual = getattr(chosen, number), getattr(PretrainingRecipe, number)
        if chosen.method != reader and value != usual:
            yield (
                f'pretraining.{number} = {value:g} belongs to {reader}, but pretraining.method = "{chosen.method}". '
                f'Use pretraining.method = "{reader}", or {number} = {usual:g}.'
            )
    if chosen.method == "none":
        return
    if network.kind in ("rbf", "lenet5"):
        yield (
            f'pretraining.method = "{chosen.method}" goes through dense hidden layers, but network.kind = '
            f'"{network.kind}". Use network.kind = "mlp", or pretraining.method = "none".'
        )
    if network.hidden == ():
        yield "pretraining trains hidden layers, but network.hidden = [] has none. Use pretraining.method = \"none\"."
    if chosen.method == "rbm" and network.activation != "sigmoid":
        yield (
            f'pretraining.method = "rbm" makes units that answer by a sigmoid, but network.activation = '
            f'"{network.activation}". Use network.activation = "sigmoid".'
        )


def _groups(recipe: Recipe) -> Iterator[str]:
    network = recipe.network
    usual = {"mlp": (128, 256), "lenet5": (120, 84)}  # what "auto" may become
    units = usual.get(network.kind, ()) if network.hidden == "auto" else network.hidden
    filters = (6, 16) if network.kind == "lenet5" else ()
    if network.normalization == "group" and network.kind == "autoencoder" and network.hidden == "auto":
        yield 'network.normalization = "group" divides hidden layers, but network.hidden = "auto". Give network.hidden.'
    if network.normalization == "group":
        odd = [u for u in (*filters, *units) if u % network.groups]
        if odd:
            yield (
                f"network.groups = {network.groups} does not divide layers of {', '.join(map(str, odd))} units. Choose "
                "groups that divide every hidden layer (lenet5: 2)."
            )
    elif network.groups != NetworkRecipe.groups:
        yield (
            f'network.groups = {network.groups} belongs to normalization = "group", but network.normalization = '
            f'"{network.normalization}". Use "group", or groups = {NetworkRecipe.groups}.'
        )


def factor_contradictions(recipe: Recipe) -> Iterator[str]:
    """Yield what is wrong with the factors on penalties of fallline's own network; a person's own model has others.

    Args:
        recipe: checked.
    """
    network, factors = recipe.network, recipe.optimizer.penalty_factors
    if not factors:
        return
    if network.hidden == "auto":
        yield (
            'optimizer.penalty_factors names layers, but network.hidden = "auto" has not said how many there are. Give '
            "network.hidden, or penalty_factors = []."
        )
        return
    filters = 2 if network.kind == "lenet5" else 0
    mirrored = len(network.hidden) - 1 if network.kind == "autoencoder" else 0
    wanted = (0 if network.kind == "rbf" else filters + len(network.hidden) + mirrored) + 1
    if len(factors) != wanted:
        yield (
            f"optimizer.penalty_factors has {len(factors)} numbers, but the network has {wanted} layers with kernels "
            "(the output's is the last). Give one per layer, or []."
        )
