"""Scores, progress, and the run itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline.types.diagnosis import Diagnosis
from fallline.types.final import FinalModel
from fallline.types.problem import Summary
from fallline.types.recipe import Recipe
from fallline.types.trace import Trace
from fallline.types.verbs import Reported, verb

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["Deferred", "HeldOut", "Outcome", "Progress", "Run", "Score"]


@dataclass(frozen=True)
class Score:
    """One figure of merit on named rows, with its uncertainty.

    Args:
        metric: ``log_loss``, ``accuracy``, ``auc``, ``rmse``, ``mae``, ``r2``.
        value: the figure.
        low: lower end of the 95 % interval (bootstrap over rows), NaN when not computed.
        high: upper end.
        rows: on which rows: ``test`` (untouched), ``out_of_fold`` or ``validation``.
        n: how many rows.
        who: ``model`` or the baseline's name (``dummy``, ``linear``).
        higher_is_better: direction.
    """

    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    rows: str = "test"
    n: int = 0
    who: str = "model"
    higher_is_better: bool = False


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Targets and predictions on the rows that the scores were computed on (for calibration, confusion, residuals).

    Args:
        y: encoded targets as in `Problem.y`, for these rows.
        prediction: regression (n,) or (n, k) in the target's units; binary (n,) probability of class 1; multiclass
            (n, classes) probabilities; multilabel (n, k) probabilities.
        rows: ``test`` or ``out_of_fold``.
        index: (n,) int64, which rows of the problem; None where that is not known.
    """

    y: np.ndarray
    prediction: np.ndarray
    rows: str = "test"
    index: np.ndarray | None = None


Outcome = Literal["completed", "stopped_early", "diverged", "interrupted"]


