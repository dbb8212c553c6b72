"""A watcher for hand-written PyTorch loops: ``w.step(loss)`` after each step, ``w.epoch(...)`` after each epoch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from fallline.errors import InputError, is_count, optional
from fallline.rules import plain_checked
from fallline.rules._from_curves import ALIASES, plain_name
from fallline.rules._statistics import input_statistics
from fallline.types import Diagnosis, Run, Trace
from fallline.watch.record import Layer, Record
from fallline.watch.statistics import (
    gradient_statistics,
    is_bias,
    network_statistics,
    norm,
    twin_share,
    update_statistics,
    weight_statistics,
)
from fallline.watch.torch_batch import Batch, unchanged
from fallline.watch.torch_layers import ACTIVATIONS, WHO, array, leaf_modules, own_parameters, seen_in_call

__all__ = ["TorchWatch", "torch"]


def torch(model: Any, optimizer: Any, *, every: int = 1, epochs: int | None = None) -> TorchWatch:
    """Return a watcher for a hand-written PyTorch loop, to be used by ``with``.

    Args:
        model: a `torch.nn.Module`.
        optimizer: the `torch.optim.Optimizer` that trains it.
        every: look inside before the first step and then after every so many epochs. Curves are kept for each.
        epochs: how many are planned; with it a training that was stopped early is told from one that came to its end.

    The look of an epoch shows weights and activations at its end (evaluation mode, on up to 256 rows caught from the
    first batches), and the gradient and the size of the step that follows; after the last epoch the last step's
    gradient. Nothing that is watched is changed. After the block (or within it) ``w.run``, ``w.trace`` and
    ``w.diagnose()`` say what was seen; `fallline.diagnose` takes ``w``, too.

    Raises:
        InputError: an argument is wrong.
        MissingPackageError: PyTorch is not installed.
    """
    library = optional("torch", "torch", WHO)
    if not isinstance(model, library.nn.Module):
        raise InputError(f"model is a {type(model).__name__}; fl.watch.torch takes a torch.nn.Module.")
    if not isinstance(optimizer, library.optim.Optimizer):
        raise InputError(f"optimizer is a {type(optimizer).__name__}; fl.watch.torch takes a torch.optim.Optimizer.")
    for name, value in (("every", every), ("epochs", 1 if epochs is None else epochs)):
        if not is_count(value, least=1):
            raise InputError(f"{name}={value!r} is not allowed: it takes a whole number of epochs, 1 or more.")
    return TorchWatch(model, optimizer, int(every), epochs)


class TorchWatch:
    """Watches one PyTorch training; made by `torch`.

    Args:
        model: the module.
        optimizer: what trains it.
        every: epochs from look to look.
        planned: epochs planned, None when unknown.
    """

    def __init__(self, model: Any, optimizer: Any, every: int, planned: int | None) -> None:
        self.model, self.optimizer = model, optimizer
        self._torch = optional("torch", "torch", WHO)
        self._every, self._planned = every, planned
        self._record, self._batch = Record(), Batch()
        self._losses: list[Any] = []
        self._rate = float("nan")
        self._first_rate = float(optimizer.param_groups[0]["lr"])
        self._steps = 0
        self._due: int | None = 0  # the look whose gradient and step are still to come
        self._before: dict[str, np.ndarray] = {}  # the weights before the step of that look
        self._gradients: dict[str, np.ndarray] = {}
        self._start: dict[str, Any] = {}  # parameters and buffers before the first step
        self._looked = False
        self._open, self._ended = False, False
        self._began = time.perf_counter()
        self._catching, self._undo = contextlib.ExitStack(), contextlib.ExitStack()

    # ---------------------------------------------------------------------------------------- what a person asks

    @property
    def trace(self) -> Trace:
        """What was seen so far."""
        return self._record.trace()

    @property
    def run(self) -> Run:
        """The run so far, with its diagnosis. It holds no model: that is yours, and no Keras model."""
        count = sum(p.numel() for p in self.model.parameters() if not _unmade(p))
        facts: dict[str, Any] = {"name": type(self.model).__name__, "parameters": count}
        facts |= {"seconds": time.perf_counter() - self._began, "checked": plain_checked(self._known())}
        return self._record.run(model=None, planned=self._planned, ended=self._ended, facts=facts)

    def diagnose(self) -> Diagnosis:
        """Return what is wrong with the training so far."""
        return self.run.diagnosis

    # -------------------------------------------------------------------------------------------- what a loop calls

    def __enter__(self) -> Self:
        """Begin to watch."""
        if self._open or self._ended:
            raise InputError("This watcher was used before. Make a new one by fl.watch.torch(model, optimizer).")
        self._open, self._began = True, time.perf_counter()
        for module in self.model.modules():
            self._catching.callback(module.register_forward_pre_hook(self._caught, with_kwargs=True).remove)
        self._undo.callback(self._catching.close)
        self._undo.callback(self.optimizer.register_step_pre_hook(self._before_step).remove)
        self._undo.callback(self.optimizer.register_step_post_hook(self._after_step).remove)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Stop watching; steps since the last epoch count as one."""
        if self._losses:
            self.epoch()
        self._undo.close()
        self._open, self._ended = False, kind is None
        self._close_look()

    def step(self, loss: Any) -> None:
        """Note the loss of one step; to be called after ``loss.backward()`` and ``optimizer.step()``.

        Args:
            loss: a tensor with one value, or a number.
        """
        self._require_open()
        # Reading a value off an accelerator would make it wait: that is done once an epoch.
        self._losses.append(loss.detach() if getattr(loss, "ndim", 1) == 0 else _number(loss, "loss"))

    def epoch(self, **curves: Any) -> None:
        """Note the end of an epoch.

        Args:
            curves: further figures, e.g. ``val_loss=0.4, val_accuracy=0.8``; ``loss`` is the training loss in
                evaluation mode, if you have it. The mean of the losses given to `step` is kept anyway.
        """
        self._require_open()
        seen = {ALIASES.get(plain_name(name), name): _number(value, name) for name, value in curves.items()}
        if self._losses:
            with np.errstate(invalid="ignore"):  # what diverged may hold both infinities
                seen["running_loss"] = float(np.mean([float(loss) for loss in self._losses]))
            self._losses = []
        if not np.isnan(self._rate):
            seen.setdefault("learning_rate", self._rate)
        if not self._looked:
            self._look(0, self._start)
        self._record.end_epoch(seen)
        if self._record.n_epochs % self._every == 0:
            self._close_look()
            self._due = self._record.n_epochs
            self._look(self._due)

    def _known(self) -> dict[str, Any]:
        """Return what the rules ask of the optimizer and the inputs."""
        found: dict[str, Any] = {
            "optimizer_name": type(self.optimizer).__name__.lower(),
            "first_rate": self._first_rate,
        }
        found["momentum"] = float(self.optimizer.param_groups[0].get("momentum") or 0.0)
        if self._steps:
            found["total_steps"] = self._steps
        if self._batch.calls:
            found["batch_size"] = self._batch.first_rows
            _, args, _ = self._batch.whole(self._torch)
            x = args[0] if args else None
            if x is not None and getattr(x, "ndim", 0) == 2 and x.is_floating_point():
                found |= input_statistics(array(x))
        return found

    # ------------------------------------------------------------------------------------------------- the hooks

    def _require_open(self) -> None:
        if not self._open:
            raise InputError("step and epoch are called within `with fl.watch.torch(model, optimizer) as w:`.")

    def _caught(self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Catch the rows of the watch batch, and the initial weights, from the outermost module that is called."""
        if not self._torch.is_grad_enabled():
            return
        self._note_start()
        self._batch.add(module, args, kwargs)
        if self._batch.full:
            self._catching.close()

    def _note_start(self) -> None:
        if not self._start and not any(_unmade(p) for p in self.model.parameters()):
            named = (*self.model.named_parameters(), *self.model.named_buffers())
            self._start = {name: tensor.detach().clone() for name, tensor in named}

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._rate = float(optimizer.param_groups[0]["lr"])
        self._steps += 1
        self._note_start()
        if self._due is None:
            return
        self._before = self._weights()
        # Where a closure is given (L-BFGS, Lightning) the gradient is only computed within the step.
        if not any(callable(one) for one in (*args[1:], *kwargs.values())):
            self._gradients = self._note_gradients(self._due)

    def _after_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        del optimizer, args, kwargs
        if self._due is None or not self._before:
            return
        gradients = self._gradients or self._note_gradients(self._due)
        start, after = self._start_weights(), self._weights()
        now = [self._before[name] for name in after]
        first = [start.get(name, self._before[name]) for name in after]
        network = network_statistics(now, first, list(gradients.values()), list(after.values()))
        layers = {
            layer: update_statistics([self._before[n] for n in names], [after[n] for n in names])
            for layer, names in self._layout(biases=False).items()
        }
        self._record.note(self._due, layers, network)
        self._due, self._before, self._gradients = None, {}, {}

    # --------------------------------------------------------------------------------------------------- a look

    def _layout(self, *, biases: bool) -> dict[str, list[str]]:
        """Return layer -> the names, in the whole model, of the trainable parameters that it holds itself."""
        names = {id(p): name for name, p in self.model.named_parameters() if not _unmade(p)}
        own = {layer: own_parameters(module) for layer, module in leaf_modules(self.model).items()}
        return {
            layer: [names[id(p)] for one, p in held.items() if id(p) in names and (biases or not is_bias(one))]
            for layer, held in own.items()
        }

    def _weights(self) -> dict[str, np.ndarray]:
        return {name: array(p) for name, p in self.model.named_parameters() if p.requires_grad and not _unmade(p)}

    def _start_weights(self) -> dict[str, np.ndarray]:
        return {name: array(tensor) for name, tensor in self._start.items()}

    def _note_gradients(self, epoch: int) -> dict[str, np.ndarray]:
        """Note the gradients that stand in the parameters, and return them by the parameters' names."""
        found = {
            name: array(p.grad) for name, p in self.model.named_parameters() if p.requires_grad and p.grad is not None
        }
        if found:
            layout = self._layout(biases=False)
            layers = {
                one: gradient_statistics([found[n] for n in names if n in found]) for one, names in layout.items()
            }
            self._record.note(epoch, layers, {"gradient_norm": norm(list(found.values()))})
        return found

    def _close_look(self) -> None:
        """No step followed the last look: the gradient of the step before it is the nearest there is."""
        if self._due is not None and self._looked:
            self._note_gradients(self._due)
        self._due, self._gradients = None, {}

    def _look(self, epoch: int, at: Mapping[str, Any] | None = None) -> None:
        """Note weights and activations under an epoch.

        Args:
            epoch: completed epochs.
            at: parameters and buffers to look at instead of those the model has now.
        """
        self._looked = True
        values = {name: array(t) for name, t in at.items()} if at else self._weights()
        start, modules = self._start_weights(), leaf_modules(self.model)
        layers: dict[str, dict[str, float]] = {}
        for name, own in self._layout(biases=False).items():
            weights = [values[one] for one in own]
            layers[name] = weight_statistics(weights)
            kernel = next((weight for weight in weights if weight.ndim > 1), None)
            if kernel is not None:
                layers[name]["twin_share"] = twin_share(kernel, _kernel_axis(type(modules[name]).__name__))
        order, seen = self._activations(at)
        for name, statistics in seen.items():
            layers.setdefault(name, {}).update(statistics)
        self._put_in_order(order)
        trained = [name for names in self._layout(biases=True).values() for name in names]
        first = [start.get(name, values[name]) for name in trained]
        self._record.note(epoch, layers, network_statistics([values[name] for name in trained], first))

    def _put_in_order(self, order: list[Layer]) -> None:
        """Forward order is the order of the first calls; modules that were not called stand at the end."""
        known = {layer.name: layer for layer in order} or dict(self._record.layers)
        for name, module in leaf_modules(self.model).items():
            kind = type(module).__name__
            known.setdefault(name, Layer(name, kind, ACTIVATIONS.get(kind, "")))
        self._record.layers = known | {n: one for n, one in self._record.layers.items() if n not in known}
        called = [layer.name for layer in order if not layer.kind.startswith(("Dropout", "Flatten", "Identity"))]
        if called:
            self._record.output = called[-1]

    def _activations(self, at: Mapping[str, Any] | None) -> tuple[list[Layer], dict[str, dict[str, float]]]:
        """Call the model in evaluation mode on the watch batch; a model that cannot be called so has none."""
        if not self._batch.calls:
            self._record.could_not("activations were not watched: the model was not called in training mode")
            return [], {}
        module, args, kwargs = self._batch.whole(self._torch)
        try:
            with unchanged(self._torch, self.model):
                return seen_in_call(self.model, lambda: self._call(module, args, kwargs, at))
        except Exception as error:  # noqa: BLE001 - whatever a person's own modules raise, the curves are still worth it
            first = (str(error).strip().splitlines() or [""])[0][:200]
            self._record.could_not(f"the activations could not be watched: {type(error).__name__}: {first}")
            return [], {}

    def _call(self, module: Any, args: Any, kwargs: Any, at: Mapping[str, Any] | None) -> None:
        if not at:
            module(*args, **kwargs)
            return
        prefix = next(name for name, one in self.model.named_modules() if one is module)
        cut = len(prefix) + 1 if prefix else 0
        inner = {name[cut:]: t.clone() for name, t in at.items() if name.startswith(f"{prefix}." if prefix else "")}
        self._torch.func.functional_call(module, inner, args, kwargs)


def _kernel_axis(kind: str) -> int:
    """Return the axis of a weight along which the units stand."""
    return 1 if "Transpose" in kind else -1 if "Embedding" in kind else 0


def _number(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{what} is {type(value).__name__} and not one number. Give a number or a tensor with one."
        ) from None


def _unmade(parameter: Any) -> bool:
    """True for a parameter of a lazy module that was not called yet."""
    return "Uninitialized" in type(parameter).__name__
