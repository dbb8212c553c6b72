"""A resolved recipe as an engine task: one member's network, loss, optimizer and quantities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fallline.engine import Population, Stepwise, Task, jit
from fallline.network import MemberNetwork, build_network
from fallline.network.layers import PeriodicEmbedding, PiecewiseEmbedding
from fallline.optimize import Optimizer, fan_in_factors, make_optimizer
from fallline.train.chunks import in_chunks, rows_that_fit
from fallline.train.halting import make_stopping
from fallline.train.inside import Depth, Eyes, make_eyes
from fallline.train.keras_steps import as_trained
from fallline.train.losses import main_quantity, row_losses, row_quantity
from fallline.types import ProblemKind, Recipe

__all__ = ["TableProgram", "table_program"]

Tree = Any


@dataclass(frozen=True)
class ProgramKey:
    """Everything static about a table program; equal keys share one compiled program."""

    recipe: Recipe
    kind: ProblemKind
    features: int
    numbers: int
    outputs: int
    members: int
    validated: bool
    depth: Depth = ""


@dataclass(frozen=True, eq=False)
class TableProgram:
    """A population's program with what is needed to start and to use it."""

    network: MemberNetwork
    optimizer: Optimizer
    population: Population
    eyes: Eyes | None = None

    def outputs(self, params: Tree, aux: Tree, features: np.ndarray) -> np.ndarray:
        """Return every member's raw outputs in evaluation mode, (p, n, k)."""
        widths = [int(np.prod([d or 1 for d in layer.output.shape[1:]])) for layer in self.network.model.layers]
        # Inside the embedding every number is its frequencies or its bins for a while.
        widest = max(*widths, max(PeriodicEmbedding.FREQUENCIES, PiecewiseEmbedding.BINS) * self.network.numbers)
        return in_chunks(lambda rows: self._outputs(params, aux, rows), features, rows_that_fit(widest), axis=1)

    @cached_property
    def _outputs(self) -> Callable[[Tree, Tree, np.ndarray], jax.Array]:
        model = self.network.model

        def one(args: Tree, x: jax.Array) -> jax.Array:
            out: jax.Array = model.stateless_call(args[0], args[1], x, training=False)[0]
            return out

        outputs: Callable[[Tree, Tree, np.ndarray], jax.Array] = jit(
            lambda p, a, x: jax.lax.map(lambda args: one(args, x), (p, a))
        )
        return outputs


def _penalty(params: Tree, shares: list[float], numbers: dict[str, jax.Array], l1: bool, l2: bool) -> jax.Array:
    """(l2 / 2) sum w^2 + l1 sum |w| over kernels, each with its layer's factor."""
    total = jnp.zeros(())
    for w, share in zip(params, shares, strict=True):
        if share and l2:
            total = total + 0.5 * share * numbers["l2"] * jnp.sum(jnp.square(w))
        if share and l1:
            total = total + share * numbers["l1"] * jnp.sum(jnp.abs(w))
    return total


def _activity(hidden: list[jax.Array], weight: jax.Array, numbers: dict[str, jax.Array]) -> jax.Array:
    """Mean over rows of (activity_l2 / 2) sum h^2 + activity_l1 sum |h| over the outputs of the hidden layers.

    Source: Goodfellow, Bengio & Courville, Deep Learning, 2016, section 7.10, eq. 7.48.
    """
    total = jnp.zeros(())
    for h in hidden:
        axes = tuple(range(1, h.ndim))
        rows = 0.5 * numbers["activity_l2"] * jnp.sum(jnp.square(h), axis=axes)
        rows = rows + numbers["activity_l1"] * jnp.sum(jnp.abs(h), axis=axes)
        total = total + jnp.mean(weight * rows)
    return total


