"""What a run records about itself: plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.engine import DIVERGED, STOPPED
from fallline.train.evaluations import evaluations
from fallline.train.fitted import Fitted
from fallline.train.orders import Member
from fallline.train.prepared import Prepared
from fallline.train.table_task import TableProgram
from fallline.types import Problem

__all__ = ["table_facts"]

_OUTCOMES = {0: "completed", STOPPED: "stopped_early", DIVERGED: "diverged"}
_OUTPUTS = {"binary": "sigmoid", "multilabel": "sigmoid", "multiclass": "softmax"}


def table_facts(
    problem: Problem,
    prepared: Prepared,
    program: TableProgram,
    fitted: Fitted,
    temperature: float,
    used: tuple[Member, ...],
) -> dict[str, Any]:
    """Return what the run of a table records about itself.

    Args:
        problem: as it was given.
        prepared: its rows, features, members and resolved recipe.
        program: what trained the members.
        fitted: the members after training.
        temperature: of the calibrated probabilities; 1: not calibrated.
        used: the members that predict.
    """
    counted = evaluations(program.optimizer, fitted)
    x = prepared.features[prepared.train_rows]
    parameters = int(sum(np.prod(v.shape) for v in program.network.model.trainable_variables))
    facts: dict[str, Any] = {
        "kind": problem.kind,
        "why": problem.why,
        "target_names": list(problem.target_names),
        "classes": list(problem.classes),
        "n_rows": problem.n_rows,
        "n_columns": len(problem.columns),
        "n_features": int(x.shape[1]),
        "notes": list(problem.notes),
        "source": problem.source,
        "fingerprint": problem.fingerprint,
        "n_train": len(prepared.members[0].train_rows),
        "n_validation": len(prepared.members[0].val_rows),
        "n_test": len(prepared.test_rows),
        "planned_epochs": int(prepared.recipe.training.epochs),
        "stopped_epoch": int(fitted.seen.shape[1]),
        "best_epoch": int(np.median(np.asarray(fitted.state.best_epoch))),
        "restored": prepared.recipe.stopping.restore_best,
        "steps_per_epoch": int(fitted.steps.max()),
        "evaluations": {key: sum(one[key] for one in counted) for key in counted[0]},
        "loss": prepared.recipe.training.loss,
        "temperature": temperature,
        "parameters": parameters * len(used),
        "parameters_per_member": parameters,
        "members": _member_facts(prepared.members, fitted, counted),
        "members_used": len(used),
        "seed_spread": _seed_spread(np.asarray(fitted.state.best_loss, np.float64)),
        "seconds": fitted.seconds,
        "compile_seconds": fitted.compile_seconds,
        "input_statistics": {
            "mean": x.mean(axis=0).tolist(),
            "sd": x.std(axis=0).tolist(),
            "min": x.min(axis=0).tolist(),
            "max": x.max(axis=0).tolist(),
            "names": list(prepared.preparation.feature_names),
        },
        "output": {"activation": _OUTPUTS.get(problem.kind, "linear"), "units": problem.n_outputs},
    }
    if problem.kind in ("binary", "multiclass"):
        counts = np.bincount(problem.y, minlength=len(problem.classes))
        facts["class_counts"] = {str(c): int(k) for c, k in zip(problem.classes, counts, strict=True)}
    return facts


def _member_facts(members: Sequence[Member], fitted: Fitted, counted: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what each network came to; ``counted``: what each has computed."""
    outcome, epoch, best, loss, bad = (
        np.asarray(getattr(fitted.state, name))
        for name in ("outcome", "epoch", "best_epoch", "best_loss", "bad_step")
    )
    return [
        {
            "seed": m.seed,
            "outcome": _OUTCOMES[int(outcome[i])],
            "epochs": int(epoch[i]),
            "best_epoch": int(best[i]),
            "best_val_loss": float(loss[i]),
            "n_train": len(m.train_rows),
            "n_validation": len(m.val_rows),
            "evaluations": counted[i],
            **({"bad_step": int(bad[i])} if bad[i] >= 0 else {}),
        }
        for i, m in enumerate(members)
    ]


def _seed_spread(losses: np.ndarray) -> dict[str, Any]:
    """Return what another seed would have given: the figure without which one run's loss says little."""
    losses = losses[np.isfinite(losses)]
    return {
        "members": len(losses),
        "mean": float(losses.mean()) if len(losses) else None,
        "sd": float(losses.std(ddof=1)) if len(losses) > 1 else None,
        "min": float(losses.min()) if len(losses) else None,
        "max": float(losses.max()) if len(losses) else None,
    }
