"""Watch Keras' own fit on the backend that KERAS_BACKEND names, and print what was seen as JSON.

Run by test_keras_fit.py in a process of its own, for a process has one backend.
"""

from __future__ import annotations

import json
from typing import Any

import keras  # before fallline, which would select JAX
import numpy as np

import fallline as fl

ROWS = 64


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    return x, (x[:, :1] * x[:, 1:2] > 0).astype("float32")


def plain(seed: int = 0) -> keras.Model:
    """A network without chance, of the same weights on every backend."""
    inner = keras.Sequential([keras.layers.Dense(6, activation="tanh", name="a")], name="inner")
    entry = keras.Input((4,))
    hidden = keras.layers.Dense(8, name="first")(entry)
    hidden = keras.layers.ReLU(name="relu")(hidden)
    out = keras.layers.Dense(1, activation="sigmoid", name="last")(inner(hidden))
    model = keras.Model(entry, out)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.5, w.shape).astype("float32") for w in model.get_weights()])
    model.compile(keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def chancy() -> keras.Model:
    """A network with everything that a look could disturb: seeds, moving means, penalties, an optimizer's state."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((4,)),
        keras.layers.GaussianNoise(0.1),
        keras.layers.Dense(8, activation="relu", kernel_regularizer="l2", activity_regularizer="l2"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def state(model: keras.Model) -> list[np.ndarray]:
    return [np.array(v.numpy()) for v in (*model.variables, *model.optimizer.variables, *model.metrics_variables)]


def fit(model: keras.Model, **more: Any) -> keras.callbacks.History:
    x, y = rows()
    return model.fit(x, y, batch_size=16, epochs=3, verbose=0, shuffle=False, **more)


def unchanged() -> bool:
    """True when a watched training ends bit for bit as an unwatched one."""
    ends = []
    for watching in (True, False):
        model = chancy()
        history = fit(model, validation_split=0.25, callbacks=[fl.watch.keras()] if watching else [])
        ends.append((state(model), history.history, np.random.random(), keras.random.normal((2,))))  # noqa: NPY002
    (a, logs, drawn, own), (b, other_logs, other_drawn, other_own) = ends
    same = all(np.array_equal(u, v) for u, v in zip(a, b, strict=True)) and len(a) == len(b)
    chance = drawn == other_drawn and np.array_equal(*map(keras.ops.convert_to_numpy, (own, other_own)))
    return bool(same and chance and logs == other_logs)


def seen() -> dict[str, Any]:
    model, watch = plain(), fl.watch.keras()
    fit(model, callbacks=[watch])
    inside = watch.trace.inside
    assert inside is not None
    return {
        "reason": inside.reason,
        "layers": inside.layers,
        "kinds": inside.kinds,
        "activations": inside.activations,
        "output": inside.output,
        "values": {name: values[0].tolist() for name, values in inside.values.items()},
        "network": {name: values[0].tolist() for name, values in inside.network.items()},
        "quantities": watch.trace.quantities,
        "outcome": watch.run.outcome,
        "healthy": watch.diagnose().healthy,
    }


if __name__ == "__main__":
    print(json.dumps({"backend": keras.backend.backend(), "unchanged": unchanged(), **seen()}))
