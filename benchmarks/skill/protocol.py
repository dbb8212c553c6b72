"""The protocol: which tables, which folds, which figures.

Five folds, shuffled, ``random_state=0``, stratified for classification; one 80/20 split for tables of more than 20,000
rows. The folder holds ``suite.json`` (the tables), one CSV file each and ``peers.csv`` (the peers' figures per fold).
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "Figures", "Table", "calibration", "find_data", "folds", "read_peers", "read_suite", "score"]

FOLDS = 5
ONE_SPLIT_ABOVE = 20_000
TEST_SHARE = 0.2
# name -> is a higher value better?
METRICS = {"log_loss": False, "accuracy": True, "auc": True, "rmse": False, "r2": True}
CHECKOUT = Path(__file__).resolve().parents[2]

Figures = dict[str, float]


@dataclass(frozen=True)
class Table:
    """One table of the suite.

    Args:
        name: as in peers.csv.
        path: the CSV file.
        target: the target's column.
        task: ``regression``, ``binary`` or ``multiclass``.
        rows: number of rows, as the suite states it.
    """

    name: str
    path: Path
    target: str
    task: str
    rows: int

    @property
    def metric(self) -> str:
        """The metric that ranks."""
        return "rmse" if self.task == "regression" else "log_loss"

    def read(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return the inputs (n, p) and the target (n,) as they are in the file."""
        import pandas as pd

        frame = pd.read_csv(self.path)
        return frame.drop(columns=self.target), frame[self.target].to_numpy()


def find_data(given: Path | None) -> Path | None:
    """The folder given, else FALLLINE_DATA, else shared/data beside the checkout; None when it has no suite.json."""
    folder = given or Path(os.environ.get("FALLLINE_DATA") or CHECKOUT.parent / "shared" / "data")
    return folder if (folder / "suite.json").is_file() else None


def read_suite(folder: Path) -> list[Table]:
    """The tables, smallest first, so that a broken recipe shows early."""
    entries = json.loads((folder / "suite.json").read_text())
    tables = [Table(e["name"], folder / e["file"], e["target"], e["task"], int(e["n"])) for e in entries]
    return sorted(tables, key=lambda table: table.rows)


def calibration(tables: Sequence[Table]) -> list[Table]:
    """The tables that recipes may be tuned on: within each task every other one by name, beginning with the first."""
    tasks: dict[str, list[str]] = {}
    for name, task in sorted((table.name, table.task) for table in tables):
        tasks.setdefault(task, []).append(name)
    chosen = {name for names in tasks.values() for name in names[::2]}
    return [table for table in tables if table.name in chosen]


def folds(table: Table, y: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (fold, training rows, test rows)."""
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    labels = table.task != "regression"
    rows = np.arange(len(y))
    if len(y) > ONE_SPLIT_ABOVE:
        train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=0, stratify=y if labels else None)
        yield 0, train, test
        return
    splitter = (StratifiedKFold if labels else KFold)(FOLDS, shuffle=True, random_state=0)
    for fold, (train, test) in enumerate(splitter.split(rows, y)):
        yield fold, train, test


def score(task: str, y: np.ndarray, prediction: np.ndarray, classes: Any = None) -> Figures:
    """Score one fold.

    Args:
        task: the table's task.
        y: (n,) true targets.
        prediction: (n,) quantities, or (n, classes) probabilities.
        classes: the labels in the order of the probabilities' columns.
    """
    from sklearn import metrics

    if task == "regression":
        rmse = float(metrics.root_mean_squared_error(y, prediction))
        return {"rmse": rmse, "r2": float(metrics.r2_score(y, prediction))}
    probability = np.asarray(prediction, np.float64)
    probability /= probability.sum(axis=1, keepdims=True)
    classes = np.asarray(classes)
    found = {
        "log_loss": float(metrics.log_loss(y, probability, labels=classes)),
        "accuracy": float(np.mean(classes[probability.argmax(axis=1)] == y)),
    }
    if task == "binary":
        found["auc"] = float(metrics.roc_auc_score(y == classes[1], probability[:, 1]))
    return found


def read_peers(folder: Path) -> list[dict[str, Any]]:
    """Rows of peers.csv with numbers as numbers; empty figures are left out of a row."""
    with (folder / "peers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = {*METRICS, "fit_s", "pred_s"}
    whole = {"fold", "n_train", "n_test"}

    def value(key: str, text: str) -> float | int | str:
        return float(text) if key in numbers else int(text) if key in whole else text

    return [{key: value(key, text) for key, text in row.items() if text} for row in rows]
