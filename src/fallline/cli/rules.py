"""``fallline rules``: what the diagnosis looks for."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("rules")
@click.argument("symptom", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(symptom: str | None, as_json: bool) -> None:
    """List the symptoms that the diagnosis looks for; with SYMPTOM, explain that one."""
    from dataclasses import asdict

    from fallline.cli.screen import Screen, jsonable
    from fallline.errors import InputError, nearest
    from fallline.rules import catalogue

    infos = catalogue()
    screen = Screen()
    if symptom is not None:
        chosen = [info for info in infos if symptom.lower() in (info.symptom, info.id.lower())]
        if not chosen:
            raise InputError(f"There is no symptom {symptom!r}.{nearest(symptom, [info.symptom for info in infos])}")
        infos = chosen
    if as_json:
        for info in infos:
            click.echo(json.dumps(jsonable(asdict(info))))
        return
    if symptom is not None:
        screen.lines([f"{infos[0].symptom} ({infos[0].id}, {infos[0].family})", "", *infos[0].docstring.splitlines()])
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("symptom", "id", "family", "when", "what"):
        table.add_column(title, no_wrap=title in ("symptom", "id"))
    for info in infos:
        table.add_row(info.symptom, info.id, info.family, ", ".join(info.when), screen.fit(info.title))
    screen.show(table)
