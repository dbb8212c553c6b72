"""What a rule is: a symptom's fixed facts, the finding it yields, and the statistics it asks for."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fallline.types import Family, Finding, Severity

__all__ = ["HEADINGS", "Rule", "RuleInfo", "Symptom", "When", "catalogue", "discover"]

When = Literal["before", "during", "after"]
HEADINGS: tuple[str, ...] = ("What it does", "Why it hurts", "When it is wrong", "Reference")


@dataclass(frozen=True)
class Symptom:
    """The fixed facts of one symptom.

    Args:
        id: the catalogue's id, e.g. ``S3``.
        name: plain kebab-case name, the contract with users.
        family: learning, generalisation or prediction.
        when: at which moments its statistics can exist.
        min_epochs: finite values of the training loss below which the rule has no ground to speak on.
    """

    id: str
    name: str
    family: Family
    when: tuple[When, ...]
    min_epochs: int = 0

    def finding(
        self,
        severity: Severity,
        confidence: float,
        message: str,
        *,
        evidence: Mapping[str, Any],
        cause: str = "",
        what_to_try: tuple[str, ...] = (),
        layer: str = "",
        epoch: int | None = None,
        treatments: tuple[str, ...] = (),
    ) -> Finding:
        """Return a `Finding` of this symptom; confidence is clipped to [0, 1], NumPy scalars become plain numbers.

        ``treatments`` are those that suit this finding better than others of its symptom; the diagnosis adds the rest.

        >>> overfit = Symptom("S3", "overfit", "generalisation", ("after",))
        >>> overfit.finding("note", 1.2, "It rose.", evidence={"rise": 0.5}).confidence
        1.0
        """
        plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in evidence.items()}
        return Finding(
            symptom=self.name,
            id=self.id,
            family=self.family,
            severity=severity,
            confidence=float(min(max(confidence, 0.0), 1.0)),
            message=message,
            evidence=plain,
            cause=cause,
            what_to_try=what_to_try,
            layer=layer,
            epoch=None if epoch is None else int(epoch),
            treatments=treatments,
        )


@dataclass(frozen=True)
class RuleInfo:
    """What ``fallline rules`` and the documentation say of one rule.

    Args:
        id: the catalogue's id.
        symptom: plain kebab-case name.
        family: learning, generalisation or prediction.
        when: before, during, after training.
        title: the first line of the rule's docstring.
        docstring: the whole of it.
        requires: statistics without which the rule cannot speak.
        optional: statistics that make it more exact.
        one_of: statistics of which one at least must be there (``ONE_OF`` of the rule's module).
    """

    id: str
    symptom: str
    family: Family
    when: tuple[When, ...]
    title: str
    docstring: str
    requires: tuple[str, ...]
    optional: tuple[str, ...]
    one_of: tuple[str, ...] = ()

    @property
    def sections(self) -> dict[str, str]:
        """The docstring's text under each of the fixed headings."""
        pattern = "|".join(map(re.escape, HEADINGS))
        parts = re.split(rf"^({pattern})\n-+\n", self.docstring, flags=re.MULTILINE)
        return {head: text.strip() for head, text in zip(parts[1::2], parts[2::2], strict=True)}


@dataclass(frozen=True)
class Rule:
    """One discovered rule.

    Args:
        symptom: its fixed facts.
        info: its description.
        examine: the function; its parameter names are the statistics it needs, those with a default are optional.
    """

    symptom: Symptom
    info: RuleInfo
    examine: Callable[..., Iterable[Finding]]

    def missing(self, statistics: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the required statistics that are absent."""
        absent = tuple(name for name in self.info.requires if statistics.get(name) is None)
        if self.info.one_of and all(statistics.get(name) is None for name in self.info.one_of):
            absent += self.info.one_of[:1]
        return absent

    def __call__(self, statistics: Mapping[str, Any]) -> tuple[Finding, ...]:
        """Return the findings; raises `KeyError` when a required statistic is absent (ask `missing` first)."""
        given = {name: statistics[name] for name in self.info.requires}
        given |= {name: statistics[name] for name in self.info.optional if statistics.get(name) is not None}
        return tuple(self.examine(**given))


def _rule_of(module: Any) -> Rule:
    symptom: Symptom = module.SYMPTOM
    parameters = inspect.signature(module.examine).parameters.values()
    doc = inspect.cleandoc(module.__doc__ or "")
    info = RuleInfo(
        id=symptom.id,
        symptom=symptom.name,
        family=symptom.family,
        when=symptom.when,
        title=doc.splitlines()[0].rstrip(".") if doc else "",
        docstring=doc,
        requires=tuple(p.name for p in parameters if p.default is inspect.Parameter.empty),
        optional=tuple(p.name for p in parameters if p.default is not inspect.Parameter.empty),
        one_of=tuple(getattr(module, "ONE_OF", ())),
    )
    return Rule(symptom, info, module.examine)


@functools.cache
def discover() -> tuple[Rule, ...]:
    """Return every rule of this package, by the catalogue's number: each public module is one rule."""
    package = importlib.import_module("fallline.rules")
    names = [found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_")]
    rules = [_rule_of(importlib.import_module(f"fallline.rules.{name}")) for name in names]
    return tuple(sorted(rules, key=lambda rule: int(rule.symptom.id[1:])))


def catalogue() -> list[RuleInfo]:
    """Return the description of every rule, by the catalogue's number.

    >>> [info.symptom for info in catalogue()][:3]
    ['underfit-flat', 'underfit-stopped-early', 'overfit']
    """
    return [rule.info for rule in discover()]
