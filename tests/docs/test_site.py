"""The site holds a page for everything there is, made from the source, and builds without a warning or a fetch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fallline as fl
from docs.doctests import fenced
from docs.generated import pages, symptom_table
from docs.snippets import CHECKOUT
from fallline.cli import COMMANDS
from fallline.recipe.schema import entries
from fallline.rules import catalogue as rules
from fallline.treatments import catalogue as treatments

MADE = pages()


def test_every_symptom_and_every_treatment_has_its_page_from_its_docstring() -> None:
    for info in rules():
        page = MADE[f"symptoms/{info.symptom}.md"]
        for heading in ("What it does", "Why it hurts", "When it is wrong", "Reference", "What to try"):
            assert f"\n## {heading}\n" in page, (info.symptom, heading)
        assert info.docstring.splitlines()[-1].strip() in page
    for one in treatments():
        page = MADE[f"treatments/{one.name}.md"]
        assert one.sections["What it does"] in page
        assert all(f"(../symptoms/{symptom}.md)" in page for symptom in one.symptoms)
    for page in (MADE["symptoms/index.md"], MADE["treatments/index.md"]):
        assert all(info.symptom in page for info in rules() if "symptoms" in page.splitlines()[0].lower())
    assert all(one.name in MADE["treatments/index.md"] for one in treatments())


def test_each_craft_page_gets_the_symptoms_of_its_family() -> None:
    tables = {family: symptom_table(family, "../") for family in ("learning", "generalisation", "prediction")}
    for family in tables:
        assert f"<!-- symptoms: {family} -->" in (CHECKOUT / f"docs/craft/{family}.md").read_text(encoding="utf-8")
    assert all(f"(../symptoms/{info.symptom}.md)" in tables[info.family] for info in rules())


def test_every_entry_command_and_public_name_is_there() -> None:
    for entry in entries().values():
        assert f"| `{entry.key}` |" in MADE["reference/recipe.md"]
    for command in COMMANDS:
        assert f"## fallline {command}\n\n```text\nUsage: fallline {command}" in MADE["reference/commands.md"]
    for name in set(fl.__all__) - {"__version__"}:
        assert re.search(rf"\bfl\.{name}\b", MADE["reference/api.md"]), name


def test_examples_become_code() -> None:
    assert fenced("Add.\n\n>>> 1 + 1\n2\n\nEnd.") == "Add.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nEnd."


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the site's builder
def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(CHECKOUT / "mkdocs.yml"), site_dir=str(tmp_path / "site"))
    config.plugins.run_event("startup", command="build", dirty=False)
    build(config)  # strict: a warning is an error
    for page in ("index", "tour", "symptoms/overfit", "treatments/add-dropout", "reference/api", "from-pytorch"):
        text = (tmp_path / "site" / f"{page}.html").read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?:[^\s\">]+)", text)
        assert not fetched, (page, fetched)
    api = (tmp_path / "site/reference/api.html").read_text(encoding="utf-8")
    assert all(f"fl.{name}" in api for name in fl.__all__ if name != "__version__")
