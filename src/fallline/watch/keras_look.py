"""One look at the inside of a Keras model, on any backend, that leaves nothing behind.

Everything is computed inside Keras' `StatelessScope`, which keeps what would be assigned to a variable (moving means,
seeds, losses) to itself. Only an optimizer's step outside JAX must be taken for real; its variables are then put back,
bit for bit.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fallline.watch.keras_layers import Leaf, Tap, leaves, output_name, taps
from fallline.watch.record import Record
from fallline.watch.statistics import (
    GRADIENT_PARTS,
    GRADIENT_ROWS,
    activation_statistics,
    gradient_statistics,
    network_statistics,
    noise_scale,
    twin_share,
    update_statistics,
    weight_statistics,
)

__all__ = ["KerasEyes", "nothing_random_drawn"]

# Rows that each part must have whose gradient goes into the noise scale.
LEAST_ROWS = 2
# With these the gradient of a batch is not the mean of its parts' gradients, and the difference is not noise.
_COUPLING = frozenset({"BatchNormalization", "CutMix", "MixUp"})

Arrays = list[np.ndarray]


class KerasEyes:
    """Looks at one compiled Keras model again and again, on the same rows.

    Args:
        model: built.
        record: where to note what is seen.
        batch: (x, y) of the watch batch, each (rows, ...) or a structure of such arrays; y may be None; None: weights
            alone are watched.
    """

    def __init__(self, model: Any, record: Record, batch: tuple[Any, Any] | None) -> None:
        self.model, self.record, self.batch = model, record, batch
        self.leaves = leaves(model)
        self.start = [_copy(v) for v in model.trainable_variables]
        self._gradient_function: Callable[..., Any] | None = None

    def look(self, epoch: int) -> None:
        """Note the statistics of this moment under an epoch; what fails is noted as a reason."""
        with nothing_random_drawn(self.model):
            seen = self._attempt("the activations", self._activations) or {}
            gradients, parts = self._attempt("the gradients", self._gradients) or ([], [])
            after = (self._attempt("the size of a step", lambda: self._step(gradients)) if gradients else None) or []
        trainable = list(self.model.trainable_variables)
        weights = [_copy(v) for v in trainable]
        position = {id(v): i for i, v in enumerate(trainable)}
        layers: dict[str, dict[str, float]] = {}
        for leaf in self.leaves:
            at = [position[id(v)] for v in leaf.tensors if id(v) in position]
            now = [weights[i] for i in at]
            found = weight_statistics(now)
            if leaf.kernel is not None and now:
                found["twin_share"] = twin_share(_copy(leaf.kernel))
            if gradients:
                found |= gradient_statistics([gradients[i] for i in at])
            if after:
                found |= update_statistics(now, [after[i] for i in at])
            tap = seen.get(leaf.known.name)
            if tap is not None and tap.outputs:
                found |= activation_statistics(
                    tap.outputs, leaf.known.activation, unit_axis=leaf.unit_axis, preactivations=tap.preactivations
                )
            layers[leaf.known.name] = found
        self._put_in_order(seen)
        network = network_statistics(weights, self.start, gradients, after) if trainable else {}
        if parts:
            network["gradient_noise_scale"] = noise_scale(parts, min(self._rows(), GRADIENT_ROWS) // GRADIENT_PARTS)
        self.record.note(epoch, layers, network)

    def _attempt(self, what: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - whatever a person's own layers raise, the curves are still worth it
            self.record.could_not(f"{what} could not be watched: {type(error).__name__}: {_words(error)}")
            return None

    def _put_in_order(self, seen: dict[str, Tap]) -> None:
        """Forward order is the order of the first calls; layers that were not called stand at the end."""
        if self.record.layers and not seen:
            return
        known: dict[str, Leaf] = {leaf.known.name: leaf for leaf in self.leaves}
        called = [known[name].known for name in seen]
        order = [*called, *(leaf.known for leaf in self.leaves if leaf.known.name not in seen)]
        self.record.layers = {layer.name: layer for layer in order}
        self.record.output = output_name(self.model, called or order)

    def _rows(self) -> int:
        import keras

        return len(keras.tree.flatten(self.batch[0])[0]) if self.batch is not None else 0

    def _activations(self) -> dict[str, Tap] | None:
        import keras

        if self.batch is None:
            return None
        with keras.StatelessScope(), taps(self.leaves) as seen:
            self.model(_tensors(self.batch[0]), **_training(self.model, False))
        return seen

    # ------------------------------------------------------------------------------------------------- gradients

    def _gradients(self) -> tuple[Arrays, list[Arrays]] | None:
        """Return the gradient on the watch batch, and on its equal parts."""
        import keras

        if self.batch is None or self.batch[1] is None or not self.model.trainable_variables:
            return None
        size = min(self._rows(), GRADIENT_ROWS) // GRADIENT_PARTS
        used = GRADIENT_PARTS * size or self._rows()
        x, y = keras.tree.map_structure(lambda a: a[:used], self.batch)
        if self._gradient_function is None:
            self._gradient_function = _GRADIENTS[keras.backend.backend()](self.model)
        whole = self._gradient_function(x, y)
        if size < LEAST_ROWS or any(leaf.known.kind in _COUPLING for leaf in self.leaves):
            return whole, []
        cut = [keras.tree.map_structure(lambda a, k=k: a[k * size : (k + 1) * size], (x, y))
               for k in range(GRADIENT_PARTS)]  # fmt: skip
        return whole, [self._gradient_function(*part) for part in cut]

    def _step(self, gradients: Arrays) -> Arrays | None:
        """Return the trainable variables after one step of the optimizer, which is then taken back."""
        import keras

        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if not optimizer.built or getattr(optimizer, "gradient_accumulation_steps", None):
            return None  # not made yet, or a single step moves nothing
        variables = list(self.model.trainable_variables)
        tensors = [keras.ops.convert_to_tensor(g.astype(v.dtype)) for g, v in zip(gradients, variables, strict=True)]
        if keras.backend.backend() == "jax":
            own = [v.value for v in optimizer.variables]
            after, _ = optimizer.stateless_apply(own, tensors, [v.value for v in variables])
            return [np.array(a) for a in after]
        kept = [(v, _copy(v)) for v in (*variables, *optimizer.variables)]
        try:
            with _no_grad():
                optimizer.apply(tensors, variables)
            return [_copy(v) for v in variables]
        finally:
            with _no_grad():
                for variable, value in kept:
                    variable.assign(value)


def _loss(model: Any, trainable: Sequence[Any], fixed: Sequence[Any], metrics: Sequence[Any], x: Any, y: Any) -> Any:
    """Return the loss in training mode at given values of the variables; as Keras' own training on JAX does it."""
    given, _, losses = model.stateless_call(trainable, fixed, x, return_losses=True, **_training(model, True))
    kept = list(model._losses_override)
    try:
        model._losses_override[:] = losses
        loss, _ = model.stateless_compute_loss(
            trainable, fixed, metrics, x=x, y=y, y_pred=given, sample_weight=None, training=True
        )
    finally:
        model._losses_override[:] = kept
    return loss


