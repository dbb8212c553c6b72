"""The main job: a problem and a recipe become a trained ensemble, its scores, its trace and its diagnosis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from fallline import recipe as recipes
from fallline.data import Preparation, fold_rows, split_rows, summarise
from fallline.engine import DIVERGED, STOPPED, configure
from fallline.errors import DataError
from fallline.recipe.resolve import resolve
from fallline.train.loop import Checkpoint, Fitted, Member, OnProgress, Plan, fit_population
from fallline.train.losses import loss_name
from fallline.train.table_task import ProgramKey, TableProgram, table_program
from fallline.train.trace import trace_of
from fallline.types import HeldOut, Outcome, Problem, Progress, Recipe, Run, Score

__all__ = ["train_problem"]

# Numbers of the optimizer that are traced: recipes that differ in them alone share one compiled program.
_NUMBERS = ("learning_rate", "momentum", "beta_1", "beta_2", "weight_decay", "l2", "l1", "clip_norm")
# Temperatures tried by the calibration: e^-1 .. e^1.5; below or above, a network is not miscalibrated but broken.
_TEMPERATURES = np.exp(np.linspace(-1.0, 1.5, 126))
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True, eq=False)
class Prepared:
    """A problem ready for the engine.

    Args:
        recipe: resolved.
        preparation: fitted on the training rows.
        features: (n, d) float32, all rows.
        targets: (n,) or (n, k): standardised float32, or int32 labels.
        weight: (n,) float32, mean 1 over the training rows.
        train_rows: rows for training and validation.
        test_rows: untouched rows.
        members: seeds and rows of the population.
    """

    recipe: Recipe
    preparation: Preparation
    features: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    members: tuple[Member, ...]


def _weights(problem: Problem, rows: np.ndarray, balanced: bool) -> np.ndarray:
    weight = np.ones(problem.n_rows) if problem.sample_weight is None else np.asarray(problem.sample_weight, float).copy()
    if balanced and problem.kind in ("binary", "multiclass"):
        counts = np.bincount(problem.y[rows], minlength=len(problem.classes))
        weight *= (len(rows) / (len(counts) * np.maximum(counts, 1)))[problem.y]
    return (weight / max(weight[rows].mean(), 1e-12)).astype(np.float32)


def _member_seed(seed: int, index: int) -> int:
    """A member's seed depends on the recipe's seed and its own place alone, not on the size of the population."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def _folds(problem: Problem, recipe: Recipe, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """One (train, validation) pair per member; a new partition for every round of folds."""
    wanted, folds = int(recipe.ensemble.members), int(recipe.split.folds)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    while len(pairs) < wanted:
        # One validation set for all members, when there is one fold: they differ in their weights alone.
        shift = 0 if folds == 1 else len(pairs) // folds
        pairs += fold_rows(problem, rows, recipe.split, folds, recipe.seed + shift)
    return pairs[:wanted]


def prepare(problem: Problem, recipe: Recipe) -> Prepared:
    """Split, fit the preparation on training rows, and resolve the recipe."""
    recipe = recipes.check(recipe)
    train_rows, test_rows = split_rows(problem, recipe.split, recipe.seed)
    preparation = Preparation.fit(problem, train_rows, recipe.prepare)
    features = preparation.features(preparation.raw(problem.frame))
    if features.shape[1] == 0:
        raise DataError("No column is left to learn from: every input column is constant, empty, or left out. Give columns that vary.")
    recipe = resolve(recipe, kind=problem.kind, n_rows=len(train_rows), n_features=features.shape[1], n_outputs=problem.n_outputs)
    if problem.is_classification:
        targets = problem.y.astype(np.int32)
    else:
        targets = ((problem.y - _row(preparation.target_center, problem)) / _row(preparation.target_scale, problem)).astype(np.float32)
    o = recipe.optimizer
    numbers = {name: float(getattr(o, name)) for name in _NUMBERS}
    members = tuple(
        Member(_member_seed(recipe.seed, i), train, val, numbers)
        for i, (train, val) in enumerate(_folds(problem, recipe, train_rows))
    )
    weight = _weights(problem, train_rows, recipe.training.class_weight == "balanced")
    return Prepared(recipe, preparation, features, targets, weight, train_rows, test_rows, members)


def _row(values: Any, problem: Problem) -> Any:
    values = np.asarray(values, float)
    return values[0] if problem.y.ndim == 1 else values


def _program(prepared: Prepared, problem: Problem) -> TableProgram:
    recipe = prepared.recipe
    # What is traced or irrelevant to the program is neutral in its key, so that it does not compile again.
    optimizer = replace(recipe.optimizer, learning_rate=1.0, momentum=0.5, beta_1=0.5, beta_2=0.5, weight_decay=0.0, warmup=0.0, schedule="constant",
                        l1=float(recipe.optimizer.l1 > 0), l2=float(recipe.optimizer.l2 > 0), clip_norm=float(recipe.optimizer.clip_norm > 0))
    training = replace(recipe.training, epochs=1, batch_size=1, shuffle=True, class_weight="none")
    static = replace(Recipe(), network=recipe.network, optimizer=optimizer, training=training, stopping=recipe.stopping)
    return table_program(ProgramKey(static, problem.kind, prepared.features.shape[1], prepared.preparation.n_numeric, problem.n_outputs,
                                    len(prepared.members), True))


def _begin(program: TableProgram, members: tuple[Member, ...]) -> tuple[Any, Any, Any]:
    """Initial weights and optimizer state, members in the leading axis."""
    drawn = [program.network.initial(m.seed) for m in members]
    params = [np.stack(values) for values in zip(*(d[0] for d in drawn), strict=True)]
    aux = [np.stack(values) for values in zip(*(d[1] for d in drawn), strict=True)]
    one = program.optimizer.init([jax.numpy.asarray(p[0]) for p in params])
    optimizer = jax.tree.map(lambda a: np.repeat(np.asarray(a)[None], len(members), axis=0), one)
    return params, aux, optimizer


def _probabilities(kind: str, out: np.ndarray) -> np.ndarray:
    """Raw outputs (p, n, k) -> probabilities (p, n, k); binary: of class 1."""
    out = out.astype(np.float64)
    if kind == "multiclass":
        e = np.exp(out - out.max(axis=-1, keepdims=True))
        found: np.ndarray = e / e.sum(axis=-1, keepdims=True)
        return found
    return 1.0 / (1.0 + np.exp(-out))


def _out_of_fold(values: np.ndarray, members: tuple[Member, ...], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Average, for each row, the members that did not train on it; return (rows, (len(rows), k))."""
    total, count = np.zeros((n, values.shape[-1])), np.zeros(n)
    for i, m in enumerate(members):
        total[m.val_rows] += values[i, m.val_rows]
        count[m.val_rows] += 1
    rows = np.flatnonzero(count)
    return rows, total[rows] / count[rows, None]


