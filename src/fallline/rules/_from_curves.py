"""Statistics from learning curves, whoever recorded them: mappings, frames, CSV files, Keras histories, traces."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import DataError, InputError
from fallline.rules._from_steps import curves_by_step
from fallline.types import Trace

__all__ = [
    "ALIASES",
    "curve_statistics",
    "curves_from_columns",
    "curves_from_csv",
    "keep",
    "plain_name",
    "trace_statistics",
]

CURVES = ("loss", "val_loss", "running_loss", "accuracy", "val_accuracy", "learning_rate")

# Spellings of Keras, PyTorch Lightning, fastai, scikit-learn, YOLO and of people, after lower-casing and with every run
# of other characters than letters and digits made one underscore.
_TRAIN = ("", "train_", "training_", "trn_", "tr_")
_HELD = ("val_", "valid_", "validation_", "dev_", "eval_", "test_")
_ACCURACIES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
_RATES = ("learning_rate", "lr", "lr_adam", "lr_sgd")
_EPOCHS = ("epoch", "epochs")
_STEPS = ("step", "steps", "global_step", "iteration", "iterations", "iter")


def _aliases() -> dict[str, str]:
    table = dict.fromkeys(_RATES, "learning_rate") | {"running_loss": "running_loss"}
    for prefixes, ours in ((_TRAIN, ""), (_HELD, "val_")):
        for prefix in prefixes:
            table[f"{prefix}loss"] = table[f"{prefix}loss_epoch"] = f"{ours}loss"
            for accuracy in _ACCURACIES:
                table[f"{prefix}{accuracy}"] = table[f"{prefix}{accuracy}_epoch"] = f"{ours}accuracy"
    for quantity, ours in (("loss", "loss"), ("accuracy", "accuracy"), ("acc", "accuracy")):
        table |= dict.fromkeys((f"{quantity}_train", f"{quantity}_training"), ours)
        table |= {f"{quantity}_{held}".rstrip("_"): f"val_{ours}" for held in _HELD}
    return table


ALIASES: Mapping[str, str] = _aliases()


def plain_name(name: Any) -> str:
    """Return a column's name in lower case, other characters than letters and digits as single underscores."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        return np.array([math.nan if v is None else float(v) for v in np.asarray(values, object).reshape(-1)])
    except (TypeError, ValueError) as problem:
        raise DataError(f"The curve {name!r} holds a value that is not a number ({problem}).") from None


def _without_tail(values: Any) -> Any:
    """Leave out the empty entries after the last value: a gap there is not a loss that became NaN."""
    kept = list(np.asarray(values, object).reshape(-1))
    while kept and kept[-1] is None:
        kept.pop()
    return kept


