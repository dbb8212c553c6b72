"""The preset recipes."""

from __future__ import annotations

from dataclasses import replace

from fallline.errors import RecipeError
from fallline.recipe.schema import EntryError, canonical, entries
from fallline.types import (
    EnsembleRecipe,
    NetworkRecipe,
    OptimizerRecipe,
    PrepareRecipe,
    Recipe,
    SplitRecipe,
    StoppingRecipe,
    TrainingRecipe,
)

__all__ = ["default"]


def default(preset: str = "default", *changes: str) -> Recipe:
    """Return a preset recipe, changed where you say so.

    Args:
        preset: ``"default"``: today's best practice for tables, an ensemble whose open entries say ``"auto"``;
            ``"simple"``: one ReLU network with He initialisation, Adam at a constant 0.001 and patience, on
            standardised numbers: for teaching and for comparison.
        changes: entries and their values as on a command line, ``"optimizer.l2=0.001"``; the section may be left out
            where the entry's name is unique.

    Returns:
        the recipe; change it with `dataclasses.replace`, `override` or as TOML.

    Raises:
        RecipeError: no such preset; every change that is not allowed.

    >>> default("simple").optimizer.name
    'adam'
    >>> default("simple", "optimizer.name=sgd", "l2=0.001").optimizer.l2
    0.001
    """
    if changes:
        from fallline.recipe.mapping import override  # it goes by the presets itself

        return override(default(preset), changes)
    try:
        canonical(entries()["preset"], preset)
    except EntryError as wrong:
        raise RecipeError([str(wrong)]) from None
    recipe = Recipe()
    if preset == "default":
        return recipe
    return replace(
        recipe,
        preset="simple",
        split=SplitRecipe(folds=1),
        prepare=PrepareRecipe(numeric="standard", clip=0.0),
        network=NetworkRecipe(
            hidden=(64, 64),
            activation="relu",
            initializer="he_normal",
            embedding="none",
            input_scale=False,
            skip=False,
            normalization="none",
            dropout=0.0,
            rate_per_layer=False,
        ),
        # Kingma & Ba (2015), section 2: the paper's own settings.
        optimizer=OptimizerRecipe(
            name="adam", learning_rate=1e-3, beta_1=0.9, beta_2=0.999, weight_decay=0.0, schedule="constant"
        ),
        training=TrainingRecipe(epochs=300, batch_size=32),
        stopping=StoppingRecipe(criterion="patience", patience=20, restore_best=True),
        ensemble=EnsembleRecipe(members=1, calibrate=False),
    )
