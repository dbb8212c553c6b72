"""Greedy layer-wise pre-training: each hidden layer learns from the outputs of the one before it.

Sources: Bengio, Lamblin, Popovici & Larochelle, Greedy layer-wise training of deep networks, NIPS 2006 (autoencoders,
and the supervised variant); Vincent et al., Extracting and composing robust features with denoising autoencoders, ICML
2008; Rifai et al., Contractive auto-encoders, ICML 2011, eq. 5 and 7; Hinton, Osindero & Teh, Neural Computation 18
(2006), section 5 (machines stacked on one another).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax

from fallline.errors import InputError, nearest
from fallline.network.rbm import Machine, train_rbm
from fallline.types import PretrainingRecipe

__all__ = ["contraction", "pretrain", "pretrain_layer"]

Tree = Any
Activation = Callable[[Any], Any]
RowLoss = Callable[[jax.Array, jax.Array], jax.Array]

_ELEMENTWISE = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU, keras.layers.Rescaling)
# What disturbs or rescales in training stays out while one layer learns alone.
_PASSED_OVER = (
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)

KINDS = ("autoencoder", "denoising", "contractive", "rbm", "supervised")


def contraction(kernel: jax.Array, z: jax.Array, activation: Activation) -> jax.Array:
    """Return (b,) squared Frobenius norms of the Jacobian of activation(x W + c): sum_j f'(z_j)^2 sum_i W_ij^2.

    Args:
        kernel: W, (d, h).
        z: (b, h), x W + c.
        activation: f, elementwise.

    Source: Rifai et al. 2011, eq. 7 (there for the sigmoid).
    """
    _, slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))
    found: jax.Array = jnp.square(slope) @ jnp.sum(jnp.square(kernel), axis=0)
    return found


def pretrain_layer(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray,
    activation: Activation,
    settings: PretrainingRecipe,
    *,
    seed: int,
    first: bool,
    targets: tuple[np.ndarray, int, RowLoss] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of one hidden layer after pre-training.

    Args:
        x: (n, d) what comes into the layer.
        kernel: (d, h) its first weights.
        bias: (h,).
        activation: of the layer.
        settings: kind and numbers.
        seed: of orders, corruption and samples.
        first: the inputs are the network's own: numbers, where an rbm's deeper layers see probabilities.
        targets: (y, width of the output, loss of rows) for ``supervised``.
    """
    if settings.method == "rbm":
        start = Machine(kernel, x.mean(axis=0) if first else np.zeros(len(kernel), np.float32), bias)
        machine = train_rbm(
            start,
            x,
            epochs=settings.layer_epochs,
            rate=settings.layer_rate,
            batch=settings.layer_batch,
            steps=settings.gibbs_steps,
            gaussian=first,
            seed=seed,
        )
        return np.asarray(machine.weights), np.asarray(machine.hidden)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 4]))
    if settings.method == "supervised":
        assert targets is not None
        y, width, cost = targets
        behind = (rng.standard_normal((kernel.shape[1], width)) / np.sqrt(kernel.shape[1])).astype(np.float32)
        decoder, aim = (behind, np.zeros(width, np.float32)), y
    else:
        # The decoder begins as the encoder's transpose, and is free from there.
        decoder, aim = (kernel.T.copy(), np.zeros(len(kernel), np.float32)), x
        cost = _squared

    def loss(params: Tree, rows: jax.Array, wanted: jax.Array, key: jax.Array) -> jax.Array:
        (w, c), (v, d) = params
        if settings.method == "denoising":
            rows = jnp.where(jax.random.uniform(key, rows.shape) < settings.silenced, 0.0, rows)
        z = rows @ w + c
        value = jnp.mean(cost(activation(z) @ v + d, wanted))
        if settings.method == "contractive":
            value = value + settings.contraction * jnp.mean(contraction(w, z, activation))
        return value

    params = _descended(((kernel, bias), decoder), loss, (x, aim), settings, rng)
    (kernel, bias), _ = params
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise InputError(
            f"Pre-training ({settings.method}) diverged at the learning rate {settings.layer_rate:g}. Lower "
            "pretraining.layer_rate, or scale the inputs."
        )
    return kernel, bias


def _squared(out: jax.Array, wanted: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(out - wanted), axis=-1)


