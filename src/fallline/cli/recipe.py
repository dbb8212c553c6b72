"""``fallline recipe``: a recipe to start from."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("recipe")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--preset", type=click.Choice(["default", "simple"]), default="default", show_default=True, help="Which one."
)
@click.option("--plain", is_flag=True, help="Without the comments.")
def command(assignments: tuple[str, ...], preset: str, plain: bool) -> None:
    """Print a recipe as TOML, every entry with what it does and what it takes.

    \u0008
    fallline recipe > my.toml
    fallline train data.csv --target price --recipe my.toml
    """
    from fallline.recipe import default, override, to_toml

    click.echo(to_toml(override(default(preset), assignments), comments=not plain), nl=False)
