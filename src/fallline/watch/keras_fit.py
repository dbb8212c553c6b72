"""A Keras callback that watches Keras' own training, on the JAX, TensorFlow and PyTorch backends."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import numpy as np

from fallline.errors import InputError, is_count, optional
from fallline.rules import plain_checked, static_statistics
from fallline.rules._from_curves import ALIASES, plain_name
from fallline.rules._from_model import compiled_statistics
from fallline.types import Diagnosis, Run, Trace
from fallline.watch.keras_look import KerasEyes, nothing_random_drawn
from fallline.watch.record import Record

__all__ = ["WATCH_ROWS", "KerasWatch", "keras"]

# Rows of the watch batch: a share of dead units is then known to about 3 %, and a look costs no more than a few steps.
WATCH_ROWS = 256


def keras(validation_data: Any = None, x: Any = None, y: Any = None, every: int = 1) -> KerasWatch:
    """Return a callback for ``model.fit(..., callbacks=[w])`` that watches the training from inside.

    Args:
        validation_data: (x, y) to evaluate after each epoch, for a fit that is given none.
        x: rows for the watch batch, on which activations and gradients are computed: an array (n, ...) or a structure
            of arrays; up to 256 rows, drawn from all, are used. Without it they are taken from the arrays that ``fit``
            is given; a generator or data set is not touched, and then activations and gradients are not watched.
        y: their targets; without them gradients are not watched.
        every: look inside before the first step and then every so many epochs. Curves are kept for each.

    After (or during) the fit ``w.run``, ``w.trace`` and ``w.diagnose()`` say what was seen; `fallline.diagnose` takes
    ``w``, too. Nothing that is watched is changed: not the weights, nor the optimizer, nor any random state.

    Raises:
        InputError: an argument is wrong.

    >>> import keras, numpy as np, fallline as fl
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
    >>> model.compile("sgd", loss="mse")
    >>> w = fl.watch.keras()
    >>> _ = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0, callbacks=[w])
    >>> w.trace.inside.layers, w.trace.inside.epochs.tolist(), w.run.outcome
    (('only',), [0, 1, 2], 'completed')
    """
    if not is_count(every, least=1):
        raise InputError(f"every={every!r} is not allowed: it takes a whole number of epochs, 1 or more.")
    if validation_data is not None and (not isinstance(validation_data, (tuple, list)) or len(validation_data) < 2):
        raise InputError("validation_data takes a pair (x, y).")
    if x is None and y is not None:
        raise InputError("y was given without x. Give both, or neither to take rows from what fit is given.")
    base = optional("keras", "torch", "Watching a Keras training").callbacks.Callback
    kind = type("KerasWatch", (KerasWatch, base), {"__module__": __name__})
    made: KerasWatch = kind(validation_data, x, y, int(every))
    return made


class KerasWatch:
    """Watches one Keras training at a time; made by `keras`, which adds Keras' own class of callbacks."""

    model: Any
    params: Mapping[str, Any]

    def __init__(self, validation_data: Any, x: Any, y: Any, every: int) -> None:
        super().__init__()
        self._validation, self._given, self._every = validation_data, (x, y), every
        self._record = Record()
        self._eyes: KerasEyes | None = None
        self._facts: dict[str, Any] = {}
        self._ended = False
        self._began = 0.0

    # ---------------------------------------------------------------------------------------- what a person asks

    @property
    def trace(self) -> Trace:
        """What was seen so far."""
        return self._record.trace()

    @property
    def run(self) -> Run:
        """The run so far, with its diagnosis."""
        planned = dict(getattr(self, "params", None) or {}).get("epochs")
        model = getattr(self, "_model", None)
        return self._record.run(
            model=None if model is None else self.model,
            planned=None if planned is None else int(planned) - self._facts.get("initial_epoch", 0),
            ended=self._ended,
            facts={name: value for name, value in self._facts.items() if name != "initial_epoch"},
        )

    def diagnose(self) -> Diagnosis:
        """Return what is wrong with the training so far."""
        return self.run.diagnosis

    # -------------------------------------------------------------------------------------------- what Keras calls

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Take the first look."""
        del logs
        self._record, self._eyes, self._ended, self._began = Record(), None, False, time.perf_counter()
        fit = _frame_of_fit(self._model)  # type: ignore[attr-defined]
        x, y = self._given if self._given[0] is not None else (fit.get("x"), fit.get("y"))
        self._batch = self._watch_batch(x, y)
        try:
            self._facts = _facts(self.model, fit)
        except Exception as error:  # noqa: BLE001 - what is odd in the data is for fit to say; watching must not end it
            self._facts = {}
            self._record.could_not(f"model and data could not be checked: {type(error).__name__}: {error}")
        self._look()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note the curves, and look again when it is time."""
        curves = dict(logs or {})
        if self._validation is not None and not any(name.startswith("val_") for name in curves):
            curves |= self._evaluate()
        self._record.end_epoch(_named(curves) | self._rate(curves))
        self._facts["seconds"] = time.perf_counter() - self._began
        if self._record.n_epochs % self._every == 0:
            self._look()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Note that the training came to its end."""
        del logs
        self._ended = True

    # ----------------------------------------------------------------------------------------------------- parts

    def _look(self) -> None:
        """Look inside, once the model has its weights: some backends build it with the first batch."""
        if self._eyes is None and self.model.built:
            self._eyes = KerasEyes(self.model, self._record, self._batch)
        if self._eyes is not None:
            self._eyes.look(self._record.n_epochs)

    def _watch_batch(self, x: Any, y: Any) -> tuple[Any, Any] | None:
        import keras as library

        try:
            n = len(library.tree.flatten(x)[0])
            if y is None and hasattr(x, "shape"):
                self._record.could_not("gradients were not watched: there are no targets")
            rows = np.random.default_rng(0).permutation(n)[:WATCH_ROWS]  # sorted data, too, give parts that are alike
            pair: tuple[Any, Any] = library.tree.map_structure(lambda a: _rows(a, rows), (x, y))
            return pair
        except (TypeError, IndexError, ValueError):
            self._record.could_not(
                "activations and gradients were not watched: the training data are no arrays. "
                "Give a few hundred rows as fl.watch.keras(x=..., y=...)"
            )
            return None

    def _evaluate(self) -> dict[str, Any]:
        kept = [(v, v.numpy()) for v in self.model.metrics_variables]
        found = self.model.evaluate(*self._validation[:2], verbose=0, return_dict=True)
        for variable, value in kept:
            variable.assign(value)
        return {f"val_{name}": value for name, value in found.items()}

    def _rate(self, curves: Mapping[str, Any]) -> dict[str, float]:
        """Return the learning rate of the epoch's last step; other callbacks may have changed it since."""
        if any(ALIASES.get(plain_name(name)) == "learning_rate" for name in curves):
            return {}
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        rate = getattr(optimizer, "_learning_rate", None)
        if callable(rate):  # a schedule, which counts the steps that were taken
            rate = rate(max(int(optimizer.iterations.numpy()) - 1, 0))
        if rate is None:
            return {}
        import keras as library

        return {"learning_rate": float(library.ops.convert_to_numpy(rate))}