def _descended(
    params: Tree, loss: Callable[..., jax.Array], data: Tree, settings: PretrainingRecipe, rng: np.random.Generator
) -> Tree:
    """Return the parameters after Adam's steps."""
    batch = min(settings.layer_batch, len(data[0]))
    optimizer = optax.adam(settings.layer_rate)

    @jax.jit
    def epoch(carry: Tree, rows: jax.Array, key: jax.Array) -> Tree:
        def step(carry: Tree, xs: Tree) -> tuple[Tree, None]:
            params, state = carry
            part, own = xs
            grads = jax.grad(loss)(params, jnp.take(x, part, axis=0), jnp.take(y, part, axis=0), own)
            moves, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, moves), state), None

        return jax.lax.scan(step, carry, (rows, jax.random.split(key, len(rows))))[0]

    x, y = (jnp.asarray(part) for part in data)
    params = jax.tree.map(jnp.asarray, params)
    carry = (params, optimizer.init(params))
    for _ in range(settings.layer_epochs):
        order = rng.permutation(len(x))[: len(x) // batch * batch].reshape(-1, batch)
        carry = epoch(carry, order, jax.random.key(int(rng.integers(2**31))))
    found: Tree = jax.tree.map(np.asarray, carry[0])
    return found


# ---------------------------------------------------------------------------------------------------- Keras models


def pretrain(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    kind: str = "autoencoder",
    epochs: int = 20,
    learning_rate: float = 0.001,
    batch_size: int = 64,
    silenced: float = 0.2,
    contraction: float = 0.1,
    gibbs_steps: int = 1,
    seed: int = 0,
) -> keras.Model:
    """Pre-train the hidden dense layers of a Keras model, one after another; its weights are changed in place.

    Args:
        model: Sequential or Functional, built; every `Dense` layer but the last is a hidden one.
        x: (n, ...) training inputs, prepared as they will be in training.
        y: targets, for ``supervised`` only: quantities (n,) or (n, k), or class indices (n,).
        kind: ``autoencoder``, ``denoising``, ``contractive``, ``rbm`` (layers with sigmoids) or ``supervised``.
        epochs: passes over the rows for each layer.
        learning_rate: of Adam; of plain steps for ``rbm``.
        batch_size: rows per step.
        silenced: share of inputs set to 0 (denoising).
        contraction: weight of the squared Jacobian (contractive).
        gibbs_steps: k of CD-k (rbm).
        seed: of orders, corruption and samples.

    Returns:
        the model.

    Raises:
        InputError: an unknown kind, a model without hidden dense layers, missing targets.

    >>> import keras, numpy as np
    >>> dense = keras.layers.Dense
    >>> model = keras.Sequential([keras.Input((4,)), dense(3, "sigmoid"), dense(2, "sigmoid"), dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    >>> pretrain(model, x, kind="rbm", epochs=2) is model
    True
    """
    if kind not in KINDS:
        raise InputError(
            f"kind = {kind!r} is not allowed: it takes one of {', '.join(KINDS)}.{nearest(str(kind), KINDS)}"
        )
    settings = PretrainingRecipe(kind, epochs, learning_rate, batch_size, silenced, contraction, gibbs_steps)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][:-1]
    if not layers or not hasattr(model, "inputs"):
        raise InputError(
            "Pre-training goes through the hidden Dense layers of a built Sequential or Functional model; this one has "
            "none."
        )
    behind = [_activations_of(layer) for layer in layers]
    others = [layer.name for layer, found in zip(layers, behind, strict=True) if found != [keras.activations.sigmoid]]
    if kind == "rbm" and others:
        raise InputError(
            f"The units of a restricted Boltzmann machine answer by a sigmoid, but {', '.join(others)} do not. Use "
            'Dense(..., activation="sigmoid"), or another kind.'
        )
    if (y is None) == (kind == "supervised"):
        raise InputError('y belongs to kind = "supervised", and to it alone: give y there, and leave it out elsewhere.')
    targets = _keras_targets(y) if y is not None else None
    x = np.asarray(x, np.float32)
    for index, layer in enumerate(layers):
        before = x if index == 0 and layer.input is model.inputs[0] else None
        if before is None:
            before = np.asarray(keras.Model(model.inputs, layer.input)([x], training=False))
        bias = np.zeros(layer.units, np.float32) if layer.bias is None else np.asarray(layer.bias.value)
        kernel, bias = pretrain_layer(
            before,
            np.asarray(layer.kernel.value),
            bias,
            _chained(behind[index]),
            settings,
            seed=seed + index,
            first=index == 0,
            targets=targets,
        )
        layer.kernel.assign(kernel)
        if layer.bias is not None:
            layer.bias.assign(bias)
    return model


def _activations_of(layer: Any) -> list[Activation]:
    """The activations between a dense layer and the next one: its own, and those that are layers of their own."""
    found = [] if layer.activation is keras.activations.linear else [layer.activation]
    operation = layer
    while operation._outbound_nodes:
        operation = operation._outbound_nodes[0].operation
        if isinstance(operation, keras.layers.Activation):
            found.append(operation.activation)
        elif isinstance(operation, _ELEMENTWISE):
            found.append(operation)
        elif not isinstance(operation, _PASSED_OVER):
            break
    return found


def _chained(activations: list[Activation]) -> Activation:
    def chain(z: Any) -> Any:
        for activation in activations:
            z = activation(z)
        return z

    return chain


def _keras_targets(y: Any) -> tuple[np.ndarray, int, RowLoss]:
    """Class indices by cross-entropy, quantities by their squares."""
    y = np.asarray(y)
    if y.dtype.kind in "iub" and y.ndim == 1:
        return y.astype(np.int32), int(y.max()) + 1, optax.softmax_cross_entropy_with_integer_labels
    values = y.reshape(len(y), -1).astype(np.float32)
    return values, values.shape[1], _squared
