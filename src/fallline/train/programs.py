"""Which compiled program trains a prepared problem, and with which weights and plans its members begin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.optimize import schedule_numbers
from fallline.train.beginning import begin_optimizer
from fallline.train.inside import Depth
from fallline.train.orders import Member, Plan, bucket, emphasis_of
from fallline.train.prepared import Prepared
from fallline.train.pretrained import pretrained
from fallline.train.table_task import ProgramKey, TableProgram
from fallline.types import (
    REDUCING,
    SCHEDULE_NUMBERS,
    OptimizerRecipe,
    Problem,
    ProblemKind,
    Recipe,
    StoppingRecipe,
    TrainingRecipe,
)

__all__ = ["begin", "plan_of", "program_key"]

# Traced, or of the host: neutral in a program's key.
_USUAL_SCHEDULE = {
    number: getattr(OptimizerRecipe(), number) for numbers in SCHEDULE_NUMBERS.values() for number in numbers
}
_USUAL_ORDER = {
    name: getattr(TrainingRecipe(), name)
    for name in ("order", "emphasis", "emphasis_share", "emphasis_every", "emphasis_patience")
}


def program_key(prepared: Prepared, problem: Problem, depth: Depth = "") -> ProgramKey:
    """Return everything static about what trains the prepared members.

    Args:
        prepared: resolved recipe, features, members.
        problem: its kind and number of outputs.
        depth: what is watched inside.
    """
    recipe, network = prepared.recipe, prepared.recipe.network
    # What is traced or irrelevant to the program is neutral in its key, so that it does not compile again.
    optimizer = replace(
        recipe.optimizer,
        learning_rate=1.0,
        momentum=0.5,
        beta_1=0.5,
        beta_2=0.5,
        weight_decay=0.0,
        damping=0.5,
        warmup=0.0,
        schedule=recipe.optimizer.schedule if recipe.optimizer.schedule in REDUCING else "constant",
        **_USUAL_SCHEDULE,
        average_from=float(recipe.optimizer.average_from == 1.0),
        l1=float(recipe.optimizer.l1 > 0),
        l2=float(recipe.optimizer.l2 > 0),
        # Both are read once one of them is on.
        activity_l1=float(recipe.optimizer.activity_l1 > 0 or recipe.optimizer.activity_l2 > 0),
        activity_l2=0.0,
        clip_norm=float(recipe.optimizer.clip_norm > 0),
    )
    training = replace(
        recipe.training,
        epochs=1,
        batch_size=1,
        shuffle=True,
        **_USUAL_ORDER,
        batch_doublings=(),
        class_weight="none",
        label_smoothing=0.1 * (recipe.training.label_smoothing > 0),
    )
    # The rates are numbers among a member's weights; a layer without a rate is not there.
    assert network.dropout != "auto"
    network = replace(
        network,
        dropout=0.5 * (network.dropout > 0),
        input_dropout=0.5 * (network.input_dropout > 0),
        input_noise=float(network.input_noise > 0),
        hidden_noise=float(network.hidden_noise > 0),
        embedding_spread=1.0,  # of the start alone
    )
    return ProgramKey(
        replace(Recipe(), network=network, optimizer=optimizer, training=training, stopping=_acting(recipe.stopping)),
        problem.kind,
        prepared.features.shape[1],
        prepared.preparation.n_numeric,
        problem.n_outputs,
        bucket(len(prepared.members)),
        True,
        depth,
    )


def _acting(stopping: StoppingRecipe) -> StoppingRecipe:
    """Return the section with its constants neutral: they are among the members' numbers."""
    usual = StoppingRecipe(patience=1, alpha=1.0)
    return replace(usual, criterion=stopping.criterion, restore_best=stopping.restore_best)


def plan_of(recipe: Recipe) -> Plan:
    """Return how a member of this resolved recipe is trained."""
    return Plan(
        int(recipe.training.epochs),
        int(recipe.training.batch_size),
        shuffle=recipe.training.shuffle,
        order=recipe.training.order,
        doublings=recipe.training.batch_doublings,
        schedule=recipe.optimizer.schedule,
        warmup=recipe.optimizer.warmup,
        schedule_numbers=schedule_numbers(recipe.optimizer),
        emphasis=emphasis_of(recipe.training),
    )


def begin(program: TableProgram, prepared: Prepared, kind: ProblemKind) -> tuple[Any, Any, Any]:
    """Return initial weights and optimizer state, members in the leading axis."""
    members, network = prepared.members, program.network
    rates, needs, labelled = prepared.recipe.network, network.needs_data, kind in ("binary", "multiclass")

    def first(member: Member) -> tuple[list[np.ndarray], list[np.ndarray]]:
        rows = member.train_rows
        labels = prepared.targets[rows] if labelled and needs else None
        return network.initial(member.seed, prepared.features[rows] if needs else None, rates, labels)

    drawn = [first(member) for member in members]
    if prepared.recipe.pretraining.method != "none":
        drawn = [
            (pretrained(network, prepared, kind, m, trainable, fixed), fixed)
            for m, (trainable, fixed) in zip(members, drawn, strict=True)
        ]
    params = [np.stack(values) for values in zip(*(d[0] for d in drawn), strict=True)]
    aux = [np.stack(values) for values in zip(*(d[1] for d in drawn), strict=True)]
    return params, aux, begin_optimizer(program.optimizer, params, [m.seed for m in members])
