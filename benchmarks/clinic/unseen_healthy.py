"""Healthy programs of many kinds, in the manner of tutorials: whatever warns here is a false alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.clinic import unseen_rows as rows
from benchmarks.clinic.unseen_program import Program, Unseen, dense, held

__all__ = ["HEALTHY"]

SPARSE = "sparse_categorical_crossentropy"


def _cnn(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, SPARSE, keras.optimizers.Adam(0.002), epochs=15)


def _cnn_norm(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, SPARSE, keras.optimizers.SGD(0.05, momentum=0.9), epochs=12)


def _recurrent(kind: str) -> Any:
    def make(rng: np.random.Generator) -> Program:
        import keras

        x, y = rows.sines(rng)
        model = keras.Sequential([keras.Input((20, 1)), getattr(keras.layers, kind)(16), keras.layers.Dense(1)])
        return held(model, x, y, "mse", keras.optimizers.Adam(0.005), epochs=25)

    return make


def _mlp_iris(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.iris(rng)
    return held(dense(4, (16,), 3, "softmax"), rows.scaled(x), y, SPARSE, keras.optimizers.Adam(0.01), epochs=40)


def _regression(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.diabetes(rng)
    model = dense(10, (16,), 1, "linear", kernel_regularizer=keras.regularizers.L2(0.01))
    return held(model, x, rows.scaled(y[:, None])[:, 0], "mse", keras.optimizers.Adam(0.005), epochs=20)


def _autoencoder(rng: np.random.Generator) -> Program:
    import keras

    x, _ = rows.digits(rng, 1400)
    model = dense(64, (48, 16, 48), 64, "sigmoid")
    return held(model, x, x, "mse", keras.optimizers.Adam(0.003), epochs=30)


def _many_outputs(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng)
    label = (y > 0).astype(np.int32)
    put = keras.Input((6,))
    inner = keras.layers.Dense(32, "relu")(put)
    inner = keras.layers.Dense(32, "relu")(inner)
    model = keras.Model(
        put, {"size": keras.layers.Dense(1, name="size")(inner),
              "sign": keras.layers.Dense(1, "sigmoid", name="sign")(inner)}
    )  # fmt: skip
    cut = 450
    parts = [(x[part], {"size": y[part], "sign": label[part]}) for part in (slice(cut), slice(cut, None))]
    loss = {"size": "mse", "sign": "binary_crossentropy"}
    return Program(model, *parts[0], loss, keras.optimizers.Adam(0.003), epochs=25, held=parts[1])


def _skips(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.blobs(rng, 900, classes=4, spread=4.0)
    put = keras.Input((8,))
    inner = keras.layers.Dense(24)(put)
    for _ in range(3):
        step = keras.layers.LayerNormalization()(inner)
        step = keras.layers.Dense(24, "gelu")(step)
        inner = keras.layers.Add()([inner, keras.layers.Dense(24)(step)])
    model = keras.Model(put, keras.layers.Dense(4, "softmax")(inner))
    return held(model, x, y, SPARSE, keras.optimizers.AdamW(0.001), epochs=12)


def _transformer(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.texts(rng, 800, words=30)
    put = keras.Input((12,))
    inner = keras.layers.Embedding(30, 16)(put)
    seen = keras.layers.MultiHeadAttention(2, 8)(inner, inner)
    inner = keras.layers.LayerNormalization()(keras.layers.Add()([inner, seen]))
    wide = keras.layers.Dense(16)(keras.layers.Dense(32, "relu")(inner))
    inner = keras.layers.LayerNormalization()(keras.layers.Add()([inner, wide]))
    inner = keras.layers.GlobalAveragePooling1D()(inner)
    model = keras.Model(put, keras.layers.Dense(1, "sigmoid")(inner))
    return held(model, x, y, "binary_crossentropy", keras.optimizers.Adam(0.003), epochs=12)


def _noisy_labels(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng, 1000)
    y = np.where(rng.random(len(y)) < 0.1, 1 - y, y)
    return held(dense(2, (16,), 1, "sigmoid"), x, y, "binary_crossentropy", _adam(0.01), epochs=30)


def _adam(rate: float) -> Any:
    import keras

    return keras.optimizers.Adam(rate)


def _hundred_validation_rows(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng, 400, noise=0.25)
    return held(dense(2, (16,), 1, "sigmoid"), x, y, "binary_crossentropy", _adam(0.01), epochs=40)


def _one_in_five(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng, 1200, noise=0.2)
    kept = (y == 0) | (rng.random(len(y)) < 0.25)
    return held(dense(2, (16, 16), 1, "sigmoid"), x[kept], y[kept], "binary_crossentropy", _adam(0.005), epochs=40)


def _embedding_lstm(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.texts(rng, 600)
    model = keras.Sequential([
        keras.Input((12,)),
        keras.layers.Embedding(50, 8),
        keras.layers.LSTM(16),
        keras.layers.Dense(1, "sigmoid"),
    ])
    (x, y), held = rows.cut(x, y, 1 / 6)
    return Program(model, x, y, "binary_crossentropy", _adam(0.005), epochs=10, held=held)


def _conv_signals(rng: np.random.Generator) -> Program:
    import keras

    y = rng.integers(0, 3, 600)
    t = np.arange(40)[None, :]
    x = np.sin((0.2 + 0.25 * y[:, None]) * t + rng.uniform(0, 6, (600, 1))) + 0.3 * rng.normal(size=(600, 40))
    model = keras.Sequential([
        keras.Input((40, 1)),
        keras.layers.Conv1D(16, 5, activation="relu"),
        keras.layers.MaxPooling1D(),
        keras.layers.Conv1D(16, 5, activation="relu"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(3, "softmax"),
    ])
    return held(model, x[..., None].astype(np.float32), y, SPARSE, _adam(0.003), epochs=15)


def _two_inputs(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng, 800)
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    both = keras.layers.Concatenate()([keras.layers.Dense(24, "relu")(left), keras.layers.Dense(24, "relu")(right)])
    inner = keras.layers.Dense(32, "relu")(both)
    model = keras.Model({"left": left, "right": right}, keras.layers.Dense(1)(inner))
    parts = [({"left": x[part, :3], "right": x[part, 3:]}, y[part]) for part in (slice(600), slice(600, None))]
    return Program(model, *parts[0], "mse", _adam(0.003), epochs=30, held=parts[1])


def _logits(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return held(dense(64, (48,), 10, None), x, y, loss, _adam(0.002), epochs=15)  # type: ignore[arg-type]


def _poisson(rng: np.random.Generator) -> Program:
    x, y = rows.counts(rng)
    return held(dense(4, (16,), 1, "exponential"), x, y, "poisson", _adam(0.005), epochs=20)


def _huber(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng, 800)
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(48, "silu"),
        keras.layers.LayerNormalization(),
        keras.layers.Dense(24, "silu"),
        keras.layers.Dense(1),
    ])
    return held(model, x, y, "huber", keras.optimizers.AdamW(0.003), epochs=25)


def _many_labels(rng: np.random.Generator) -> Program:
    x = rng.normal(size=(800, 8)).astype(np.float32)
    y = (x @ rng.normal(size=(8, 5)) + 0.3 * rng.normal(size=(800, 5)) > 0).astype(np.float32)
    return held(dense(8, (32,), 5, "sigmoid"), x, y, "binary_crossentropy", _adam(0.005), epochs=20)


def _cosine(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400)
    rate = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=33 * 15)
    return held(dense(64, (48,), 10, "softmax"), x, y, SPARSE, keras.optimizers.SGD(rate, momentum=0.9), epochs=15)


def _rescaling(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x * 255, y, SPARSE, _adam(0.003), epochs=12)


def _normalization(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng, 800)
    x = (x * np.array([1, 10, 100, 1000, 1, 1]) + 300).astype(np.float32)
    norm = keras.layers.Normalization()
    norm.adapt(x)
    model = keras.Sequential([
        keras.Input((6,)), norm, keras.layers.Dense(32, "relu"), keras.layers.Dense(32, "relu"), keras.layers.Dense(1),
    ])  # fmt: skip
    return held(model, x, y, "mse", _adam(0.003), epochs=30)


def _column_of_labels(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng, 600)
    y = y[:, None].astype(np.float64)
    return held(dense(2, (24,), 1, "sigmoid", "tanh"), x, y, "binary_crossentropy", _adam(0.01), epochs=40)


def _weak_signal(rng: np.random.Generator) -> Program:
    x = rng.normal(size=(1600, 8)).astype(np.float32)
    y = (x[:, 0] - x[:, 1] + 2.0 * rng.normal(size=1600) > 0).astype(np.int32)
    return held(dense(8, (8,), 1, "sigmoid"), x, y, "binary_crossentropy", _adam(0.003), epochs=8)


HEALTHY: Mapping[str, Unseen] = {
    name: Unseen((), make)
    for name, make in {
        "a CNN of digits": _cnn,
        "a CNN with batch normalisation, SGD": _cnn_norm,
        "an LSTM of sines": _recurrent("LSTM"),
        "a GRU of sines": _recurrent("GRU"),
        "a small network of iris": _mlp_iris,
        "a regression of diabetes": _regression,
        "an autoencoder of digits": _autoencoder,
        "a number and a label at once": _many_outputs,
        "skip connections": _skips,
        "a transformer block": _transformer,
        "one label in ten wrong": _noisy_labels,
        "a hundred validation rows": _hundred_validation_rows,
        "one in five": _one_in_five,
        "embedding and LSTM": _embedding_lstm,
        "a convolution of signals": _conv_signals,
        "two inputs": _two_inputs,
        "logits that say so": _logits,
        "counts, Poisson": _poisson,
        "Huber, layer normalisation, AdamW": _huber,
        "many labels at once": _many_labels,
        "a cosine of rates": _cosine,
        "bytes, scaled in the model": _rescaling,
        "unscaled columns, scaled in the model": _normalization,
        "a column of labels": _column_of_labels,
        "a weak signal": _weak_signal,
    }.items()
}
