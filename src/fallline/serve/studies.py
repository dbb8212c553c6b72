"""What the page shows of improvements and searches: their ledgers and journals, while they grow."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import InputError
from fallline.improve import LEDGER
from fallline.search import is_higher_better, read_json_lines

__all__ = ["Studies"]

# Of one file, and of files that are listed.
_MOST_BYTES, _MOST_FILES = 64 * 2**20, 500
_ARM = ("name", "mean", "low", "high", "p_adjusted", "decision", "more_seeds", "differences")


class Studies:
    """The ledgers of improvements and the journals of searches below some folders.

    Args:
        roots: folders that hold folders of improvements, and journals (``*.jsonl``); they may not exist yet.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(roots)

    def files(self) -> dict[str, Path]:
        """Return name -> file, those that were written last first; two of one name are told apart by their folder."""
        found: dict[Path, float] = {}
        for root in self.roots:
            for path in [*_inside(root, f"*/{LEDGER}"), *_inside(root, "*.jsonl")]:
                if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
                    found[path.resolve()] = path.stat().st_mtime
        newest = sorted(found, key=lambda path: (-found[path], str(path)))[:_MOST_FILES]
        stems = [path.parent.name if path.name == LEDGER else path.stem for path in newest]
        named: dict[str, Path] = {}
        for path, stem in zip(newest, stems, strict=True):
            name = stem if stems.count(stem) == 1 else f"{path.parent.name} {path.name}"
            named.setdefault(name, path)
        return named

    def lines(self) -> list[dict[str, Any]]:
        """Return a line for each file that is a study; files of other programs are left out."""
        out = []
        for name, path in self.files().items():
            try:
                head, entries = read_json_lines(path, most_bytes=_MOST_BYTES)
                kind = head["fallline"]
            except InputError as error:
                if path.name != LEDGER:
                    continue
                kind, entries, problem = "improvement", [], str(error)
            else:
                problem = ""
            if kind not in ("improvement", "search"):
                continue
            kept = [str(entry["kept"]) for entry in entries if entry.get("kept")] if kind == "improvement" else []
            out.append(
                {"name": name, "kind": kind, "entries": len(entries), "kept": kept, "problem": problem,
                 "changed": os.stat(path).st_mtime * 1000}
            )  # fmt: skip
        return out

    def view(self, name: str) -> dict[str, Any]:
        """Return all that the page of one study shows.

        Raises:
            InputError: there is no such study, or its file is damaged.
        """
        path = self.files().get(name)
        if path is None:
            raise InputError(f"There is no improvement and no search named {name!r}.")
        head, entries = read_json_lines(path, most_bytes=_MOST_BYTES)
        try:
            body = _improvement(entries) if head["fallline"] == "improvement" else _search(head["about"], entries)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise InputError(f"{path} is damaged, or was written by another version.") from None
        return {"name": name, "kind": head["fallline"], "file": str(path), **body}


def _inside(root: Path, pattern: str) -> list[Path]:
    try:
        return list(root.glob(pattern))
    except OSError:
        return []


def _improvement(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    steps = []
    for place, entry in enumerate(entries, start=1):
        found = entry["experiment"]
        arms = [{key: _plain(arm[key]) for key in _ARM} for arm in found["comparisons"]]
        for arm in arms:
            arm["treatments"] = list(map(str, entry["arms"].get(arm["name"], [])))
            arm["reason"] = str(entry["reasons"].get(arm["name"], ""))
        words = {key: str(found[key]) for key in ("intent", "expectation", "method", "finding", "metric")}
        steps.append(
            {"number": place, "stage": str(entry["stage"]), "after": list(map(str, entry["after"])), "arms": arms,
             "kept": str(entry["kept"]), "higher_is_better": bool(found["higher_is_better"]), **words}
        )  # fmt: skip
    return {"steps": steps}


def _search(about: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metric, space = str(about["metric"]), about["space"]
    trials = []
    for entry in entries:
        point, epochs = json.loads(entry["key"])
        table = np.array(entry["values"][metric], np.float64)
        value = float(table.mean()) if table.size else math.nan
        trials.append(
            {"point": {str(key): _text(item) for key, item in point}, "value": _plain(value), "epochs": epochs,
             "diverged": int(entry["diverged"])}
        )  # fmt: skip
    entries_of = sorted({name for trial in trials for name in trial["point"]} | set(map(str, space)))
    return {
        "metric": metric, "higher_is_better": is_higher_better(metric), "strategy": str(about["strategy"]),
        "entries": [_axis(name, space.get(name), trials) for name in entries_of], "trials": trials,
    }  # fmt: skip


def _axis(name: str, dimension: Any, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how an entry of the recipe is drawn: along a line of numbers, or by its values."""
    values = [trial["point"][name] for trial in trials if name in trial["point"]]
    numeric = bool(values) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    log = isinstance(dimension, Mapping) and "Range" in dimension and bool(dimension["Range"][2])
    levels = [] if numeric else sorted({str(value) for value in values})
    return {"name": name, "numeric": numeric, "log": log and numeric and min(values) > 0, "levels": levels}


def _text(value: Any) -> Any:
    """Numbers as they are, all else as text."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else json.dumps(value)


def _plain(value: Any) -> Any:
    """Plain values as JSON can hold them."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