@dataclass(frozen=True)
class Progress:
    """An event during training, for progress displays and stop requests.

    Args:
        epoch: epochs completed by the population.
        epochs: the most it will run.
        loss: mean training loss of the members still training.
        val_loss: the same on validation rows; NaN without validation.
        active: members still training.
        members: members in all.
        seconds: since the training began.
        phase: ``prepare``, ``compile``, ``train``, ``score``, ``save``.
        curves: quantity -> its mean over the members still training, one value for each epoch since the last event,
            the last for ``epoch``; NaN where fewer than half of the members have a value.
    """

    epoch: int
    epochs: int
    loss: float = math.nan
    val_loss: float = math.nan
    active: int = 1
    members: int = 1
    seconds: float = 0.0
    phase: str = "train"
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Deferred:
    """A model that is built when somebody asks for it: of a thousand runs few are ever used.

    Args:
        build: () -> the Keras model; called once.
    """

    build: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Run(Reported):
    """One finished (or interrupted) training and everything known about it.

    Args:
        model: the trained Keras model, or a `Deferred` one, built when ``run.model`` is first read. For runs made from
            tables it takes the raw matrix that ``preparation.raw(frame)`` makes and returns probabilities or quantities
            in the target's units.
        trace: what was seen.
        outcome: how it ended.
        recipe: the resolved recipe; None when a Keras model was trained with its own settings.
        diagnosis: findings.
        scores: the model's scores, then the baselines' on the same rows.
        held_out: targets and predictions behind the scores.
        summary: the data summary, for runs made from tables.
        preparation: fitted `fallline.data.Preparation`, for runs made from tables; else None.
        facts: plain JSON-able facts: ``name``, ``kind``, ``target_names``, ``classes``, ``n_rows``, ``notes``,
            ``source``, ``fingerprint``, ``seconds``, ``members`` (per-member outcome, best epoch, best val_loss),
            ``stopped_epoch``, ``best_epoch``, ``loss``, ``metrics``, ``temperature``, ``parameters``.
        environment: versions, machine, seed, time: plain JSON-able.
        final: the model loaded again from its file, and which columns it relies on; None: that was not looked at.
        story: a `fallline.types.Story`: the experiments behind it; None: none were run.
    """

    model: Any
    trace: Trace
    outcome: Outcome
    recipe: Recipe | None = None
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    scores: tuple[Score, ...] = ()
    held_out: HeldOut | None = None
    summary: Summary | None = None
    preparation: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    final: FinalModel | None = None
    story: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.model, Deferred):
            object.__setattr__(self, "_deferred", self.model)
            object.__delattr__(self, "model")

    def __getattr__(self, name: str) -> Any:
        # Only asked for what an instance does not have: a model that is still to be built.
        deferred = self.__dict__.get("_deferred")
        if name != "model" or deferred is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, "model", deferred.build())
        return self.__dict__["model"]

    def __str__(self) -> str:
        return "\n".join(_told(self))

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch, one column per quantity (mean over members), index ``epoch`` from 1."""
        import pandas as pd

        curves = {name: self.trace.curve(name) for name in self.trace.quantities}
        length = max((len(curve) for curve in curves.values()), default=0)
        padded = {name: np.pad(c, (0, length - len(c)), constant_values=np.nan) for name, c in curves.items()}
        return pd.DataFrame(padded, index=pd.RangeIndex(1, length + 1, name="epoch"))

    def predict(self, x: Any) -> np.ndarray:
        """Predict for new rows: quantities in the target's units, or class labels."""
        found: np.ndarray = verb("fallline.train:predict")(self, x)
        return found

    def predict_proba(self, x: Any) -> np.ndarray:
        """Predict class probabilities, shape (n, classes), or (n, k) per label for multi-label problems."""
        found: np.ndarray = verb("fallline.train:predict_proba")(self, x)
        return found

    def save(self, path: Any, *, overwrite: bool = False) -> Any:
        """Write the run folder; refuse to replace an existing one unless asked."""
        return verb("fallline.store:save_run")(self, path, overwrite=overwrite)

    def export_onnx(self, path: Any, *, overwrite: bool = False) -> Any:
        """Write the model as ONNX; needs the extra ``onnx``."""
        return verb("fallline.store.onnx_file:write_onnx")(self, path, overwrite=overwrite)

    def to_mlflow(
        self, *, experiment: str = "fallline", name: str | None = None, tracking_uri: str | None = None
    ) -> str:
        """Log recipe, curves, scores, findings and files to MLflow; return its run's id; needs the extra ``mlflow``."""
        log = verb("fallline.store.mlflow_log:log_mlflow")
        found: str = log(self, experiment=experiment, name=name, tracking_uri=tracking_uri)
        return found

    def diagnose(self) -> Diagnosis:
        """Return what is wrong with this training, as the rules of today see it."""
        found: Diagnosis = verb("fallline.diagnose:diagnose")(self)
        return found

    def plot(self, quantity: str = "loss", ax: Any = None, *, findings: bool = True) -> Any:
        """Draw the learning curves of one quantity, with the findings where they show; return Matplotlib's axes."""
        return verb("fallline.plot:plot_run")(self, quantity, ax, findings=findings)

    def with_(self, **changes: Any) -> Run:
        """Return the same run with some fields replaced."""
        if "model" not in changes and "model" not in self.__dict__:
            changes["model"] = self.__dict__["_deferred"]  # not built for this
        return replace(self, **changes)


def _told(run: Run) -> Iterator[str]:
    """Yield a run in a few lines: how it ended, how far its seeds lie apart, its scores, its findings."""
    facts = run.facts
    members = facts.get("members") or ()
    networks = f"{len(members)} networks" if len(members) > 1 else "one network"
    best = f", the best was {facts['best_epoch']}" if facts.get("best_epoch") else ""
    yield f"{run.outcome.replace('_', ' ')} after {run.trace.n_epochs} epochs{best}; {networks}"
    spread = facts.get("seed_spread") or {}
    if spread.get("sd") is not None:
        yield (
            f"validation loss over {spread['members']} seeds: {spread['mean']:.4g}, standard deviation "
            f"{spread['sd']:.2g}, from {spread['min']:.4g} to {spread['max']:.4g}"
        )
    elif len(members) == 1:
        yield "one seed: how far seeds lie apart is not known"
    found = facts.get("learning_rate_found")
    if found:
        yield (
            f"learning rate {found['suggestion']:.2g}, found by a range test of {found['networks']} networks: "
            f"{found['lowest']:.2g} to {found['highest']:.2g}"
        )
    for metric in dict.fromkeys(score.metric for score in run.scores):
        same = [score for score in run.scores if score.metric == metric]
        yield f"{metric} on {same[0].n} {same[0].rows.replace('_', ' ')} rows: " + ", ".join(map(_scored, same))
    yield str(run.diagnosis)


def _scored(score: Score) -> str:
    between = f" [{score.low:.4g}, {score.high:.4g}]" if math.isfinite(score.low) else ""
    return f"{score.who} {score.value:.4g}{between}"
