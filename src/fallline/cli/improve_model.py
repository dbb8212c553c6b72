"""``fallline improve MODEL.keras DATA``: a Keras model from a file, how it is trained, and what comes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.cli.arrays import model_arrays, require_fitting
from fallline.errors import InputError

if TYPE_CHECKING:
    from fallline.cli.screen import Screen
    from fallline.types import Improvement

__all__ = ["MODEL_OPTIONS", "ModelSubject", "is_model", "refuse_for_table", "resumed_model"]

# Option -> what says the same of a table.
MODEL_OPTIONS = {
    "loss": "training.loss=cross_entropy",
    "optimizer": "optimizer.name=adam",
    "learning_rate": "learning_rate=0.01",
    "epochs": "training.epochs=50",
    "batch_size": "training.batch_size=32",
}
MODEL, CHANGES = "model.keras", "improvement.json"
_REPORT, _RUN = "report.html", "run"
_TARGET = "y"  # as in `fallline check`
_USUAL = {"epochs": 100, "batch_size": 32}  # as in `fallline.train`


def is_model(data: str | None, assignments: tuple[str, ...]) -> bool:
    """Return whether the first argument is meant as a model: by its name, or because a second file follows it.

    >>> is_model("net.keras", ()), is_model("houses.csv", ("learning_rate=0.1",))
    (True, False)
    """
    if data is None:
        return False
    second = bool(assignments) and "=" not in assignments[0] and Path(assignments[0]).exists()
    return Path(data).suffix.lower() == ".keras" or second


@dataclass(frozen=True)
class ModelSubject:
    """A Keras model, its data, and how it is trained.

    Args:
        model: path of the ``.keras`` file.
        data: path of an ``.npz`` or of a table of numbers.
        target: the array or column to predict.
        training: ``loss``, ``optimizer``, ``learning_rate``, ``epochs``, ``batch_size`` that were given.
        reading: how a text table is written, as far as it was said.
    """

    model: str
    data: str
    target: str = _TARGET
    training: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(model: str, rest: tuple[str, ...], options: Mapping[str, Any]) -> ModelSubject:
        """Return what the command line says.

        Raises:
            InputError: there are no data, or what is said belongs to tables.
        """
        entries = [one for one in rest if "=" in one and not Path(one).exists()]
        for name, what in (("recipe_file", "--recipe"), ("preset", "--preset"), ("kind", "--kind")):
            if options[name] is not None:
                raise InputError(
                    f"{what} is of tables: {model} is a network already, and its loss says what it predicts. Leave it "
                    f"out, or name the table alone: fallline improve data.csv {what} {options[name]}."
                )
        if entries:
            raise InputError(
                f"{entries[0]} is an entry of a recipe, which tables are trained by. A Keras model takes "
                f"{', '.join(map(_option, MODEL_OPTIONS))}."
            )
        if len(rest) != 1:
            raise InputError(
                f"A model is improved on its data{', one file' if rest else ''}: fallline improve {model} data.npz "
                "-t y."
            )
        if len(options["target"]) > 1:
            raise InputError("A model of one output has one target: -t NAME, the array or column; several go into one "
                             "array of an .npz.")  # fmt: skip
        given = {name: options[name] for name in MODEL_OPTIONS if options[name] is not None}
        rate = given.get("learning_rate")
        if rate is not None and not (0 < rate < math.inf):
            raise InputError(f"--learning-rate {rate:g} is not allowed: it takes a number above 0.")
        reading = {name: options[name] for name in ("delimiter", "encoding", "decimal") if options[name] is not None}
        return ModelSubject(model, rest[0], (*options["target"], _TARGET)[0], given, reading)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> ModelSubject:
        """Return the subject whose `command` this is."""
        return ModelSubject(**given)

    @property
    def source(self) -> str:
        """The path by which the folder is named."""
        return self.model

    def command(self) -> dict[str, Any]:
        """Return what a later ``--resume`` needs."""
        model, data = (str(Path(path).resolve()) for path in (self.model, self.data))
        return {"model": asdict(replace(self, model=model, data=data))}

    def read(self, screen: Screen) -> tuple[tuple[Any, Any, Any], dict[str, Any]]:
        """Load the model and its data, and say what was taken from where.

        Returns:
            (model, x, y) and the keywords of its training, for `fallline.improve`.

        Raises:
            FalllineError: the model cannot be loaded, the data do not fit, or there is no loss or optimizer of this
                name.
        """
        from fallline.keras_config import without_tensorflow
        from fallline.store import load_model
        from fallline.train.arrays import as_arrays, rows_of

        model = load_model(self.model)
        x, y = model_arrays(self.data, self.target, None, self.reading)
        x, y = as_arrays(x, "x", gaps=True), as_arrays(y, "y")
        rows = rows_of((x, y), f"{self.data} and {self.target!r}")
        with without_tensorflow():
            said = _compile(model, self, x, y)
        numbers = {name: self.training.get(name, usual) for name, usual in _USUAL.items()}
        screen.event(
            "read", model=self.model, data=self.data, target=self.target, n_rows=rows,
            parameters=model.count_params(), **asdict(said),
        )  # fmt: skip
        _show(screen, self, model, x, rows, said)
        return (model, x, y), numbers

    def saved(self, found: Improvement, control: Any, x: Any, folder: Path, screen: Screen) -> None:
        """Save the better model, what was changed, and the run with its report."""
        from fallline.cli.files import put_new
        from fallline.cli.show import fact, heading, paragraph
        from fallline.improve.keras_models import design_from
        from fallline.report import render
        from fallline.store import RunFolder, environment, model_bytes, write_run
        from fallline.store.plain import dumps
        from fallline.treatments import changes_of
        from fallline.types import Story

        assert found.run is not None
        better: Any = found.better
        said = {name: self.training.get(name) for name in _USUAL}
        changes = changes_of(design_from(control, None, None, said), better)
        place = folder / _RUN
        again = place.exists()  # of this improvement, before it went on
        run = found.run.with_(
            facts={**found.run.facts, "name": folder.name, "folder": str(place), "source": self.data},
            environment=environment(seed=0, fingerprint=""), story=Story.of(found),
        )  # fmt: skip
        with RunFolder.create(place, overwrite=again) as opened:
            write_run(opened, run)
            opened.write(_REPORT, render(run).encode("utf-8"))
        put_new(folder / MODEL, model_bytes(found.run.model), overwrite=again)
        told = {"changes": list(changes), "training": dict(better.training), "compiled": dict(better.compiled)}
        body = {**self.command(), **told, **{key: value for key, value in found.to_dict().items() if key != "ledger"}}
        put_new(folder / CHANGES, dumps(body, indent=1), overwrite=again)
        if changes:
            heading(screen, "What to change")
            for line in changes:
                paragraph(screen, line, indent=2)
        heading(screen, "Saved")
        fact(screen, "ledger", str(folder / "ledger.jsonl"))
        fact(screen, "model", f"{folder / MODEL} (trained; keras.models.load_model reads it)")
        fact(screen, "changes", str(folder / CHANGES))
        fact(screen, "run", f"{place} (report.html says more)")
        screen.event(
            "finished", folder=str(folder), run=str(place), model=str(folder / MODEL), outcome=found.outcome,
            treatments=found.treatments, changes=changes,
        )  # fmt: skip


@dataclass
class _Said:
    """Where each setting of the training comes from: name -> its value, as words or a number."""

    taken: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    guessed: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()


def _compile(model: Any, subject: ModelSubject, x: Any, y: Any) -> _Said:
    """Compile a model by the options, the file, or what fits it, in this order; return which was which."""
    from fallline.store import named_loss, named_optimizer, read_compiled

    asked, said = subject.training, _Said(given=dict(subject.training))
    found = read_compiled(subject.model)
    loss, metrics = found.loss, found.metrics
    if "loss" in asked:
        loss, metrics = named_loss(asked["loss"]), ()
    elif loss is not None:
        said.taken["loss"] = _words_of(loss)
        said.unsaid = found.unsaid
    else:
        _not_refused(subject.model, "loss", found.refused)
    if "optimizer" in asked:
        optimizer = named_optimizer(asked["optimizer"])
    elif found.optimizer is not None:
        optimizer = found.optimizer
        said.taken["optimizer"] = type(optimizer).__name__
    else:
        _not_refused(subject.model, "optimizer", found.refused)
        optimizer = named_optimizer("adam")
        said.guessed["optimizer"] = "Adam"
    optimizer = _with_rate(optimizer, asked, said)
    if loss is not None:
        require_fitting(model, x, y, subject.data, subject.target, indices=type(loss).__name__.startswith("Sparse"))
    else:
        from fallline.train.keras_settings import guess_loss

        sparse = getattr(y, "dtype", None) is not None and y.dtype.kind in "iu" and model.outputs[0].shape[-1] != 1
        require_fitting(model, x, y, subject.data, subject.target, indices=sparse and (y.ndim == 1 or y.shape[-1] == 1))
        loss, fitting = guess_loss(model, x, y)
        metrics = tuple(fitting)
        said.guessed["loss"] = f"{_words_of(loss)} (fits its output and {subject.target!r})"
    said.left_out |= {part: f"{what} (not Keras' own, or not plain)" for part, what in found.refused.items()
                      if part in ("metrics", "loss_weights")}  # fmt: skip
    if metrics and "loss" in said.taken:
        said.taken["metrics"] = ", ".join(one if isinstance(one, str) else one.name for one in metrics)
    said.guessed |= {name: value for name, value in _USUAL.items() if name not in asked}
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    return said


def _not_refused(path: str, part: str, refused: Mapping[str, str]) -> None:
    if part in refused:
        raise InputError(
            f"{path} was compiled with the {part} {refused[part]}, which is not Keras' own or has more than plain "
            f"numbers: a file only names it, and nothing of the kind is loaded. Say one of Keras' own with --{part} "
            "NAME, or call fl.improve(model, x, y) in Python."
        )


def _with_rate(optimizer: Any, asked: Mapping[str, Any], said: _Said) -> Any:
    """Set the learning rate that was asked for; note where it comes from."""
    config = optimizer.get_config()
    rate = config["learning_rate"]
    if "learning_rate" in asked:
        return type(optimizer).from_config({**config, "learning_rate": asked["learning_rate"]})
    shown = f"{rate['class_name']}" if isinstance(rate, Mapping) else float(f"{rate:.6g}")
    (said.taken if "optimizer" in said.taken else said.guessed)["learning_rate"] = shown
    return optimizer


def _words_of(loss: Any) -> str:
    logits = loss.get_config().get("from_logits")
    return f"{loss.name}{' of logits' if logits else ''}"


def _show(screen: Screen, subject: ModelSubject, model: Any, x: Any, rows: int, said: _Said) -> None:
    from fallline.cli.show import fact, heading, paragraph

    parts = [f"Taken from {subject.model}: {_listed(said.taken) or 'the layers alone'}."]
    if said.given:
        parts.append(f"Given: {_listed(said.given)}.")
    if said.guessed:
        parts.append(f"Guessed: {_listed(said.guessed)}.")
    if said.left_out:
        parts.append(f"Left out: {_listed(said.left_out)}.")
    if said.unsaid:
        parts.append(f"Keras does not save all of this loss: {', '.join(said.unsaid)} is taken.")
    paragraph(screen, " ".join(parts), indent=0)
    heading(screen, "Model and data")
    fact(screen, "model", f"{subject.model}: {type(model).__name__}, {model.count_params():,} weights")
    shapes = [f"{name} {value.shape[1:]}" for name, value in x.items()] if isinstance(x, dict) else [f"{x.shape[1:]}"]
    fact(screen, "data", f"{subject.data}: {rows:,} rows of the shape {', '.join(shapes)}")
    fact(screen, "to predict", subject.target)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" if isinstance(value, float)
                     else f"{name.replace('_', ' ')} {value}" for name, value in values.items())  # fmt: skip


def _option(name: str) -> str:
    """Return how an option is written.

    >>> _option("batch_size")
    '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


def refuse_for_table(options: Mapping[str, Any]) -> None:
    """Raise where an option of Keras models is given for a table.

    Raises:
        InputError: with what to write in its place.
    """
    given = [name for name in MODEL_OPTIONS if options[name] is not None]
    if given:
        instead = " ".join(MODEL_OPTIONS[name] for name in given)
        raise InputError(
            f"{', '.join(map(_option, given))}: of Keras models. For a table write entries of its recipe behind it, "
            f"such as: {instead}."
        )


def resumed_model(found: Mapping[str, Any], data: str | None) -> ModelSubject:
    """Return the model that an improvement began with.

    Raises:
        InputError: other files are named.
    """
    subject = ModelSubject.from_dict(found)
    if data is not None:
        raise InputError(
            f"An improvement of a model goes on with the files that it began with, {json.dumps(subject.model)} and "
            f"{json.dumps(subject.data)}: leave {data} out."
        )
    return subject