def tempered(p: np.ndarray, temperature: float, multiclass: bool) -> np.ndarray:
    """p^(1/T), normalised over classes, or against 1 - p."""
    p = np.clip(p, 1e-12, 1.0)
    a = p ** (1.0 / temperature)
    total = a.sum(axis=-1, keepdims=True) if multiclass else a + np.clip(1.0 - p, 1e-12, 1.0) ** (1.0 / temperature)
    found: np.ndarray = a / total
    return found


def _temperature(p: np.ndarray, y: np.ndarray, weight: np.ndarray, multiclass: bool) -> float:
    """The temperature of least log-loss on rows that the predicting members were not trained on (Guo et al., arXiv 1706.04599)."""

    def loss(t: float) -> float:
        q = np.clip(tempered(p, t, multiclass), 1e-12, 1.0 - 1e-12)
        if multiclass:
            rows = -np.log(q[np.arange(len(y)), y])
        else:
            target = y.reshape(q.shape)
            rows = -(target * np.log(q) + (1 - target) * np.log1p(-q)).mean(axis=-1)
        return float(np.average(rows, weights=weight))

    return float(_TEMPERATURES[np.argmin([loss(t) for t in _TEMPERATURES])])


def train_problem(problem: Problem, recipe: Recipe, *, on_progress: OnProgress | None = None, checkpoint: Checkpoint | None = None,
                  resume: tuple[Mapping[str, np.ndarray], Mapping[str, Any]] | None = None, diagnosed: bool = True) -> Run:
    """Train the recipe's ensemble on a problem.

    Args:
        problem: from `fallline.data.make_problem`.
        recipe: entries that say "auto" are resolved by the problem's size and kind.
        on_progress: called between chunks of epochs; returning True ends the training there.
        checkpoint: called every few seconds with (arrays, meta); giving both back as ``resume`` continues bit for bit.
        resume: see ``checkpoint``.
        diagnosed: look for symptoms, score against baselines and summarise the data; False spares that time.

    Returns:
        the run; its outcome is ``interrupted`` when a stop was asked for.

    Raises:
        RecipeError: every mistake of the recipe at once.
        DataError: no usable column, too few rows for the folds.
    """
    configure()
    began = time.perf_counter()
    say: Callable[[str], object] = (lambda phase: on_progress(Progress(0, 0, phase=phase))) if on_progress else (lambda phase: None)
    say("prepare")
    prepared = prepare(problem, recipe)
    recipe = prepared.recipe
    program = _program(prepared, problem)
    plan = Plan(int(recipe.training.epochs), int(recipe.training.batch_size), shuffle=recipe.training.shuffle, schedule=recipe.optimizer.schedule,
                warmup=recipe.optimizer.warmup)
    data = (prepared.features, prepared.targets, prepared.weight)
    fitted = fit_population(program.population, prepared.members, plan, data, *_begin(program, prepared.members), on_progress=on_progress,
                            checkpoint=checkpoint, resume=resume)
    say("score")
    run = _finish(problem, prepared, program, fitted, scored=diagnosed)
    facts = {**run.facts, "total_seconds": time.perf_counter() - began}
    run = run.with_(facts=facts, summary=summarise(problem) if diagnosed else None)
    if diagnosed:
        from fallline.diagnose import diagnose

        run = run.with_(diagnosis=diagnose(run))
    return run


