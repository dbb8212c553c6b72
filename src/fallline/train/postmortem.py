"""Why a member diverged: its failing epoch again, step by step, until something is not finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fallline.engine import DIVERGED, Pace, Population, inspect_step, jit, steps_of
from fallline.train.fitted import Fitted
from fallline.train.orders import Member, Orders, Plan

__all__ = ["layer_outputs", "post_mortem", "with_causes"]

Tree = Any
# (params, aux, x) -> layer names in forward order with whether their outputs are finite
Probe = Callable[[Tree, Tree, Tree], dict[str, bool]]


def post_mortem(
    population: Population,
    members: Sequence[Member],
    plan: Plan,
    data: Tree,
    fitted: Fitted,
    model: keras.Model,
) -> dict[int, dict[str, Any]]:
    """Name the step and the place where each diverged member failed; costs nothing where none did.

    A diverged member holds the state from before its failing epoch, and its order of examples follows from seed and
    epoch (and from the losses of its last look): the epoch is done again, one inspected step at a time.

    Args:
        population: its program.
        members: all members.
        plan: as it was trained.
        data: (x, y, weight).
        fitted: what came out.
        model: a member's network; it names the parameter tensors, and the layers where a loss fails while weights and
            inputs are finite.

    Returns:
        member -> ``bad_step`` (from 0, within the failing epoch) and ``bad_layer``: the path of a parameter tensor, the
        name of a layer, ``"input"`` (the data are not finite) or ``"loss"``.
    """
    outcomes = np.asarray(fitted.state.outcome)
    dead = np.flatnonzero(outcomes == DIVERGED)
    if not len(dead):
        return {}
    orders = Orders(members, plan, population.task.coupled, targets=data[1], streaks=fitted.streaks)
    step = jit(partial(inspect_step, population.task))
    data = jax.tree.map(jnp.asarray, data)
    names = [v.path.removeprefix(f"{model.name}/") for v in model.trainable_variables]
    probe = layer_outputs(model)
    found = {}
    for i in dead.tolist():
        epoch = int(np.asarray(fitted.state.epoch)[i]) - 1
        carry = jax.tree.map(
            lambda a, i=i: jnp.asarray(np.asarray(a)[i]),
            (fitted.state.params, fitted.state.aux, fitted.state.optimizer),
        )
        numbers = {key: jnp.asarray(value, jnp.float32) for key, value in members[i].numbers.items()}
        pace = fitted.state.pace
        own = float(np.asarray(pace.factor)[i]) if isinstance(pace, Pace) else 1.0
        schedule = jax.tree.map(lambda a: a[0], orders.take(np.array([i])).chunk(epoch, 1))
        steps = [(rows, count, rate * own) for rows, count, rate in steps_of(schedule, 0)]
        found[i] = _replay(partial(step, numbers, data), carry, steps, data[0], names, probe)
    return found


def _replay(
    step: Callable[..., Any],
    carry: Tree,
    steps: list[tuple[np.ndarray, int, Any]],
    x: Tree,
    names: Sequence[str],
    probe: Probe | None,
) -> dict[str, Any]:
    for number, (rows, count, rate) in enumerate(steps):
        before = carry
        carry, seen = step(carry, rows, np.int32(count), rate)
        gradients, params = np.asarray(seen.gradients), np.asarray(seen.params)
        if not bool(seen.batch):
            return {"bad_step": number, "bad_layer": "input"}
        if not bool(seen.loss):
            batch = jax.tree.map(lambda a, rows=rows: a[rows], x)
            layers = probe(before[0], before[1], batch) if probe is not None else {}
            return {
                "bad_step": number,
                "bad_layer": next((name for name, finite in layers.items() if not finite), "loss"),
            }
        if not gradients.all():
            # Backpropagation runs from the loss to the input and carries NaN along: it began at the last of them.
            return {"bad_step": number, "bad_layer": names[int(np.flatnonzero(~gradients)[-1])]}
        if not params.all():
            return {"bad_step": number, "bad_layer": names[int(np.flatnonzero(~params)[0])]}
    # Every step was finite: the evaluation behind the last one was not.
    return {"bad_step": len(steps) - 1, "bad_layer": "loss"}


def layer_outputs(model: keras.Model) -> Probe | None:
    """Return a probe of the layers' outputs of a Sequential or Functional model; None where the graph is not known."""
    try:
        layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        whole = keras.Model(model.inputs, [layer.output for layer in layers])
    except (AttributeError, ValueError, RuntimeError):  # subclassed: its layers stand in no graph
        return None

    def probe(params: Tree, aux: Tree, x: Tree) -> dict[str, bool]:
        mapping = [
            *zip(model.trainable_variables, params, strict=True),
            *zip(model.non_trainable_variables, aux, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping):
            outputs = whole(x, training=True)
        pairs = zip(layers, outputs if isinstance(outputs, (list, tuple)) else [outputs], strict=True)
        return {
            layer.name: all(bool(jnp.isfinite(out).all()) for out in jax.tree.leaves(output)) for layer, output in pairs
        }

    return probe


def with_causes(facts: Mapping[str, Any], causes: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a run's facts with what `post_mortem` found beside each member."""
    return {**facts, "members": [{**member, **causes.get(i, {})} for i, member in enumerate(facts["members"])]}
