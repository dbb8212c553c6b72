"""What a person expects of a noun, but higher rooms can do: looked up when it is called, never at import."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

__all__ = ["Reported", "verb"]


def verb(where: str) -> Callable[..., Any]:
    """Return a function of a higher room.

    Args:
        where: ``"module:function"``.

    >>> verb("math:hypot")(3, 4)
    5.0
    """
    module, function = where.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


class Reported:
    """What can be written as a report."""

    def report(self, path: Any, *, overwrite: bool = False) -> Any:
        """Write the self-contained HTML report; refuse to replace a file unless asked."""
        return verb("fallline.report:write_report")(self, path, overwrite=overwrite)
