"""What a change of the default recipe gives on the calibration tables.

``python -m benchmarks.skill.tune NAME ENTRY=VALUE ...`` measures one arm; without arguments it reports all.

Every table lends the training rows of its first fold alone: they are divided into folds again, and the changed default
is fitted and scored there. The test rows of that fold, among them all on which the two largest tables are reported, and
the held-out tables are never read. Finished fits are kept in a JSON-lines file; the report compares the arms with
``default``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.skill.protocol import Table, calibration, find_data, folds, read_suite, score

__all__ = ["main", "report"]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "skill-tuning.jsonl"
CONTROL = "default"
# Folds of a table's first training rows: as many as the smallest tables need for a figure, one of the slow ones.
INNER_FOLDS = 5
LARGE = 5_000


def inner_folds(table: Table, y: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (fold, training rows, held-out rows) within the training rows of the table's first fold."""
    from sklearn.model_selection import KFold, StratifiedKFold

    _, rows, _ = next(folds(table, y))
    splitter = (KFold if table.task == "regression" else StratifiedKFold)(INNER_FOLDS, shuffle=True, random_state=1)
    for fold, (train, held) in enumerate(splitter.split(rows, y[rows])):
        yield fold, rows[train], rows[held]


def fit_once(table: Table, changes: Sequence[str], x: Any, y: Any, train: Any, held: Any) -> dict[str, Any]:
    """Fit the changed default once; return its figures and seconds."""
    import fallline as fl

    kind = fl.Regressor if table.task == "regression" else fl.Classifier
    model = kind(overrides=list(changes))
    start = time.perf_counter()
    model.fit(x.iloc[train], y[train])
    seconds = time.perf_counter() - start
    regression = table.task == "regression"
    prediction = model.predict(x.iloc[held]) if regression else model.predict_proba(x.iloc[held])
    figures = score(table.task, y[held], prediction, None if regression else model.classes_)
    return {**figures, "fit_s": round(seconds, 2)}


def report(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, str], control: str = CONTROL) -> str:
    """Return, per arm, the gain over the control in percent: per table, and over tables with a paired t-test.

    Args:
        rows: finished fits.
        metrics: table -> what is compared: log-loss or RMSE, lower is better.
        control: the arm that the others are compared with.
    """
    from scipy.stats import ttest_1samp

    found: dict[str, dict[tuple[str, int], Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["arm"], {})[row["dataset"], row["fold"]] = row
    base = found.pop(control, {})
    lines = []
    for arm, fits in found.items():
        keys = [key for key in fits if key in base]
        tables = sorted({name for name, _ in keys})
        if not tables:
            continue

        def total(of: Mapping[Any, Mapping[str, Any]], name: str, what: str, keys: Any = keys) -> float:
            return sum(float(of[key].get(what, np.nan)) for key in keys if key[0] == name)

        # A table's gain is that of the mean over its folds, as it is ranked by.
        gains = [100.0 * (1.0 - total(fits, name, metrics[name]) / total(base, name, metrics[name])) for name in tables]
        right = [fits[key]["accuracy"] - base[key]["accuracy"] for key in keys if "accuracy" in base[key]]
        slower = np.median([fits[key]["fit_s"] / base[key]["fit_s"] for key in keys])
        p = float(ttest_1samp(gains, 0.0).pvalue) if len(gains) > 1 else float("nan")
        each = "  ".join(f"{name} {gain:+.1f}" for name, gain in zip(tables, gains, strict=True))
        accuracy = f"accuracy {100 * np.mean(right):+.2f}" if right else ""
        lines.append(f"{arm:20} {np.mean(gains):+6.2f} %  p {p:.2f}  {accuracy:15}  time x{slower:.2f}  | {each}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skill.tune", description=__doc__.splitlines()[0])
    parser.add_argument("arm", nargs="?", default="", help=f"name of the changed recipe ({CONTROL}: unchanged)")
    parser.add_argument("changes", nargs="*", help="entries of the recipe and their values")
    parser.add_argument("--data", type=Path, help="folder of suite.json and the tables (else FALLLINE_DATA)")
    parser.add_argument("--tables", default="", help="only these, separated by commas")
    parser.add_argument("--folds", default="0,1", help="folds, separated by commas; tables of many rows take the first")
    parser.add_argument("--control", default=CONTROL, help="the arm that the others are compared with")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of finished fits")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what is not finished of one arm, and report all arms."""
    given = _parser().parse_args(arguments)
    folder = find_data(given.data)
    if folder is None:
        print("tune: skipped: no suite.json found. Give the folder of the tables with --data or FALLLINE_DATA.")
        return 0
    tables = calibration(read_suite(folder))
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(row["arm"], row["dataset"], row["fold"]) for row in rows}
    wanted = [int(fold) for fold in given.folds.split(",")]
    for table in tables if given.arm else []:
        if given.tables and table.name not in given.tables.split(","):
            continue
        x, y = table.read()
        for fold, train, held in inner_folds(table, y):
            if fold not in (wanted[:1] if table.rows > LARGE else wanted) or (given.arm, table.name, fold) in done:
                continue
            row = {"arm": given.arm, "changes": given.changes, "dataset": table.name, "fold": fold}
            row |= fit_once(table, given.changes, x, y, train, held)
            rows.append(row)
            with given.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            said = f"{row[table.metric]:.4f}, {row['fit_s']:.1f} s"
            print(f"{given.arm} {table.name} {fold}: {said}", file=sys.stderr, flush=True)
    print(report(rows, {table.name: table.metric for table in tables}, given.control))
    return 0


if __name__ == "__main__":
    sys.exit(main())
