"""``fallline treatments``: what can be tried."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("treatments")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(name: str | None, as_json: bool) -> None:
    """List the treatments with their symptoms and sources; with NAME, explain that one, or those of a symptom."""
    from fallline.cli.screen import Screen
    from fallline.errors import InputError, nearest
    from fallline.rules import catalogue as rules
    from fallline.treatments import catalogue, treatments_of

    found, screen = catalogue(), Screen()
    single = None
    if name is not None:
        symptoms = {key: info.symptom for info in rules() for key in (info.symptom, info.id.lower())}
        single = next((one for one in found if one.name == name.lower()), None)
        if single is None and name.lower() not in symptoms:
            close = nearest(name, [*(one.name for one in found), *symptoms])
            raise InputError(f"There is no treatment or symptom {name!r}.{close}")
        found = [single] if single is not None else treatments_of(symptoms[name.lower()])
    if as_json:
        for one in found:
            facts = {"name": one.name, "aim": one.aim, "title": one.title, "symptoms": list(one.symptoms)}
            click.echo(json.dumps({**facts, "applies_to": list(one.applies_to), "source": one.source}))
        return
    if single is not None:
        head = f"{single.name} (better {single.aim}; {' and '.join(single.applies_to)})"
        screen.lines([head, "for " + ", ".join(single.symptoms), "", *single.docstring.splitlines()])
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("treatment", "for", "what", "source"):
        table.add_column(title, no_wrap=title == "treatment")
    for one in found:
        table.add_row(one.name, ", ".join(one.symptoms), screen.fit(one.title), screen.fit(one.source))
    screen.show(table)
