"""The first weights of a table's members after pre-training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fallline.network import MemberNetwork
from fallline.network.activations import activation
from fallline.network.pretraining import pretrain_layer
from fallline.train.losses import row_losses
from fallline.train.orders import Member
from fallline.train.prepared import Prepared
from fallline.types import ProblemKind

__all__ = ["pretrained"]


def pretrained(
    network: MemberNetwork,
    prepared: Prepared,
    kind: ProblemKind,
    member: Member,
    trainable: list[np.ndarray],
    fixed: list[np.ndarray],
) -> list[np.ndarray]:
    """Return the trainable weights with every hidden layer pre-trained on the member's own training rows.

    Args:
        network: of the member.
        prepared: features, targets and the resolved recipe.
        kind: of the problem.
        member: its rows and its seed.
        trainable: first weights, in the model's order.
        fixed: non-trainable weights.
    """
    recipe, model = prepared.recipe, network.model
    x = prepared.features[member.train_rows]
    settings = recipe.pretraining
    supervised = None
    if settings.method == "supervised":
        unit: dict[str, Any] = {"output": recipe.network.output, "target_values": recipe.training.target_values}
        loss = row_losses(kind, recipe.training.loss, **unit)
        supervised = (prepared.targets[member.train_rows], network.outputs, loss)
    place = {v.path: i for i, v in enumerate(model.trainable_variables)}
    weights = dict(zip(place, trainable, strict=True))
    others = {v.path: value for v, value in zip(model.non_trainable_variables, fixed, strict=True)}
    for index in range(1, len(network.hidden) + 1):
        before = keras.Model(model.input, model.get_layer(f"hidden_{index}").input)
        inputs = np.asarray(
            before.stateless_call(
                [weights[v.path] for v in before.trainable_variables],
                [others[v.path] for v in before.non_trainable_variables],
                x,
                training=False,
            )[0]
        )
        kernel, bias = f"hidden_{index}/kernel", f"hidden_{index}/bias"
        weights[kernel], weights[bias] = pretrain_layer(
            inputs,
            weights[kernel],
            weights[bias],
            activation(recipe.network.activation),
            settings,
            seed=member.seed + index,
            first=index == 1,
            targets=supervised,
        )
    return [weights[path] for path in place]
