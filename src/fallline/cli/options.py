"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["KINDS", "events", "problem_kind", "reading", "runs_dir"]

# As in fallline.types.PROBLEM_KINDS, which would bring NumPy along for the help text; a test compares the two.
KINDS = ("regression", "binary", "multiclass", "multioutput", "multilabel")

_F = TypeVar("_F", bound=Callable[..., Any])


def _separator(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A tab is hard to type in a shell."""
    return "\t" if value in ("\\t", "tab") else value


def reading(function: _F) -> _F:
    """Add the options that say how a text table is written: ``delimiter``, ``encoding`` and ``decimal``."""
    for option in (
        click.option("--decimal", type=click.Choice([".", ","]), help="The decimal sign.  [default: found out]"),
        click.option("--encoding", metavar="NAME", help="Of the text.  [default: found out]"),
        click.option(
            "--delimiter",
            metavar="CHARACTER",
            callback=_separator,
            help="Between the cells; \\t is a tab.  [default: found out]",
        ),
    ):
        function = option(function)
    return function


problem_kind = click.option(
    "--kind", type=click.Choice(KINDS), help="The kind of problem.  [default: found out from the target]"
)

runs_dir = click.option(
    "--runs-dir", default="runs", show_default=True, metavar="FOLDER", help="Where the run folders lie."
)

# How commands that take their time talk to programs: the same word and the same meaning everywhere.
events = click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
