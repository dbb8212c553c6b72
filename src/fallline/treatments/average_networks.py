"""Average the predictions of five networks.

What it does
------------
A recipe trains an ensemble of 5. A Keras model becomes 5 copies of itself, each from its own initial weights, whose
outputs are averaged and which are trained together.

When it helps
-------------
The result depends on the seed: what is chance in one network averages out over several. A good fit gains a little,
too.

What it may cost
----------------
Five times the time and memory.

Source
------
L. Hansen, P. Salamon, Neural network ensembles, IEEE Trans. Pattern Analysis and Machine Intelligence 12 (1990).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, rename, with_model
from fallline.treatments._layers import output
from fallline.treatments._recipes import number, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "high-variance-over-seeds",
    "validation-overfitted",
    "unrepresentative-validation-set",
    "good-fit",
)
AIM = "prediction"

MEMBERS = 5


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Raise the number of members."""
    members = int(number(recipe.ensemble.members, "ensemble.members"))
    if members >= MEMBERS and recipe.ensemble.keep == "all":
        return None
    return section(recipe, "ensemble", members=max(MEMBERS, members), keep="all")


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put copies side by side, with the mean of their outputs behind."""
    import keras

    model = model_of(design)
    if model["config"].get("name", "").endswith("_averaged") or output(model) is None:
        return None
    whole = keras.saving.deserialize_keras_object(model)
    if not whole.built or isinstance(whole.inputs, dict):
        return None
    copies = []
    for member in range(MEMBERS):
        one = model_of(design)
        one["config"]["name"] = f"member_{member}"
        rename(one, f"member_{member}_")
        copies.append(keras.saving.deserialize_keras_object(one))
    inputs = [keras.Input(batch_shape=given.shape, dtype=given.dtype) for given in whole.inputs]
    given = inputs if len(inputs) > 1 else inputs[0]
    mean = keras.layers.Average(name="average")([one(given) for one in copies])
    averaged = keras.Model(given, mean, name=f"{whole.name}_averaged")
    return with_model(design, keras.saving.serialize_keras_object(averaged)).with_(weights={})