def _task(key: ProgramKey, network: MemberNetwork, optimizer: Optimizer) -> Task:
    recipe, kind, model = key.recipe, key.kind, network.model
    name = recipe.training.loss
    unit: dict[str, Any] = {"output": recipe.network.output, "target_values": recipe.training.target_values}
    smooth = recipe.training.label_smoothing > 0
    l1, l2 = recipe.optimizer.l1 > 0, recipe.optimizer.l2 > 0
    decayed = network.decayed(recipe.optimizer.penalty_factors)
    active = recipe.optimizer.activity_l1 > 0 or recipe.optimizer.activity_l2 > 0
    seen = network.inside if active else model

    def loss(
        params: Tree,
        aux: Tree,
        numbers: dict[str, jax.Array],
        x: Tree,
        y: Tree,
        weight: jax.Array,
        valid: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        with as_trained(seen, valid):
            out, aux = seen.stateless_call(params, aux, x, training=True)
        hidden: list[jax.Array] = []
        if active:
            out, *hidden = out
        value = cost(out, numbers, y, weight)
        if active:
            value = value + _activity(hidden, weight, numbers)
        return (value + _penalty(params, decayed, numbers, l1, l2) if l1 or l2 else value), aux

    def outputs(params: Tree, aux: Tree, numbers: Tree, x: Tree) -> Tree:
        return model.stateless_call(params, aux, x, training=True)[0]

    def cost(out: Tree, numbers: Tree, y: Tree, weight: jax.Array) -> jax.Array:
        smoothing = numbers["label_smoothing"] if smooth else 0.0
        return jnp.mean(weight * row_losses(kind, name, smoothing=smoothing, **unit)(out, y))

    def penalty(params: Tree, aux: Tree, numbers: Tree, x: Tree) -> jax.Array:
        value = _penalty(params, decayed, numbers, l1, l2)
        if active:
            hidden = seen.stateless_call(params, aux, x, training=True)[0][1:]
            value = value + _activity(hidden, jnp.ones(len(x)), numbers)
        return value

    return Task(
        loss,
        optimizer.update,
        *_evaluation(model, kind, row_losses(kind, name, **unit)),
        ("loss", main_quantity(kind)),
        masked=recipe.network.normalization == "batch",
        used=optimizer.used,
        searches=optimizer.searches,
        outputs=outputs,
        cost=cost,
        penalty=penalty,
    )


def _evaluation(
    model: Any, kind: ProblemKind, plain: Callable[..., jax.Array]
) -> tuple[Callable[[], Tree], Callable[..., Tree], Callable[[Tree], jax.Array]]:
    """Return the three parts of a task's evaluation, begin, observe and finish; ``plain``: the loss of each row."""
    quantity, regression = row_quantity(kind), main_quantity(kind) == "rmse"

    def begin() -> Tree:
        return jnp.zeros(3)

    def observe(
        carry: Tree, params: Tree, aux: Tree, numbers: Tree, x: Tree, y: Tree, weight: jax.Array, valid: jax.Array
    ) -> Tree:
        weight = weight * valid
        with as_trained(model):
            out, _ = model.stateless_call(params, aux, x, training=False)
        return carry + jnp.stack([jnp.sum(weight), jnp.sum(weight * plain(out, y)), jnp.sum(weight * quantity(out, y))])

    def finish(carry: Tree) -> jax.Array:
        means = carry[1:] / carry[0]
        return jnp.stack([means[0], jnp.sqrt(means[1])]) if regression else means

    return begin, observe, finish


def _factors(recipe: Recipe, network: MemberNetwork) -> list[float] | None:
    if recipe.network.rate_per_layer:
        return network.rate_factors()
    if not recipe.optimizer.rate_by_fan_in:
        return None
    variables = network.model.trainable_variables
    return fan_in_factors([v.path for v in variables], [tuple(v.shape) for v in variables])


def build_program(key: ProgramKey) -> TableProgram:
    """Build (not yet compile) the program of this key."""
    recipe = key.recipe
    network = build_network(recipe.network, features=key.features, numbers=key.numbers, outputs=key.outputs)
    optimizer = make_optimizer(
        recipe.optimizer.name,
        nesterov=recipe.optimizer.nesterov,
        clip=recipe.optimizer.clip_norm > 0,
        factors=_factors(recipe, network),
        decayed=network.decayed(recipe.optimizer.penalty_factors),
        averaged=recipe.optimizer.average_from < 1.0,
    )
    stopping = make_stopping(recipe.stopping, validated=key.validated, schedule=recipe.optimizer.schedule).program()
    task = _task(key, network, optimizer)
    shape = tuple(int(n) for n in network.model.input_shape[1:])
    sample = jax.ShapeDtypeStruct((2, *shape), np.float32)
    eyes = make_eyes(network.model, task, key.depth, sample) if key.depth else None
    # XLA's convolutions on a CPU lose their threads inside a compiled loop.
    stepwise = recipe.network.kind == "lenet5" and jax.default_backend() == "cpu"
    population = (Stepwise if stepwise else Population)(
        task, stopping, key.members, validated=key.validated, observer=eyes.observer if eyes is not None else None
    )
    return TableProgram(network, optimizer, population, eyes)


# A handful of programs per process: cross-validation and grid search come back to the same few.
table_program = lru_cache(maxsize=16)(build_program)
