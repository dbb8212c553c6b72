"""The pages of the documentation site that are made from the source: symptoms, treatments, recipe, commands, API.

MkDocs calls this file as a hook (``mkdocs.yml``), so that nothing generated is kept and nothing can be out of date. The
hook also takes links away that lead out of the site, to files of the checkout.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import click

import fallline as fl
from fallline.cli import COMMANDS, group
from fallline.recipe.schema import Entry, entries, sections, shown
from fallline.rules import HEADINGS as RULE_HEADINGS
from fallline.rules import catalogue as rules
from fallline.treatments import HEADINGS as TREATMENT_HEADINGS
from fallline.treatments import Treatment, treatments_of
from fallline.treatments import catalogue as treatments

__all__ = ["api", "commands", "on_config", "on_files", "on_page_markdown", "pages", "recipe", "symptom_table"]

FAMILIES = {
    "learning": "Learning: the network cannot fit the training rows, or only slowly",
    "generalisation": "Generalisation: it fits the training rows and fails on others",
    "prediction": "Prediction: the result depends on chance",
}
AIMS = {
    "learning": "Better learning",
    "generalisation": "Better generalisation",
    "prediction": "Better predictions",
}
WHEN = {"before": "before the training", "during": "while it runs", "after": "after it"}

# The API's page by task; what stands in no group comes at the end.
API: Mapping[str, tuple[str, ...]] = {
    "Training": ("train", "train_many", "default_recipe", "find_learning_rate", "load", "Run", "Recipe"),
    "Saying what is wrong": ("diagnose", "check", "diagnose_training", "check_gradients", "Diagnosis", "Finding"),
    "Repairing": ("treat", "Design", "experiment", "improve"),
    "Measuring": ("evaluate", "search", "folds", "Evaluation", "Search"),
    "Watching from outside": ("watch",),
    "Data": ("read_table", "make_problem", "Problem"),
    "Networks": ("networks", "lsuv", "pretrain", "loss_landscape"),
    "In scikit-learn": ("Classifier", "Regressor"),
    "Errors": ("errors",),
}
_OPTIONS = "\n    options:\n      heading_level: 3\n      show_root_heading: true\n      show_root_full_path: false\n"
_MARK = re.compile(r"^<!-- symptoms: (\w+) -->$", re.MULTILINE)
# A link that leads out of docs/, and one into docs/ by way of the checkout's root.
_OUT = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./(?!docs/)[^)]*\)")
_BACK = re.compile(r"\]\(\.\./docs/")


def pages() -> dict[str, str]:
    """Return every generated page: path in the site -> Markdown."""
    made = {
        "symptoms/index.md": _symptoms(),
        "treatments/index.md": _treatments(),
        "reference/recipe.md": recipe(),
        "reference/commands.md": commands(),
        "reference/api.md": api(),
    }
    made |= {f"symptoms/{info.symptom}.md": _symptom(info) for info in rules()}
    return made | {f"treatments/{one.name}.md": _treatment(one) for one in treatments()}


# ------------------------------------------------------------------------------------------ symptoms and treatments


def _sections(docstring: str, headings: Iterable[str]) -> str:
    """Turn a docstring of fixed headings into Markdown."""
    found = "|".join(map(re.escape, headings))
    return re.sub(rf"^({found})\n-+$", r"## \1\n", docstring, flags=re.MULTILINE)


def _symptom(info: Any) -> str:
    title, _, body = info.docstring.partition("\n")
    tried = [f"[{one.name}](../treatments/{one.name}.md): {_lower(one.title)}" for one in treatments_of(info.symptom)]
    when = ", ".join(WHEN[moment] for moment in info.when)
    needs = ", ".join(f"`{name}`" for name in info.requires) or "nothing in particular"
    more = ", ".join(f"`{name}`" for name in info.optional)
    return "\n".join(
        [
            f"# {info.symptom}", "", f"**{title}**", "",
            f"{info.id}, of the family *{info.family}* ([the craft](../craft/{info.family}.md)); examined {when}.", "",
            _sections(body.strip(), RULE_HEADINGS), "",
            "## What to try", "", *(f"- {line}" for line in tried), "",
            f"`fallline treatments {info.symptom}` prints the same. [How a treatment is tried](../experiments.md).", "",
            "## What the rule looks at", "", f"It needs {needs}" + (f"; it also uses {more}." if more else "."), "",
        ]
    )  # fmt: skip


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:] + "."


def symptom_table(family: str, up: str) -> str:
    """Return the symptoms of a family, each with what is tried against it.

    Args:
        family: learning, generalisation or prediction.
        up: from the page to the site's root, "" or "../".
    """
    lines = ["| symptom | what is the matter | what to try |", "|---|---|---|"]
    for info in rules():
        if info.family == family:
            tried = ", ".join(f"[{one.name}]({up}treatments/{one.name}.md)" for one in treatments_of(info.symptom)[:3])
            title = info.title.partition(": ")[2] or info.title
            lines.append(f"| [{info.symptom}]({up}symptoms/{info.symptom}.md) | {title} | {tried} |")
    return "\n".join(lines)


def _symptoms() -> str:
    intro = (
        f"# Symptoms\n\nThe {len(rules())} things that the diagnosis looks for, each a page made from the rule's own "
        "documentation. `fallline rules` lists them, `fallline rules NAME` explains one."
    )
    parts = [intro]
    parts += [f"## {title}\n\n{symptom_table(family, '../')}" for family, title in FAMILIES.items()]
    return "\n\n".join(parts) + "\n"


def _treatment(one: Treatment) -> str:
    title, _, body = one.docstring.partition("\n")
    words = {"recipe": "recipes", "keras": "Keras models"}
    return "\n".join(
        [
            f"# {one.name}", "", f"**{title}** {AIMS[one.aim]}; for {' and '.join(words[x] for x in one.applies_to)}.",
            "", _sections(body.strip(), TREATMENT_HEADINGS), "", "## Tried for", "",
            *(f"- [{symptom}](../symptoms/{symptom}.md)" for symptom in one.symptoms), "",
        ]
    )  # fmt: skip


def _treatments() -> str:
    intro = (
        f"# Treatments\n\nThe {len(treatments())} things that can be tried. `fl.treat(run, NAME)` changes a recipe or "
        "a Keras model, [an experiment](../experiments.md) says whether it helps; `fallline treatments SYMPTOM` lists "
        "those for a symptom."
    )
    parts = [intro]
    for aim, title in AIMS.items():
        lines = [f"## {title}", "", "| treatment | what it does | for |", "|---|---|---|"]
        for one in treatments():
            if one.aim == aim:
                named = ", ".join(f"[{symptom}](../symptoms/{symptom}.md)" for symptom in one.symptoms[:3])
                more = " …" if len(one.symptoms) > 3 else ""
                lines.append(f"| [{one.name}]({one.name}.md) | {one.title} | {named}{more} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


# ------------------------------------------------------------------------------------------------------- reference


def recipe() -> str:
    """Return the page of the recipe: every entry with its default and what is allowed."""
    intro = (
        "# The recipe\n\nEverything that decides how a network is trained. `fallline recipe > my.toml` writes all "
        "of it with these explanations; what a file leaves out is taken from the preset. On the command line an entry "
        "is `section.entry=value`, or `entry=value` where the name is used once."
    )
    parts = [intro]
    for section, cls in {"": None, **sections()}.items():
        doc = f"{inspect.getdoc(cls)}\n\n" if cls is not None else ""
        lines = ["| entry | default | meaning | allowed |", "|---|---|---|---|"]
        lines += [_entry(entry) for entry in entries().values() if entry.section == section]
        parts.append(f"## {f'[{section}]' if section else 'Outside the sections'}\n\n{doc}" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _entry(entry: Entry) -> str:
    cells = (f"`{entry.key}`", f"`{shown(entry.default)}`", _plain(entry.doc), _plain(entry.allowed))
    return "| " + " | ".join(cells) + " |"


def _plain(text: str) -> str:
    """Return text that Markdown leaves as it is, in a cell of a table."""
    return re.sub(r"([\\*_\[\]|<>])", r"\\\1", text)


def commands() -> str:
    """Return the page of the command line: each command's own help."""
    parts = ["# Commands\n\nWhat each command says under `--help`. [In a terminal and in scripts](../terminal.md)."]
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        context = click.Context(command, info_name=f"fallline {name}", terminal_width=100, max_content_width=100)
        parts.append(f"## fallline {name}\n\n```text\n{command.get_help(context).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def api() -> str:
    """Return the page of the public names; mkdocstrings fills it in."""
    grouped = [name for names in API.values() for name in names]
    rest = tuple(name for name in fl.__all__ if name not in grouped and name != "__version__")
    parts = ["# Python\n\nEvery public name of `import fallline as fl`."]
    for title, names in {**API, "More": rest}.items():
        there = [name for name in names if name in fl.__all__]
        if there:
            parts += [f"## {title}", *(_documented(f"fl.{name}", getattr(fl, name)) for name in there)]
    return "\n\n".join(parts) + "\n"


def _documented(name: str, thing: Any) -> str:
    if isinstance(thing, ModuleType):
        intro = f"### {name} {{ #{name} }}\n\n{inspect.getdoc(thing)}"
        return "\n\n".join([intro, *(_documented(f"{name}.{one}", getattr(thing, one)) for one in thing.__all__)])
    return f"::: {thing.__module__}.{thing.__qualname__}{_OPTIONS}      heading: {name}\n      toc_label: {name}\n"


# ----------------------------------------------------------------------------------------------------------- hooks


def on_config(config: Any) -> Any:
    """Enter the pages of symptoms and treatments into the navigation."""
    named = {
        "Symptoms": [f"symptoms/{info.symptom}.md" for info in rules()],
        "Treatments": [f"treatments/{one.name}.md" for one in treatments()],
    }
    for entry in config.nav:
        for title, found in named.items():
            if title in entry:
                entry[title] += [{path.partition("/")[2].removesuffix(".md"): path} for path in found]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those in the folder."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put tables of symptoms where a page asks for them; keep the words of links that lead out of the site."""
    up = "../" * page.file.src_uri.count("/")
    text = _MARK.sub(lambda found: symptom_table(found[1], up), markdown)
    if up:
        return text
    return _OUT.sub(r"\1", _BACK.sub("](", text))
