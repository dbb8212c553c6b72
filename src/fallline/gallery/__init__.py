"""The gallery: figures and numbers that everybody should have seen once, each made by one short script.

A script has ``show(quick=False)`` and returns an `Exhibit`: a picture, for some an animation, and our numbers beside
the published ones. Those that can show a person's own model and data have ``show_yours(model, x, y, quick=False)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType

from fallline.errors import InputError, nearest
from fallline.gallery.exhibit import Exhibit

__all__ = ["EXHIBITS", "Exhibit", "find_exhibit"]

# Name -> what it shows, in the catalogue's order; so that the list needs no script. The module has _ for each -.
EXHIBITS: Mapping[str, str] = {
    "line": "G1  a line through seven points, and the way down its bowl",
    "guessing": "G2  guessing weights against following the gradient",
    "surfaces": "G3  six optimizers in a long valley and at a saddle (animated)",
    "vanishing": "G4  the gradient that vanishes under the sigmoid",
    "normalisation": "G5  LeNet-5 with and without normalisation",
    "batch-size": "G6  batch, mini-batch and stochastic",
    "plateau": "G7  a rate that falls on a plateau; batch normalisation",
    "regularisation": "G8  weight decay, noise and early stopping",
    "stopping": "G8  when to stop early: patience, GL, PQ and UP on five tables",
    "curves": "G9  the shapes of learning curves, one real run each",
    "momentum": "G10 learning rates, and the zig-zag without momentum (animated)",
    "conditioning": "G11 the error's ellipse before and after centring, scaling and whitening",
    "second-order": "T10 optimizers that know the curvature, at equal cost",
    "landscape": "W3  the loss around a minimum, and the way there",
    "rate": "T13 the loss while the learning rate rises",
}


def find_exhibit(name: str) -> ModuleType:
    """Import and return the script of an exhibit.

    Raises:
        InputError: there is none of this name.
    """
    if name not in EXHIBITS:
        raise InputError(
            f"There is no picture {name!r} in the gallery.{nearest(name, EXHIBITS)} There is {', '.join(EXHIBITS)}."
        )
    return importlib.import_module(f"fallline.gallery.{name.replace('-', '_')}")
