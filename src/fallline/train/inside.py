"""The inside of a training: which layers of a Keras model are watched, when, and what was seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import keras
import numpy as np
from jax.extend.core import get_opaque_trace_state

from fallline.engine import LayerTap, Observer, Task, Watched, take_apart
from fallline.errors import InputError
from fallline.train.fitted import Fitted
from fallline.train.orders import Member, Plan
from fallline.types import Inside, Run
from fallline.watch.keras_layers import Leaf, leaves, output_name, taps
from fallline.watch.statistics import ASYMPTOTES, GRADIENT_PARTS, GRADIENT_ROWS, RELU_FAMILY, SATURATED_WITHIN

__all__ = ["Depth", "Eyes", "begin_watching", "depth_of", "look_epochs", "make_eyes", "with_inside"]

Tree = Any
# How deep a training is watched: not at all; what costs one gradient a look; also the Hessian's products.
Depth = Literal["", "usual", "all"]

# Rows in the watch batch: a unit that answers to one example in fifty is still seen alive (0.98^256 = 0.6 %).
MOST_ROWS = 256
# Members of a population that are watched, the first ones: they differ by chance alone, and looking at all of 16 would
# cost eight times as much.
MOST_MEMBERS = 2
# A look costs about as much as training on this many times its rows: a gradient, an evaluation, the statistics.
_COST = 1.5
# The share of the training's work that watching may take (catalogue W5, with room for what is not counted in rows), and
# what is looked at whatever it costs: a training that is shorter than that is over in a moment.
_SHARE, FEWEST_LOOKS, MOST_LOOKS = 0.03, 10, 28
# Looks are kept in multiples of this, so that trainings of different length share a compiled program.
_ROOM = 32
_NEVER = np.iinfo(np.int32).max
# Turns of the power method: enough for two digits where the two largest eigenvalues differ by a tenth.
_ITERATIONS = 20


def depth_of(watch: Any) -> tuple[Depth, int]:
    """Return what ``watch`` means: how deep, and every how many epochs (0: as seldom as it should cost).

    Raises:
        InputError: it is none of True, False, a whole number from 1, or "all".
    """
    if watch is True or watch is False or watch is None:
        return ("usual" if watch else ""), 0
    if watch == "all":
        return "all", 0
    if isinstance(watch, (int, np.integer)) and watch >= 1:
        return "usual", int(watch)
    raise InputError(
        f"watch = {watch!r} is not allowed: it takes True (look inside now and then), False, a whole number k (look "
        'every k epochs), or "all" (also the curvature and the sharpness, which cost more).'
    )


def look_epochs(epochs: int, every: int = 0, *, share: float = 1.0) -> np.ndarray:
    """Return the epochs to look after, ascending: 0, 1, 2, ... and ever more seldom, as change does; the last one.

    Args:
        epochs: most epochs of the training.
        every: look after every so many epochs instead.
        share: rows of an epoch of the training, over all members, for each row of a look.

    >>> look_epochs(100, share=5.0).tolist()
    [0, 1, 2, 3, 6, 10, 18, 32, 56, 100]
    >>> look_epochs(5, every=2).tolist()
    [0, 2, 4, 5]
    """
    if every:
        return np.union1d(np.arange(0, epochs + 1, every), [epochs])
    wanted = int(np.clip(_SHARE * epochs * share / _COST, FEWEST_LOOKS, MOST_LOOKS))
    return np.union1d([0], np.rint(np.geomspace(1, max(epochs, 1), min(wanted, epochs + 1) - 1)).astype(int))


@dataclass(frozen=True, eq=False)
class Eyes:
    """How one model is watched.

    Args:
        observer: for the engine.
        names: of the L layers, in forward order.
        kinds: their classes' names.
        activations: their activations' names.
        output: index of the output layer.
        reason: why some of it cannot be watched; "" where all can.
    """

    observer: Observer
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    activations: tuple[str, ...]
    output: int | None
    reason: str = ""


def make_eyes(model: keras.Model, task: Task, depth: Depth, x: Tree) -> Eyes:
    """Find the model's layers and how to tap them.

    Args:
        model: built.
        task: what a member of it computes.
        depth: "usual" or "all".
        x: inputs (one row or more), to see in which order the layers are called; a tree of arrays.
    """
    found = leaves(model)
    params = [v.value for v in model.trainable_variables]
    aux = [v.value for v in model.non_trainable_variables]
    reason = ""
    called: list[str] = []
    try:
        called = [name for name, seen in _first_calls(model, found, params, aux, x).items() if seen[0] is not None]
    except Exception as error:  # noqa: BLE001 - the layers may be a person's own, and training goes on without
        first = (str(error).strip().splitlines() or [""])[0][:200]
        reason = f"The layers' outputs cannot be watched: {type(error).__name__}: {first}"
    known = {leaf.known.name: leaf for leaf in found}
    order = [*called, *(name for name in known if name not in called)]
    if called and len(called) < len(known):
        reason = "No single output is seen of " + ", ".join(order[len(called) :])

    def outputs(params: Tree, aux: Tree, x: Tree) -> list[tuple[Any, Any]]:
        seen = _tapped(model, found, params, aux, x)
        return [seen.get(name, (None, None)) for name in order]

    everything = depth == "all"
    # Where the rows of a batch influence one another, the gradient is not the mean of the parts' gradients; a search
    # wants the loss of the whole batch.
    parts = 1 if task.coupled or task.masked or task.searches else GRADIENT_PARTS
    position = {id(v): i for i, v in enumerate(model.trainable_variables)}
    observer = Observer(
        task,
        tuple(_layer_tap(known[name], position) for name in order),
        outputs if called else None,
        gradient_rows=GRADIENT_ROWS,
        parts=parts,
        curvature=everything,
        iterations=_ITERATIONS if everything else 0,
    )
    layers = [known[name].known for name in order]
    output = output_name(model, [known[name].known for name in called] or layers)
    return Eyes(
        observer,
        tuple(order),
        tuple(layer.kind for layer in layers),
        tuple(layer.activation for layer in layers),
        order.index(output) if output in order else None,
        reason,
    )


def _layer_tap(leaf: Leaf, position: dict[int, int]) -> LayerTap:
    saturated = None
    if leaf.known.activation in ASYMPTOTES:
        bottom, top = ASYMPTOTES[leaf.known.activation]
        within = SATURATED_WITHIN * (top - bottom)
        saturated = (bottom + within, top - within)
    return LayerTap(
        tuple(position[id(v)] for v in leaf.tensors if id(v) in position),
        position.get(id(leaf.kernel)),
        saturated,
        leaf.known.activation in RELU_FAMILY,
        leaf.unit_axis,
    )


def _first_calls(model: keras.Model, found: list[Leaf], params: Tree, aux: Tree, x: Tree) -> dict[str, tuple[Any, Any]]:
    """Return the shapes that the layers give out, in the order of their first calls."""
    order: list[str] = []

    def call(params: Tree, aux: Tree, x: Tree) -> dict[str, tuple[Any, Any]]:
        seen = _tapped(model, found, params, aux, x)
        order.extend(seen)  # JAX sorts the keys of what it returns
        return seen

    shapes = jax.eval_shape(call, params, aux, x)
    return {name: shapes[name] for name in order}


def _tapped(model: keras.Model, found: list[Leaf], params: Tree, aux: Tree, x: Tree) -> dict[str, tuple[Any, Any]]:
    """Call the model in evaluation mode; return each layer's (output, activation's input), of its first call.

    What is computed inside a loop or another transformation of JAX cannot be carried out of it and is left out, and so
    is what another thread does with the model in the meantime.
    """
    state, thread = get_opaque_trace_state(convention="flax"), threading.get_ident()

    def kept(given: Any) -> Any:
        if threading.get_ident() != thread or get_opaque_trace_state(convention="flax") != state:
            return None
        first = next(iter(jax.tree.leaves(given)), None)
        return first if hasattr(first, "dtype") else None

    mode = {"training": False} if model._call_has_training_arg else {}
    with taps(found, kept) as seen:
        model.stateless_call(params, aux, x, **mode)
    first = {name: (tap.outputs[:1], tap.preactivations[:1]) for name, tap in seen.items()}
    return {name: (out[0] if out else None, given[0] if given else None) for name, (out, given) in first.items()}


def begin_watching(
    eyes: Eyes | None, members: Sequence[Member], plan: Plan, params: Tree, every: int = 0
) -> Watched | tuple[()]:
    """Return what the members' states hold of it before the first step; leaves have the members in front.

    Args:
        eyes: how; None: nobody looks.
        members: p members.
        plan: how long they train, and how many rows may be evaluated at once.
        params: their initial parameters, leaves (p, ...).
        every: look after every so many epochs; 0: as seldom as it should cost.
    """
    if eyes is None:
        return ()
    p, parts = len(members), eyes.observer.parts
    fewest = min(len(m.train_rows) for m in members)
    count = max(1, min(MOST_ROWS, plan.eval_batch, fewest) // parts) * parts
    on = np.arange(p) < MOST_MEMBERS
    rows = sum(len(m.train_rows) for m in members)
    looks = look_epochs(max((m.plan or plan).epochs for m in members), every, share=rows / (count * on.sum()))
    room = -(-len(looks) // _ROOM) * _ROOM
    padded = np.full(room, _NEVER, np.int32)
    padded[: len(looks)] = looks
    return Watched(
        values=np.full((p, room, eyes.observer.width), np.nan, np.float32),
        epochs=np.tile(padded, (p, 1)),
        next=np.zeros(p, np.int32),
        rows=np.stack([_watch_rows(m.train_rows, count) for m in members]),
        on=on,
        start=params,
    )


def _watch_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """A fixed random part of the rows, in random order: its parts are alike; over again where there are too few."""
    drawn = np.random.default_rng(0).permutation(rows)
    return np.resize(drawn, count).astype(np.int32)


def with_inside(run: Run, eyes: Eyes | None, fitted: Fitted) -> Run:
    """Return the run with what was seen inside the members that were watched, where any was."""
    if eyes is None:
        return run
    watched: Watched = fitted.state.inside
    on = np.asarray(watched.on)
    values = np.asarray(watched.values)[on]
    # The epochs that at least one member reached.
    looked = (np.arange(values.shape[1]) < np.asarray(watched.next)[on][:, None]).any(axis=0)
    layers, network = take_apart(values[:, looked], len(eyes.names))
    epochs = np.asarray(watched.epochs)[0][looked]
    inside = Inside(eyes.names, eyes.kinds, eyes.activations, eyes.output, epochs, layers, network, eyes.reason)
    return run.with_(trace=run.trace.with_inside(inside))
