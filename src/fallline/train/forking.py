"""Trainings that part in mid-run: each goes on from what a control had come to, weights, optimizer and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from fallline.engine import MemberState
from fallline.errors import InputError
from fallline.train.fitted import Begun, Fitted
from fallline.types import NetworkRecipe, Recipe

__all__ = ["Anatomy", "Fork", "recipe_obstacle", "refuse", "shape_obstacle"]

Tree = Any


@dataclass(frozen=True)
class Anatomy:
    """What a training's state is made of, so that another training's can be put in its place.

    Args:
        shapes: of the trainable weights, in their order.
        fixed: names of the non-trainable ones, in their order.
        optimizer: its name; another one begins with a state of its own.
        settings: places among the leaves of the optimizer's state that hold settings (a rate), which stay the new ones.
        loss: its name; the best epoch by another loss does not count.
    """

    shapes: tuple[tuple[int, ...], ...]
    fixed: tuple[str, ...]
    optimizer: str
    loss: str
    settings: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Fork:
    """Where trainings part, and what they part from.

    Args:
        at: epochs behind which they part.
        found: (seed, fold) -> what the control had come to there, and its anatomy.
    """

    at: int
    found: Mapping[tuple[int, int | None], tuple[Fitted, Anatomy]]

    def begun(self, who: Sequence[tuple[int, int | None]], anatomy: Anatomy) -> Begun:
        """Return the beginning of trainings by their (seed, fold).

        Args:
            who: of each training; all of their members follow one another.
            anatomy: of the trainings that go on.
        """
        whole = _joined([self.found[one][0] for one in who], self.at)
        before = self.found[who[0]][1]
        return Begun(whole, partial(_onto, old=whole.state, before=before, after=anatomy))


def _joined(parts: Sequence[Fitted], epochs: int) -> Fitted:
    """Return populations as one; what ended earlier is filled up with NaN."""

    def filled(a: np.ndarray) -> np.ndarray:
        gap = [(0, 0), (0, epochs - a.shape[1]), *[(0, 0)] * (a.ndim - 2)]
        return np.pad(a, gap, constant_values=np.nan)

    state, used = jax.tree.map(lambda *leaves: np.concatenate(leaves), *((p.state, p.used) for p in parts))
    return replace(
        parts[0],
        state=state,
        used=used,
        seen=np.concatenate([filled(p.seen) for p in parts]),
        factors=np.concatenate([filled(p.factors) for p in parts]),
        steps=np.concatenate([p.steps for p in parts]),
        steps_done=np.concatenate([p.steps_done for p in parts]),
        streaks=np.concatenate([p.streaks for p in parts]),
    )


def _onto(fresh: MemberState, *, old: MemberState, before: Anatomy, after: Anatomy) -> MemberState:
    """Put a control's state in the place of a fresh one, as far as the two are made of the same."""
    places = {name: i for i, name in enumerate(before.fixed)}

    def fixed(new: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        # A rate of dropout or noise is a setting; what else a layer has counted or averaged goes on.
        return [
            held[places[name]] if name in places and not name.endswith("/rate") else value
            for name, value in zip(after.fixed, new, strict=True)
        ]

    aux = fixed(fresh.aux, old.aux)
    best: dict[str, Any] = {"best_loss": old.best_loss, "best_epoch": old.best_epoch, "wait": old.wait}
    if fresh.best_params and old.best_params and before.loss == after.loss:
        best |= {"best_params": old.best_params, "best_aux": fixed(fresh.best_aux, old.best_aux)}
    elif fresh.best_params:
        best = {"best_params": old.params, "best_aux": aux}  # from here on the best counts
    same = {
        name: getattr(old, name)
        for name in ("curve", "pace")
        if [np.shape(a) for a in jax.tree.leaves(getattr(old, name))]
        == [np.shape(a) for a in jax.tree.leaves(getattr(fresh, name))]
    }
    return fresh._replace(
        params=old.params,
        aux=aux,
        optimizer=_optimizer(fresh.optimizer, old.optimizer, before, after),
        epoch=old.epoch,
        outcome=old.outcome,
        bad_step=old.bad_step,
        **best,
        **same,
    )


def _optimizer(fresh: Tree, old: Tree, before: Anatomy, after: Anatomy) -> Tree:
    leaves, structure = jax.tree.flatten(fresh)
    moved = [i for i in range(len(leaves)) if i not in after.settings]
    held = [leaf for i, leaf in enumerate(jax.tree.leaves(old)) if i not in before.settings]
    shapes = [np.shape(leaves[i]) for i in moved]
    if before.optimizer != after.optimizer or shapes != [np.shape(leaf) for leaf in held]:
        return fresh
    for i, leaf in zip(moved, held, strict=True):
        leaves[i] = leaf
    return jax.tree.unflatten(structure, leaves)


def shape_obstacle(control: Anatomy, arm: Anatomy) -> str:
    """Say why weights cannot go on in another network; "" where they can."""
    if control.shapes == arm.shapes:
        return ""
    return "its weights have other shapes"


def recipe_obstacle(control: Recipe, arm: Recipe) -> str:
    """Say why a training by one recipe cannot go on by another; "" where it can.

    Args:
        control: resolved.
        arm: resolved.

    >>> from fallline.recipe import default, override
    >>> recipe_obstacle(default("simple"), override(default("simple"), ["prepare.numeric=robust"]))
    'it changes what the network is given'
    """
    if control.prepare != arm.prepare:
        return "it changes what the network is given"
    if control.split != arm.split:
        return "it changes which rows are trained on"
    if control.ensemble.members != arm.ensemble.members:
        return "it changes the number of networks"
    if control != arm and _onwards(control) == _onwards(arm):
        return "it acts on the first weights alone"
    return ""


def _onwards(recipe: Recipe) -> Recipe:
    """Return the recipe without what is over when the first epoch begins."""
    usual, first = Recipe(), NetworkRecipe()
    network = replace(recipe.network, initializer=first.initializer, initializer_scale=first.initializer_scale)
    return replace(recipe, network=network, pretraining=usual.pretraining, seed=usual.seed, preset=usual.preset)


def refuse(obstacles: Mapping[str, str], at: int) -> None:
    """Raise where something cannot be forked.

    Args:
        obstacles: arm -> why; "" where nothing stands in the way.
        at: epochs.

    Raises:
        InputError: every arm that cannot go on, with the reason.
    """
    found = [f"{name}: {why}" for name, why in obstacles.items() if why]
    if found:
        raise InputError(
            f"Behind epoch {at} a training cannot go on by {'; '.join(found)}. Try these from the beginning, without "
            "fork_at."
        )
