"""What a treatment is: its names, its page, and the two functions that rewrite a recipe or a Keras model's config."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fallline.types import Design, Recipe

__all__ = ["HEADINGS", "Aim", "Treatment", "catalogue", "discover", "treatments_of"]

Aim = Literal["learning", "generalisation", "prediction"]
HEADINGS: tuple[str, ...] = ("What it does", "When it helps", "What it may cost", "Source")

Known = Mapping[str, Any]


@dataclass(frozen=True)
class Treatment:
    """One treatment.

    Args:
        name: plain kebab-case name, the contract with users; the file has the same name.
        symptoms: names of the symptoms it is tried for.
        aim: better learning, generalisation or prediction.
        title: the first line of its page.
        docstring: the whole page.
        for_recipe: (recipe, known) -> the recipe changed, or None where there is nothing to change; None: it does not
            apply to recipes.
        for_keras: the same for a `Design`.
    """

    name: str
    symptoms: tuple[str, ...]
    aim: Aim
    title: str = ""
    docstring: str = ""
    for_recipe: Callable[[Recipe, Known], Recipe | None] | None = None
    for_keras: Callable[[Design, Known], Design | None] | None = None

    @property
    def sections(self) -> dict[str, str]:
        """The docstring's text under each of the fixed headings."""
        pattern = "|".join(map(re.escape, HEADINGS))
        parts = re.split(rf"^({pattern})\n-+\n", self.docstring, flags=re.MULTILINE)
        return {head: text.strip() for head, text in zip(parts[1::2], parts[2::2], strict=True)}

    @property
    def source(self) -> str:
        """Who proposed or measured it."""
        return " ".join(self.sections.get("Source", "").split())

    @property
    def applies_to(self) -> tuple[str, ...]:
        """``recipe``, ``keras`` or both."""
        given = {"recipe": self.for_recipe, "keras": self.for_keras}
        return tuple(name for name, function in given.items() if function is not None)


def _treatment_of(module: Any) -> Treatment:
    doc = inspect.cleandoc(module.__doc__ or "")
    return Treatment(
        name=module.__name__.rsplit(".", 1)[1].replace("_", "-"),
        symptoms=tuple(module.SYMPTOMS),
        aim=module.AIM,
        title=doc.splitlines()[0].rstrip(".") if doc else "",
        docstring=doc,
        for_recipe=getattr(module, "for_recipe", None),
        for_keras=getattr(module, "for_keras", None),
    )


@functools.cache
def discover() -> tuple[Treatment, ...]:
    """Return every treatment of this package by its name: each public module is one."""
    package = importlib.import_module("fallline.treatments")
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))
    return tuple(_treatment_of(importlib.import_module(f"fallline.treatments.{name}")) for name in names)


def catalogue() -> list[Treatment]:
    """Return every treatment, by its name.

    >>> "lower-learning-rate" in [treatment.name for treatment in catalogue()]
    True
    """
    return list(discover())


def treatments_of(symptom: str) -> list[Treatment]:
    """Return the treatments of a symptom, those first that name it earlier among theirs.

    >>> treatments_of("dead-relu")[0].name
    'use-leaky-relu'
    """
    found = [treatment for treatment in discover() if symptom in treatment.symptoms]
    return sorted(found, key=lambda treatment: treatment.symptoms.index(symptom))
