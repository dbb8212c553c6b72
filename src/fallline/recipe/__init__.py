"""Recipes: the preset ones, as TOML and as plain mappings, changed entry by entry, and checked all at once."""

from fallline.recipe.checks import check
from fallline.recipe.defaults import default
from fallline.recipe.given import as_recipe
from fallline.recipe.mapping import from_mapping, override, to_mapping
from fallline.recipe.text import from_toml, to_toml

__all__ = ["as_recipe", "check", "default", "from_mapping", "from_toml", "override", "to_mapping", "to_toml"]