def curves_from_columns(columns: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """Return the known curves among named columns, each (epochs,), ordered by an epoch column if there is one.

    A validation curve that was recorded every k-th epoch (Keras' ``validation_freq``) is put at those epochs;
    rows that share an epoch (PyTorch Lightning logs training and validation on different rows) are joined. Where there
    is a column of steps alone, see `curves_by_step`.

    Raises:
        InputError: no column is a training loss, or a value is not a number.
    """
    found: dict[str, np.ndarray] = {}
    epoch: np.ndarray | None = None
    step: np.ndarray | None = None
    for name, values in columns.items():
        key = plain_name(name)
        if key in _EPOCHS:
            epoch = _numbers(values, str(name))
        elif key in _STEPS:
            step = _numbers(values, str(name))
        elif key in ALIASES and ALIASES[key] not in found:
            ours = ALIASES[key]
            found[ours] = _numbers(values if ours.startswith("val_") else _without_tail(values), str(name))
    if not any(len(found.get(name, ())) for name in ("loss", "running_loss")):
        raise InputError(
            f"There is no training loss among the columns {', '.join(map(repr, map(str, columns))) or '(none)'}. Name "
            "it 'loss' or 'train_loss' (and the validation loss 'val_loss')."
        )
    length = max(len(curve) for name, curve in found.items() if not name.startswith("val_"))
    if epoch is not None and len(epoch) >= length and np.isfinite(epoch).all():
        return {name: _by_epoch(curve, epoch[: len(curve)]) for name, curve in found.items()}
    if epoch is None and step is not None and len(step) >= length and np.isfinite(step).all():
        return curves_by_step({name: _points(curve, step) for name, curve in found.items()})
    return {name: _spread(curve, length) for name, curve in found.items()}


def _by_epoch(curve: np.ndarray, epoch: np.ndarray) -> np.ndarray:
    """Return one value per distinct epoch: the last one recorded that is not a gap."""
    distinct, index = np.unique(epoch, return_inverse=True)
    out = np.full(len(distinct), np.nan)
    for where, value in zip(index.tolist(), curve.tolist(), strict=True):
        if not math.isnan(value) or math.isnan(out[where]):
            out[where] = value
    return out


def _points(curve: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and values of a curve without its gaps; a NaN where other columns have gaps counts as one."""
    there = ~np.isnan(curve)
    return step[: len(curve)][there], curve[there]


def _spread(curve: np.ndarray, length: int) -> np.ndarray:
    if len(curve) >= length or not len(curve):
        return curve[:length] if length else curve
    every = length // len(curve)
    out = np.full(length, np.nan)
    if every >= 2:
        out[every - 1 :: every][: len(curve)] = curve[: len(out[every - 1 :: every])]
    else:
        out[: len(curve)] = curve
    return out


def curves_from_csv(path: Path) -> dict[str, np.ndarray]:
    """Return the known curves of a CSV, TSV or semicolon file with a header; an empty cell is a gap, "nan" is NaN.

    Raises:
        InputError: the file is missing, is not a table of curves, or has no training loss.
    """
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}. Give the path of a CSV file with one row per epoch.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{str(path)!r} is not a text file. Give a CSV file with one row per epoch.") from None
    head = text.splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=head.count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise DataError(f"{str(path)!r} has no rows below its header. One row per epoch is needed.")
    names = [cell.strip() for cell in rows[0]]
    counters = (*_EPOCHS, *_STEPS)
    known = [i for i, name in enumerate(names) if plain_name(name) in ALIASES or plain_name(name) in counters]
    decimal_comma = delimiter != ","

    def cell(row: list[str], i: int) -> str | None:
        value = row[i].strip() if i < len(row) else ""
        return (value.replace(",", ".") if decimal_comma else value) or None

    columns = {names[i]: [cell(row, i) for row in rows[1:]] for i in known}
    if all(plain_name(name) in counters for name in columns):
        raise InputError(
            f"{str(path)!r} has the columns {', '.join(map(repr, names))}; none of them is a learning curve. Name the "
            "training loss 'loss' or 'train_loss' (and the validation loss 'val_loss')."
        )
    return curves_from_columns(columns)


def _lost_at(curve: np.ndarray) -> int | None:
    """Return the epoch from which a curve is NaN or infinite to its end; an infinity counts wherever it stands."""
    infinite = np.flatnonzero(np.isinf(curve))
    tail = len(curve)
    while tail and not np.isfinite(curve[tail - 1]):
        tail -= 1
    candidates = ([int(infinite[0]) + 1] if len(infinite) else []) + ([tail + 1] if tail < len(curve) else [])
    return min(candidates) if candidates else None


def curve_statistics(curves: Mapping[str, np.ndarray], *, running: bool) -> dict[str, Any]:
    """Return the curves and when they were lost.

    Args:
        curves: name -> (epochs,), NaN in gaps.
        running: True when ``loss`` may be a running mean in training mode, as in a Keras history.
    """
    found: dict[str, Any] = {name: curve for name, curve in curves.items() if np.isfinite(curve).any()}
    loss = curves.get("loss")
    if loss is None or not len(loss):
        loss, running = curves.get("running_loss"), True
    if loss is None or not len(loss):
        return found
    found["loss"] = loss
    found["loss_is_running"] = running
    found["members"] = 1
    lost = _lost_at(loss)
    if lost is not None:
        found |= {"lost_at": lost, "lost_members": 1}
    return found


def trace_statistics(trace: Trace) -> dict[str, Any]:
    """Return the curves of a trace (the mean over its members), which members were lost and when, and its inside."""
    curves = {name: trace.curve(name) for name in CURVES if name in trace.quantities}
    found = curve_statistics(curves, running=False)
    members = trace.members
    found["members"] = len(members)
    found.pop("lost_at", None)
    found.pop("lost_members", None)
    quantity = "loss" if "loss" in curves else "running_loss"
    start = (trace.quantity == quantity) & (trace.layer == "") & (trace.epoch == 0) & np.isfinite(trace.value)
    if start.any():
        found["initial_loss"] = float(trace.value[start].mean())
    lost: list[int] = []
    chosen = (trace.quantity == quantity) & (trace.layer == "") & (trace.epoch >= 1)
    for member in members:
        rows = chosen & (trace.member == member)
        order = np.argsort(trace.epoch[rows], kind="stable")
        epochs, values = trace.epoch[rows][order], trace.value[rows][order]
        at = _lost_at(values)
        if at is not None:
            lost.append(int(epochs[at - 1]))
    if lost:
        found |= {"lost_at": min(lost), "lost_members": len(lost)}
        if not len(found.get("loss", ())):
            found["loss"] = np.full(max(trace.n_epochs, 1), np.nan)
    return found | (trace.inside.statistics() if trace.inside is not None else {})


def keep(found: dict[str, Any], pairs: Sequence[tuple[float, float]] = ()) -> None:
    """Add ``start_loss``, ``kept_loss`` and ``kept_val_loss`` to the statistics gathered so far.

    Args:
        found: changed in place; ``reference_loss``, ``initial_loss``, ``restored`` and ``best_epoch`` are used.
        pairs: (loss, val_loss) at the kept epoch of each member, when they are known one by one.
    """
    loss: np.ndarray | None = found.get("loss")
    held: np.ndarray | None = found.get("val_loss")
    first = [c[np.isfinite(c)][0] for c in (found.get("running_loss"), loss) if c is not None and np.isfinite(c).any()]
    if loss is None or not first:
        return
    found["start_loss"] = float(found.get("reference_loss") or found.get("initial_loss") or first[0])
    if held is None or not np.isfinite(held).any():
        return
    if pairs:
        found["kept_loss"], found["kept_val_loss"] = (float(v) for v in np.mean(np.asarray(pairs), axis=0))
        return
    both = np.flatnonzero(np.isfinite(loss[: len(held)]) & np.isfinite(held[: len(loss)]))
    if not len(both):
        return
    if found.get("restored"):
        best = found.get("best_epoch")
        at = int(best) - 1 if best is not None and int(best) - 1 in both else int(both[np.argmin(held[both])])
        found["best_epoch"] = at + 1
        found["kept_loss"], found["kept_val_loss"] = float(loss[at]), float(held[at])
    else:
        end = both[-max(3, len(both) // 10) :]  # single epochs scatter
        found["kept_loss"], found["kept_val_loss"] = float(np.median(loss[end])), float(np.median(held[end]))
        found.setdefault("best_epoch", int(both[np.argmin(held[both])]) + 1)
