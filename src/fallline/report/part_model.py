"""The final model and how to use it; and the resources: recipe, versions, machine, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from fallline.report import part_final, part_inside, part_learning, part_predictions
from fallline.report.document import Block, Code, Facts, Line, Paragraph, Part, Section, Span
from fallline.report.markup import clean
from fallline.report.text import count, duration, name, number
from fallline.report.view import View, whole

__all__ = ["model", "resources"]

_MOST_TEXT = 20_000


def model(view: View) -> Section:
    """Return the final model: how it learned, what it predicts, and how to use it."""
    parts = (
        part_learning.learning(view),
        part_inside.inside(view),
        part_final.loaded_again(view),
        part_predictions.predictions(view),
        part_final.importance(view),
        part_learning.members(view),
        Part("How to use it", (Facts(tuple(_network(view))), *_snippets(view))),
    )
    return Section("model", "Final model", tuple(part for part in parts if part is not None))


def _network(view: View) -> list[tuple[str, Line]]:
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
    return pairs


def _snippets(view: View) -> list[Block]:
    folder = view.folder
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


def resources(view: View) -> Section:
    """Return the recipe, versions, machine, seed, the data's fingerprint, and how to do it again."""
    blocks: list[Block] = []
    made = _made_with(view)
    if made:
        blocks.append(Facts(tuple(made)))
        told = "The fingerprint is the SHA-256 of the data as read: equal fingerprints, equal data."
        blocks.append(Paragraph(told, "small"))
    again = _again(view)
    if again:
        blocks.append(Part("How to do it again", tuple(again)))
    if view.run.recipe is not None:
        from fallline.recipe import to_toml

        text = clean(to_toml(view.run.recipe, comments=False), _MOST_TEXT, lines=True).strip()
        lead = Paragraph("Every choice, as it was resolved for this run.")
        blocks.append(Part("Recipe", (lead, Code(text, "The recipe as TOML", "toml"))))
    if not blocks:
        blocks.append(Paragraph("The run does not say with what it was made."))
    return Section("resources", "Resources", tuple(blocks))


def _made_with(view: View) -> list[tuple[str, Line]]:
    pairs: list[tuple[str, Line]] = []
    took = duration(view.facts.get("seconds"))
    if took:
        pairs.append(("Training time", took))
    for key, value in list(view.environment.items())[:40]:
        if isinstance(value, Mapping):
            words = (f"{name(k, 40)} {name(v, 40)}" for k, v in list(value.items())[:40] if v is not None)
            pairs.append((name(key, 40).capitalize(), ", ".join(words)))
        elif isinstance(value, (str, int, float)) and value != "":
            look: Line = Span(name(value, 160), "mono") if key == "fingerprint" else name(value, 160)
            pairs.append((name(key, 40).capitalize(), look))
    fingerprint = view.facts.get("fingerprint")
    if fingerprint and "fingerprint" not in view.environment:
        pairs.append(("Fingerprint", Span(name(fingerprint, 160), "mono")))
    return pairs


def _again(view: View) -> list[Block]:
    """The commands that repeat the training and write this page again."""
    if view.run.recipe is None or not view.name:
        return []
    folder = shlex.quote(view.folder)
    recipe = shlex.quote(f"{view.folder}/recipe.toml")
    lines = (
        f"fallline train {view.data_words} --recipe {recipe}   # the same data, recipe and seed: the same network",
        f"fallline report {folder} -o report.html",
    )
    return [
        Paragraph(
            "On the same machine with the same versions, the same data and the same seed give the same weights, bit "
            "for bit; elsewhere, the same up to rounding."
        ),
        Code("\n".join(lines), "How to do it again"),
    ]
