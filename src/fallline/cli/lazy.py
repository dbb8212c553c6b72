"""A click group whose commands are imported when they are called, not when they are listed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from fallline.errors import nearest

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that finds the command ``x`` as ``command`` in the module ``fallline.cli.x``.

    Args:
        lazy: command name -> one line for the list of commands, in the order of the list.
    """

    def __init__(self, *arguments: Any, lazy: Mapping[str, str], **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, most useful first."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self._lazy:
            return None
        found: click.Command = importlib.import_module(f"fallline.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lazy.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed; suggest the nearest when there is none."""
        name = args[0]
        if name not in self._lazy and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}.{nearest(name, self._lazy)} The commands are {', '.join(self._lazy)}.")
        return super().resolve_command(ctx, args)