def _alive(fitted: Fitted) -> np.ndarray:
    """Members that can predict: all that have finite weights worth keeping."""
    outcome, best = np.asarray(fitted.state.outcome), np.asarray(fitted.state.best_epoch)
    return np.flatnonzero((outcome != DIVERGED) | (best > 0))


def _outcome(fitted: Fitted) -> Outcome:
    codes = np.asarray(fitted.state.outcome)
    if fitted.interrupted:
        return "interrupted"
    if (codes == DIVERGED).all():
        return "diverged"
    return "stopped_early" if (codes == STOPPED).any() else "completed"


def _finish(problem: Problem, prepared: Prepared, program: TableProgram, fitted: Fitted, *, scored: bool) -> Run:
    from fallline.network.export import Finish, export_model

    recipe, members, state = prepared.recipe, prepared.members, fitted.state
    # Before the first improvement (an interruption in the first epoch) the best weights are the initial ones.
    restored = recipe.stopping.restore_best
    params, aux = (state.best_params, state.best_aux) if restored else (state.params, state.aux)
    alive = _alive(fitted)
    chosen = alive if len(alive) else np.arange(len(members))
    params, aux = [np.asarray(p)[chosen] for p in params], [np.asarray(a)[chosen] for a in aux]
    used = tuple(members[i] for i in chosen)
    temperature, oof_rows, oof = _calibrate(problem, prepared, program, params, aux, used)
    regression = not problem.is_classification
    train_y = problem.y[prepared.train_rows]
    finish = Finish(
        problem.kind, temperature,
        center=np.atleast_1d(prepared.preparation.target_center) if regression else None,
        scale=np.atleast_1d(prepared.preparation.target_scale) if regression else None,
        low=np.atleast_1d(train_y.min(axis=0)) if regression and recipe.prepare.clip_target else None,
        high=np.atleast_1d(train_y.max(axis=0)) if regression and recipe.prepare.clip_target else None,
    )
    raw = prepared.preparation.raw(problem.frame)
    model = export_model(program.network, params, aux, prepared.preparation, raw.shape[1], finish)
    scores: tuple[Score, ...] = ()
    held: HeldOut | None = None
    if scored and not (len(alive) == 0 and fitted.seen.shape[1]):
        scores, held = _score(problem, prepared, model, raw, oof_rows, oof)
    run = Run(model=model, trace=trace_of(fitted, prepared), outcome=_outcome(fitted), recipe=recipe, scores=scores, held_out=held,
              preparation=prepared.preparation)
    return run.with_(facts=_facts(problem, prepared, program, fitted, temperature, used))


