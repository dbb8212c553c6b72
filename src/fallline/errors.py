"""Every error that fallline raises on purpose.

One base class, few children. A message has three parts: what was given, what is allowed, what to do.
The command line prints the message alone; a traceback is for our mistakes, never for the user's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "BackendError",
    "DataError",
    "FalllineError",
    "InputError",
    "RecipeError",
    "RunFolderError",
    "nearest",
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