def _named(curves: Mapping[str, Any]) -> dict[str, float]:
    """Return the scalar curves under our names; Keras' loss is a running mean in training mode."""
    found: dict[str, float] = {}
    for name, value in curves.items():
        if np.ndim(value) == 0:
            ours = ALIASES.get(plain_name(name), name)
            found.setdefault("running_loss" if ours == "loss" else ours, float(value))
    return found


def _frame_of_fit(model: Any) -> Mapping[str, Any]:
    """Return the local variables of the running ``model.fit``, {} when another function trains.

    Keras shows its callbacks neither the data nor the other callbacks. They are only read here.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model and "x" in frame.f_locals:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}


def _rows(values: Any, rows: np.ndarray) -> Any:
    """Return some rows of an array, frame or tensor; raise TypeError for what has no rows to choose from."""
    if values is None:
        return None
    if hasattr(values, "iloc"):
        return np.asarray(values.iloc[rows])
    if not hasattr(values, "shape") or not hasattr(values, "__getitem__"):
        raise TypeError
    return _plain(values)[rows]


def _plain(values: Any) -> Any:
    """Return a tensor as an array; leave frames as they are, for their names."""
    if hasattr(values, "iloc"):
        return values
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _facts(model: Any, fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the run knows besides its trace."""
    found: dict[str, Any] = {"name": model.name, "initial_epoch": int(fit.get("initial_epoch") or 0)}
    if model.built:
        found["parameters"] = int(model.count_params())
    stopping = [one for one in getattr(fit.get("callbacks"), "callbacks", ()) if hasattr(one, "restore_best_weights")]
    found["restored"] = any(one.restore_best_weights for one in stopping)
    shape = getattr(fit.get("val_x"), "shape", None)
    if shape:
        found["n_validation"] = int(shape[0])
    x, y = fit.get("x"), fit.get("y")
    if hasattr(x, "shape") and hasattr(y, "shape"):
        found["batch_size"] = int(fit.get("batch_size") or 32)  # Keras' own
        found["checked"] = _checked(model, _plain(x), _plain(y), fit, found["batch_size"])
        found["n_train"] = len(_plain(x))
    weighted = fit.get("class_weight") is not None or fit.get("sample_weight") is not None
    loss = compiled_statistics(model).get("loss_name")
    if loss is not None and not weighted:  # weighted, it has no reference to compare with
        found["loss"] = loss
    elif weighted:
        found.get("checked", {}).pop("reference_loss", None)
    return found


def _checked(model: Any, x: Any, y: Any, fit: Mapping[str, Any], batch_size: int) -> dict[str, Any]:
    """Return what the rules ask of model and data before the first step."""
    held = (_plain(fit["val_x"]), _plain(fit["val_y"])) if hasattr(fit.get("val_x"), "shape") else None
    with nothing_random_drawn(model):
        return plain_checked(
            static_statistics(
                model,
                x,
                y,
                batch_size=batch_size,
                epochs=fit.get("epochs"),
                shuffle=bool(fit.get("shuffle", True)),
                validation_data=held,
            )
        )
