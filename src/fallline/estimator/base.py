"""What classifier and regressor share: the recipe, the training, pickling and the picture in a notebook."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fallline import recipe as recipes
from fallline.errors import InputError
from fallline.estimator.inputs import check_weight, check_x
from fallline.estimator.notebook import learning_curve
from fallline.types import Diagnosis, Recipe, Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableEstimator"]

# Constructor parameter -> entry of the recipe.
_ENTRIES = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "hidden": "network.hidden",
    "learning_rate": "optimizer.learning_rate",
    "members": "ensemble.members",
    "folds": "split.folds",
}
_LARGEST_SEED = 2**32 - 1


class TableEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of `Classifier` and `Regressor`; see there."""

    run_: Run
    n_iter_: int
    n_outputs_: int

    def __init__(
        self,
        *,
        preset: str = "default",
        recipe: Recipe | None = None,
        overrides: Mapping[str, Any] | Sequence[str] | None = None,
        hidden: Sequence[int] | None = None,
        learning_rate: float | str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        members: int | None = None,
        folds: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.preset = preset
        self.recipe = recipe
        self.overrides = overrides
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.members = members
        self.folds = folds
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------------------------------------- training

    def _check_target(self, y: Any, x: pd.DataFrame) -> tuple[np.ndarray, str]:
        raise NotImplementedError

    def _keep_target(self, y: np.ndarray, kind: str) -> None:
        """Store what is known of the target."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows.

        Args:
            X: inputs (n, p): any frame (pandas, Polars, Arrow) of numbers, categories, booleans and dates, an array, a
                list of rows, or a sparse matrix (densified). NaN and None are missing values.
            y: targets (n,) or (n, k).
            sample_weight: (n,) weights >= 0; rows of weight 0 are left out.

        Returns:
            The estimator itself.

        Raises:
            InputError: what was given, what is allowed, what to do (a ``ValueError``).
        """
        from fallline.data import make_problem
        from fallline.train import train_problem

        recipe = self._recipe()
        frame = check_x(self, X, y, reset=True)
        target, kind = self._check_target(y, frame)
        weight = check_weight(sample_weight, len(frame))
        if weight is not None and not weight.all():
            kept = np.flatnonzero(weight)
            frame, weight = frame.iloc[kept].reset_index(drop=True), weight[kept]
            target, kind = self._check_target(target[kept], frame)
        problem = make_problem(frame, target, kind=kind, sample_weight=weight, allow_constant_target=True)
        run = train_problem(problem, recipe, on_progress=self._progress(), diagnosed=False)
        self.run_ = run
        self.n_iter_ = int(run.facts["stopped_epoch"])
        self.n_outputs_ = 1 if target.ndim == 1 else int(target.shape[1])
        self._keep_target(target, kind)
        if run.outcome == "interrupted":
            # Kept is what was learned; but a grid search around this fit must end, too.
            raise KeyboardInterrupt
        if run.outcome == "diverged":
            warnings.warn(
                "The loss of every network stopped being a finite number: the predictions are worth nothing. "
                "Try a smaller learning_rate; .diagnosis_ says more.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _recipe(self) -> Recipe:
        """Return the recipe that the parameters describe; raise all their mistakes at once."""
        base = recipes.default(self.preset) if self.recipe is None else recipes.check(self.recipe)
        base = replace(base, split=replace(base.split, test=0.0))
        given = [(_ENTRIES[name], getattr(self, name)) for name in _ENTRIES]
        wanted = [*_assignments(self.overrides), *(_assignment(name, v) for name, v in given if v is not None)]
        recipe = recipes.override(base, wanted)
        if recipe.split.test:
            raise InputError(
                f"overrides say split.test = {recipe.split.test:g}, but fit uses all the rows that it is given. "
                "Keep rows back with sklearn.model_selection, or use fl.train."
            )
        return recipe if self.random_state is None else replace(recipe, seed=_seed(self.random_state))

    def _progress(self) -> Any:
        if not isinstance(self.verbose, (int, np.integer)):
            raise InputError(f"verbose = {self.verbose!r} is not allowed: it takes 0 (silent) or 1 (progress).")
        from fallline.train.progress import progress_printer

        return progress_printer(int(self.verbose))

    # ---------------------------------------------------------------------------------------------- predictions

    def _frame(self, X: Any) -> pd.DataFrame:
        """Return the rows with the columns' names of the training."""
        check_is_fitted(self, "run_")
        frame = check_x(self, X, reset=False)
        # scikit-learn has compared the names where both sides have some; else it is the places that count.
        return frame.set_axis(list(self.run_.preparation.input_names), axis=1)

    # ------------------------------------------------------------------------------------------ what was learned

    def _fitted_run(self, attribute: str) -> Run:
        try:
            return self.run_
        except AttributeError:
            raise NotFittedError(f"This {type(self).__name__} has no {attribute} yet: call fit(X, y) first.") from None

    @property
    def model_(self) -> Any:
        """The trained Keras model; it takes the matrix that ``run_.preparation.raw(frame)`` makes."""
        return self._fitted_run("model_").model

    @property
    def history_(self) -> pd.DataFrame:
        """One row per epoch, one column per quantity, mean over the ensemble's members."""
        return self._fitted_run("history_").history

    @property
    def diagnosis_(self) -> Diagnosis:
        """What is wrong with the training, most important first; looked for when first asked."""
        run = self._fitted_run("diagnosis_")
        if self.__dict__.get("_diagnosed") is not run:
            from fallline.diagnose import diagnose

            run = run.with_(diagnosis=diagnose(run))
            self.run_ = self._diagnosed = run  # a run that is saved then has its findings, too
        return run.diagnosis

    # ------------------------------------------------------------------------------------------ pickle, notebook

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_diagnosed", None)
        if "run_" in state and state["run_"].model is not None:
            from fallline.store.model_file import model_bytes

            state["_model_bytes"] = model_bytes(self.run_.model)
            state["run_"] = self.run_.with_(model=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        data = state.pop("_model_bytes", None)
        if data is not None:
            from fallline.store.model_file import load_model_bytes

            state["run_"] = state["run_"].with_(model=load_model_bytes(data, "the pickled estimator"))
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.multi_output = True
        return tags

    def _html_repr(self) -> str:
        html: str = super()._html_repr()
        return html + learning_curve(self.run_) if "run_" in self.__dict__ else html


def _assignment(name: str, value: Any) -> str:
    """Return ``name=value`` as TOML writes it."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, (list, tuple)):
        value = [item.item() if isinstance(item, np.generic) else item for item in value]
    try:
        return f"{name}={json.dumps(value)}"
    except TypeError:
        raise InputError(
            f"{name} is given as {value!r}; it takes a number, a text, a list of them, true or false."
        ) from None


def _assignments(overrides: Any) -> list[str]:
    if overrides is None:
        return []
    if isinstance(overrides, Mapping):
        return [_assignment(str(name), value) for name, value in overrides.items()]
    if isinstance(overrides, str):
        return [overrides]
    if isinstance(overrides, Sequence) and all(isinstance(item, str) for item in overrides):
        return list(overrides)
    raise InputError(
        f"overrides = {overrides!r} is not allowed: it takes a mapping such as {{'network.dropout': 0.2}}, or "
        "a list of texts such as 'network.dropout=0.2'."
    )


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        if not 0 <= random_state <= _LARGEST_SEED:
            raise InputError(
                f"random_state = {random_state} is not allowed: it takes a whole number from 0 to {_LARGEST_SEED}."
            )
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(_LARGEST_SEED))
    try:
        return int(check_random_state(random_state).randint(_LARGEST_SEED, dtype=np.uint32))
    except ValueError:
        raise InputError(
            f"random_state = {random_state!r} is not allowed: it takes None (the recipe's seed), a whole number, a "
            "numpy.random.RandomState or Generator."
        ) from None
