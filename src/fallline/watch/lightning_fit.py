"""A callback that watches a training by Lightning's Trainer."""

from __future__ import annotations

import sys
from typing import Any

from fallline.errors import InputError, is_count, optional
from fallline.rules._from_curves import ALIASES, plain_name
from fallline.types import Diagnosis, Run, Trace
from fallline.watch.torch_loop import TorchWatch, torch

__all__ = ["LightningWatch", "lightning"]


def lightning(*, every: int = 1) -> LightningWatch:
    """Return a callback for ``Trainer(callbacks=[w])`` that watches the training from inside.

    Args:
        every: look inside before the first step and then after every so many epochs. Curves are kept for each.

    Of what the module logs, validation losses and accuracies are kept (``val_loss``, ``valid_acc`` ...); the training
    loss is the mean of what ``training_step`` returns. After (or during) the fit ``w.run``, ``w.trace`` and
    ``w.diagnose()`` say what was seen. See `fallline.watch.torch` for what a look is.

    Raises:
        InputError: ``every`` is no whole number of epochs.
        MissingPackageError: Lightning is not installed.
    """
    if not is_count(every, least=1):
        raise InputError(f"every={every!r} is not allowed: it takes a whole number of epochs, 1 or more.")
    # The same library under two names, whose callbacks are not each other's.
    older = "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules
    module = "pytorch_lightning" if older else "lightning.pytorch"
    base = optional(module, "lightning", "Watching a Lightning training").Callback
    made: LightningWatch = type("LightningWatch", (LightningWatch, base), {"__module__": __name__})(every)
    return made


class LightningWatch:
    """Watches one fit of a Trainer; made by `lightning`, which adds Lightning's own class of callbacks.

    Args:
        every: epochs from look to look.
    """

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every
        self._watch: TorchWatch | None = None

    @property
    def trace(self) -> Trace:
        """What was seen so far."""
        return self._of_fit().trace

    @property
    def run(self) -> Run:
        """The run so far, with its diagnosis."""
        return self._of_fit().run

    def diagnose(self) -> Diagnosis:
        """Return what is wrong with the training so far."""
        return self.run.diagnosis

    def _of_fit(self) -> TorchWatch:
        if self._watch is None:
            raise InputError("Nothing was watched yet: give this callback to a Trainer and call its fit first.")
        return self._watch

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch; of several optimizers the first."""
        if not trainer.optimizers:
            raise InputError("The Trainer has no optimizer, so there is no training to watch.")
        epochs = trainer.max_epochs
        planned = int(epochs) - int(trainer.current_epoch) if epochs is not None and epochs > 0 else None
        self._watch = torch(pl_module, trainer.optimizers[0], every=self._every, epochs=planned).__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *batch: Any) -> None:
        """Note the loss of a step."""
        del trainer, pl_module, batch
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._of_fit().step(loss)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Note the end of an epoch; Lightning validates before it."""
        del pl_module
        logged = {ALIASES.get(plain_name(name), ""): value for name, value in trainer.callback_metrics.items()}
        kept = ("val_loss", "val_accuracy", "accuracy")
        self._of_fit().epoch(**{name: value for name, value in logged.items() if name in kept})

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop watching."""
        del trainer, pl_module
        self._of_fit().__exit__(None, None, None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Stop watching a training that did not come to its end."""
        del trainer, pl_module
        if self._watch is not None:
            self._watch.__exit__(type(exception), exception, None)
