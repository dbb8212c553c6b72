"""The recipe, the final model and how to use it, and what it was made with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from fallline.report.document import Block, Code, Facts, Fold, Line, Paragraph, Section, Span
from fallline.report.markup import clean
from fallline.report.text import count, duration, name, number, plural
from fallline.report.view import View, whole

__all__ = ["environment", "model", "recipe"]

_MOST_TEXT = 20_000


def recipe(view: View) -> Section | None:
    """Return the resolved recipe as TOML."""
    if view.run.recipe is None:
        return None
    from fallline.recipe import to_toml

    text = clean(to_toml(view.run.recipe, comments=False), _MOST_TEXT, lines=True).strip()
    return Section(
        "recipe",
        "Recipe",
        (
            Paragraph(
                (
                    "Every choice, as it was resolved for this run. Saved as ",
                    Span("recipe.toml", "mono"),
                    ", it repeats the training.",
                )
            ),
            Code(text, "The recipe as TOML", "toml"),
        ),
    )


def model(view: View) -> Section:
    """Return how large the network is and how to use it."""
    pairs: list[tuple[str, Line]] = []
    parameters = whole(view.facts.get("parameters"))
    if parameters:
        pairs.append(("Parameters", count(parameters)))
    if view.n_members > 1:
        pairs.append(("Members", f"{count(view.n_members)}, averaged inside the saved model"))
    architecture = view.run.recipe.network if view.run.recipe else None
    if architecture is not None and not isinstance(architecture.hidden, str):
        units = " → ".join(count(h) for h in architecture.hidden) or "none (linear)"
        pairs.append(
            ("Hidden layers", f"{units}, {name(architecture.activation, 40)}" if architecture.hidden else units)
        )
    temperature = view.facts.get("temperature")
    if isinstance(temperature, (int, float)) and view.classification:
        pairs.append(
            ("Temperature", f"{number(float(temperature))} (probabilities were calibrated on validation rows)")
        )
    if view.facts.get("seconds") is not None:
        pairs.append(("Training time", duration(view.facts["seconds"])))
    pairs.append(("Outcome", view.run.outcome.replace("_", " ")))
    return Section("model", "The model and how to use it", (Facts(tuple(pairs)), *_snippets(view)))


def _folder(view: View) -> str:
    """The run folder in code: only what cannot be misread in a shell or in Python."""
    return f"runs/{view.name}" if view.name and re.fullmatch(r"[\w. \-]+", view.name) else "runs/NAME"


def _snippets(view: View) -> list[Block]:
    folder = _folder(view)
    quoted, python = shlex.quote(folder), repr(folder)
    proba = "\nrun.predict_proba(new)      # probabilities, one column per class" if view.classification else ""
    from_table = view.run.preparation is not None or view.run.summary is not None
    blocks: list[Block] = []
    if from_table:
        blocks += [
            Paragraph(Span("From the shell:")),
            Code(f"fallline predict {quoted} new.csv -o predictions.csv", "Predicting from the shell"),
            Paragraph(Span("In Python, with fallline:")),
            Code(
                f'import fallline as fl\nimport pandas as pd\n\nrun = fl.load({python})\nnew = pd.read_csv("new.csv")\n'
                f"run.predict(new){proba}",
                "Predicting in Python with fallline",
            ),
            Paragraph(
                (
                    Span("With Keras alone: "),
                    "scaling, ensemble and calibration are inside the file; it takes numbers as they are, ",
                    "NaN where a value is missing, and categories as the codes listed in ",
                    Span("preparation.json", "mono"),
                    ".",
                )
            ),
            Code(
                f"import keras\nimport numpy as np\n\nmodel = keras.saving.load_model({(folder + '/model.keras')!r})\n"
                '# float32, shape (rows, columns), as run.preparation.raw(new) makes it\nraw = np.load("raw.npy")\n'
                f"model.predict(raw)",
                "Predicting with Keras alone",
            ),
        ]
    else:
        blocks += [
            Paragraph(Span("In Python, with fallline:")),
            Code(
                f"import fallline as fl\n\nrun = fl.load({python})\nrun.model.predict(x)        # x as in training",
                "Predicting in Python with fallline",
            ),
            Paragraph(Span("With Keras alone:")),
            Code(
                f"import keras\n\nmodel = keras.saving.load_model({(folder + '/model.keras')!r})\nmodel.predict(x)",
                "Predicting with Keras alone",
            ),
        ]
    return blocks


def environment(view: View) -> Section | None:
    """Return versions, machine, seed and the data's fingerprint."""
    pairs: list[tuple[str, Line]] = []
    for key, value in list(view.environment.items())[:40]:
        if isinstance(value, Mapping):
            pairs.append(
                (
                    name(key, 40).capitalize(),
                    ", ".join(f"{name(k, 40)} {name(v, 40)}" for k, v in list(value.items())[:40] if v is not None),
                )
            )
        elif isinstance(value, (str, int, float)) and value != "":
            look: Line = Span(name(value, 160), "mono") if key == "fingerprint" else name(value, 160)
            pairs.append((name(key, 40).capitalize(), look))
    fingerprint = view.facts.get("fingerprint")
    if fingerprint and "fingerprint" not in view.environment:
        pairs.append(("Fingerprint", Span(name(fingerprint, 160), "mono")))
    if not pairs:
        return None
    return Section(
        "environment",
        "Made with",
        (
            Fold(
                f"Versions, machine and fingerprint: {plural(len(pairs), 'entry', 'entries')}", (Facts(tuple(pairs)),)
            ),
            Paragraph("The fingerprint is the SHA-256 of the data as read: equal fingerprints, equal data.", "small"),
        ),
    )