def _calibrate(problem: Problem, prepared: Prepared, program: TableProgram, params: Any, aux: Any,
               members: tuple[Member, ...]) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (temperature, rows, predictions on rows whose members were not trained on them, in the target's units)."""
    out = np.asarray(program.outputs(params, aux, prepared.features[prepared.train_rows]))
    place = np.full(problem.n_rows, -1)
    place[prepared.train_rows] = np.arange(len(prepared.train_rows))
    local = tuple(replace(m, val_rows=place[m.val_rows]) for m in members)
    if problem.is_classification:
        rows, p = _out_of_fold(_probabilities(problem.kind, out), local, len(prepared.train_rows))
        rows = prepared.train_rows[rows]
        if not prepared.recipe.ensemble.calibrate or not np.isfinite(p).all():
            return 1.0, rows, p
        multiclass = problem.kind == "multiclass"
        temperature = _temperature(p, problem.y[rows], prepared.weight[rows], multiclass)
        return temperature, rows, tempered(p, temperature, multiclass)
    rows, z = _out_of_fold(out.astype(np.float64), local, len(prepared.train_rows))
    units = z * np.atleast_1d(prepared.preparation.target_scale) + np.atleast_1d(prepared.preparation.target_center)
    return 1.0, prepared.train_rows[rows], units


def _score(problem: Problem, prepared: Prepared, model: Any, raw: np.ndarray, oof_rows: np.ndarray,
           oof: np.ndarray) -> tuple[tuple[Score, ...], HeldOut]:
    """Score on untouched rows; without any, on each row by the members that were not trained on it."""
    from fallline.score import baselines, score
    from fallline.train.prediction import apply_model

    rows, name = (prepared.test_rows, "test") if len(prepared.test_rows) else (oof_rows, "out_of_fold")
    prediction = apply_model(model, raw[rows]) if name == "test" else oof
    if prediction.ndim == 2 and prediction.shape[1] == 1 and problem.y.ndim == 1:
        prediction = prediction[:, 0]
    y = problem.y[rows]
    scores = score(problem.kind, y, prediction, rows=name, seed=_BOOTSTRAP_SEED)
    if name == "test":
        scores += baselines(problem, prepared.features, prepared.train_rows, rows, seed=_BOOTSTRAP_SEED)
    return scores, HeldOut(y, prediction, name)


def _facts(problem: Problem, prepared: Prepared, program: TableProgram, fitted: Fitted, temperature: float,
           used: tuple[Member, ...]) -> dict[str, Any]:
    state = fitted.state
    names = {0: "completed", STOPPED: "stopped_early", DIVERGED: "diverged"}
    best, bad = np.asarray(state.best_epoch), np.asarray(state.bad_step)
    members = [
        {"seed": m.seed, "outcome": names[int(np.asarray(state.outcome)[i])], "epochs": int(np.asarray(state.epoch)[i]), "best_epoch": int(best[i]),
         "best_val_loss": float(np.asarray(state.best_loss)[i]), "n_train": len(m.train_rows), "n_validation": len(m.val_rows),
         **({"bad_step": int(bad[i])} if bad[i] >= 0 else {})}
        for i, m in enumerate(prepared.members)
    ]
    x = prepared.features[prepared.train_rows]
    facts: dict[str, Any] = {
        "kind": problem.kind, "target_names": list(problem.target_names), "classes": list(problem.classes), "n_rows": problem.n_rows,
        "n_columns": len(problem.columns), "n_features": int(x.shape[1]), "notes": list(problem.notes), "source": problem.source,
        "fingerprint": problem.fingerprint, "n_train": len(prepared.members[0].train_rows), "n_validation": len(prepared.members[0].val_rows),
        "n_test": len(prepared.test_rows), "planned_epochs": int(prepared.recipe.training.epochs), "stopped_epoch": int(fitted.seen.shape[1]),
        "best_epoch": int(np.median(best)), "restored": prepared.recipe.stopping.restore_best, "steps_per_epoch": fitted.steps,
        "loss": loss_name(problem.kind, prepared.recipe.training.loss), "temperature": temperature,
        "parameters": int(sum(np.prod(v.shape) for v in program.network.model.trainable_variables)) * len(used),
        "parameters_per_member": int(sum(np.prod(v.shape) for v in program.network.model.trainable_variables)),
        "members": members, "members_used": len(used), "seconds": fitted.seconds, "compile_seconds": fitted.compile_seconds,
        "input_statistics": {"mean": x.mean(axis=0).tolist(), "sd": x.std(axis=0).tolist(), "min": x.min(axis=0).tolist(), "max": x.max(axis=0).tolist(),
                             "names": list(prepared.preparation.feature_names)},
        "output": {"activation": {"binary": "sigmoid", "multilabel": "sigmoid", "multiclass": "softmax"}.get(problem.kind, "linear"),
                   "units": problem.n_outputs},
    }
    if problem.kind in ("binary", "multiclass"):
        counts = np.bincount(problem.y, minlength=len(problem.classes))
        facts["class_counts"] = {str(c): int(k) for c, k in zip(problem.classes, counts, strict=True)}
    return facts