def _fixed(model: Any) -> tuple[list[Any], list[Any]]:
    return [v.value for v in model.non_trainable_variables], [v.value for v in model.metrics_variables]


def _jax_gradients(model: Any) -> Callable[[Any, Any], Arrays]:
    import jax

    function = jax.jit(jax.grad(lambda trainable, *rest: _loss(model, trainable, *rest)))

    def gradients(x: Any, y: Any) -> Arrays:
        return [np.array(g) for g in function([v.value for v in model.trainable_variables], *_fixed(model), x, y)]

    return gradients


def _tensorflow_gradients(model: Any) -> Callable[[Any, Any], Arrays]:
    tf = importlib.import_module("tensorflow")  # it has no types

    def gradients(x: Any, y: Any) -> Arrays:
        trainable = [tf.convert_to_tensor(v.value) for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            loss = _loss(model, trainable, *_fixed(model), _tensors(x), _tensors(y))
        found = tape.gradient(loss, trainable, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [np.array(tf.convert_to_tensor(g)) for g in found]

    return gradients


def _torch_gradients(model: Any) -> Callable[[Any, Any], Arrays]:
    import torch

    def gradients(x: Any, y: Any) -> Arrays:
        trainable = [v.value.detach().clone().requires_grad_() for v in model.trainable_variables]
        with torch.enable_grad():
            loss = _loss(model, trainable, *_fixed(model), _tensors(x), _tensors(y))
        found = torch.autograd.grad(loss, trainable, allow_unused=True)
        whole = [torch.zeros_like(v) if g is None else g for g, v in zip(found, trainable, strict=True)]
        return [g.detach().float().cpu().numpy().copy() for g in whole]

    return gradients


_GRADIENTS = {"jax": _jax_gradients, "tensorflow": _tensorflow_gradients, "torch": _torch_gradients}


# -------------------------------------------------------------------------------------------------- small helpers


def _words(error: Exception) -> str:
    """Return the line that says what is wrong: not Keras' one that says where, and without its colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception encountered")]
    return (told or lines or [""])[0][:200]


def _copy(variable: Any) -> np.ndarray:
    """Return a variable's value as an array of its own: the backend may reuse the variable's memory."""
    value = variable.numpy()
    return np.array(value, np.float32 if value.dtype.kind not in "fiub" else value.dtype)


def _tensors(structure: Any) -> Any:
    import keras

    return keras.tree.map_structure(keras.ops.convert_to_tensor, structure)


def _training(model: Any, training: bool) -> dict[str, bool]:
    return {"training": training} if getattr(model, "_call_has_training_arg", True) else {}


@contextlib.contextmanager
def _no_grad() -> Iterator[None]:
    import keras

    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


@contextlib.contextmanager
def nothing_random_drawn(model: Any) -> Iterator[None]:
    """Put back the random states outside Keras, and the training flags of PyTorch's modules."""
    import keras

    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's layers may draw there
    with contextlib.ExitStack() as undo:
        if keras.backend.backend() == "torch":
            import torch

            undo.enter_context(torch.random.fork_rng())
            for module in model.modules():
                undo.callback(setattr, module, "training", module.training)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)  # noqa: NPY002
