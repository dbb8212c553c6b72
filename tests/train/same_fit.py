"""Train one model twice from the same weights, by Keras' own fit and by fallline, and compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import fallline as fl
from fallline.types import Run


def both(
    build: Callable[[], keras.Model], x: Any, y: Any, *, epochs: int = 3, batch_size: int = 16, **keywords: Any
) -> tuple[Any, keras.Model, Run]:
    """Return Keras' history, the model that Keras trained, and fallline's run of its twin."""
    keras.utils.set_random_seed(0)
    theirs, ours = build(), build()
    for model in (theirs, ours):
        model(keras.tree.map_structure(lambda a: np.asarray(a[:2]), x))
    ours.set_weights(theirs.get_weights())
    history = theirs.fit(x, y, epochs=epochs, batch_size=batch_size, shuffle=False, verbose=0, **keywords).history
    keywords = {"watch": False, **keywords}  # half of the compilation; test_inside.py: looks change nothing
    run = fl.train(
        ours, x, y, epochs=epochs, batch_size=batch_size, shuffle=False, early_stopping=False, verbose=0, **keywords
    )
    return history, theirs, run


def assert_same(history: dict[str, list[float]], theirs: keras.Model, run: Run, *, rtol: float = 2e-5) -> None:
    """Keras' training loss is our running loss; everything on validation rows has the same name; the weights agree."""
    assert run.outcome == "completed"
    np.testing.assert_allclose(run.history["running_loss"], history["loss"], rtol=rtol, atol=1e-6)
    for name, values in history.items():
        if name.startswith("val_"):
            np.testing.assert_allclose(run.history[name], values, rtol=rtol, atol=1e-6, err_msg=name)
        elif name != "loss":
            assert name in run.history, name  # Keras' value is a mean over the epoch's steps, ours is exact at its end
    for mine, other in zip(run.model.weights, theirs.weights, strict=True):
        if mine.path.endswith("seed_generator_state"):
            continue
        np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=1e-4, atol=1e-5, err_msg=other.path)
