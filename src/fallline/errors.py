"""Every error that fallline raises on purpose.

One base class, few children. A message has three parts: what was given, what is allowed, what to do.
The command line prints the message alone; a traceback is for our mistakes, never for the user's.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any, TypeGuard

__all__ = [
    "BackendError",
    "DataError",
    "FalllineError",
    "InputError",
    "MissingPackageError",
    "RecipeError",
    "RunFolderError",
    "count_mistakes",
    "is_count",
    "nearest",
    "optional",
]


class FalllineError(Exception):
    """Base of every error that fallline raises on purpose."""


class InputError(FalllineError, ValueError):
    """An argument is wrong: the message names what was given, what is allowed and what to do."""


class DataError(InputError):
    """A table, array or column cannot be used as given."""


class RecipeError(InputError):
    """A recipe has mistakes; all of them are listed at once.

    Args:
        mistakes: one sentence each, in the order of the recipe.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        head = (
            "The recipe has a mistake" if len(self.mistakes) == 1 else f"The recipe has {len(self.mistakes)} mistakes"
        )
        super().__init__(head + ":\n" + "\n".join(f"  - {mistake}" for mistake in self.mistakes))

    def __reduce__(self) -> tuple[type[RecipeError], tuple[tuple[str, ...]]]:
        return type(self), (self.mistakes,)


class RunFolderError(FalllineError):
    """A run folder is missing, damaged, foreign, locked by another writer, or in the way."""


class BackendError(FalllineError, RuntimeError):
    """Keras runs on another backend than JAX, or a device cannot do what was asked."""


class MissingPackageError(FalllineError, ImportError):
    """An optional package is needed for this and is not installed; the message says how to install it."""


def optional(module: str, extra: str, what: str) -> Any:
    """Import and return a module that an optional extra of fallline brings.

    Args:
        module: its full name.
        extra: the extra's name in ``pip install 'fallline[extra]'``.
        what: what needs it, as the beginning of a sentence.

    Raises:
        MissingPackageError: it is not installed.

    >>> optional("no_such_package", "torch", "Watching a PyTorch loop")
    Traceback (most recent call last):
        ...
    fallline.errors.MissingPackageError: Watching a PyTorch loop needs the package no_such_package, which is ...
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        package = (missing.name or module).partition(".")[0]
        raise MissingPackageError(
            f"{what} needs the package {package}, which is not installed. "
            f"Install it with: pip install 'fallline[{extra}]'"
        ) from None


def nearest(given: str, allowed: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest allowed spelling, or an empty string.

    >>> nearest("adma", ["adam", "sgd"])
    " Did you mean 'adam'?"
    >>> nearest("zzz", ["adam", "sgd"])
    ''
    """
    spelled = {name.lower(): name for name in allowed}
    match = difflib.get_close_matches(given.lower(), list(spelled), n=1, cutoff=0.5)
    return f" Did you mean {spelled[match[0]]!r}?" if match else ""


def is_count(value: Any, least: int | None = None) -> TypeGuard[int]:
    """Return whether it is a whole number (and no truth value), of at least ``least``.

    >>> is_count(3), is_count(3, least=4), is_count(True), is_count(3.0)
    (True, False, False, False)
    """
    return not isinstance(value, bool) and isinstance(value, Integral) and (least is None or int(value) >= least)


def count_mistakes(**given: tuple[Any, int]) -> Iterator[str]:
    """Yield a sentence for each argument that is no whole number, or a smaller one than is allowed.

    Args:
        given: name of the argument = (its value, the least that it may be).

    >>> list(count_mistakes(epochs=(0, 1), seed=(5, 0)))
    ['epochs = 0 is not allowed: it takes a whole number of at least 1.']
    """
    for name, (value, least) in given.items():
        if not is_count(value, least):
            yield f"{name} = {value!r} is not allowed: it takes a whole number of at least {least}."
