"""The ledger: every experiment, in memory and, with a folder, in a file that grows; an improvement goes on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fallline.errors import InputError
from fallline.improve.candidates import Candidate
from fallline.search import JsonLines
from fallline.types import Experiment

__all__ = ["LEDGER", "Ledger"]

LEDGER = "ledger.jsonl"


class Ledger:
    """Experiments that are done.

    Args:
        folder: where the file lies, made where there is none; None: in memory alone.
        about: what is improved: the ledger of another improvement is refused.

    Raises:
        InputError: the folder cannot be made, or its ledger belongs to something else.
    """

    def __init__(self, folder: Any, about: Mapping[str, Any]) -> None:
        self._lines = None
        if folder is not None:
            path = Path(folder)
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"The folder {path} cannot be made: {error.strerror or error}.") from None
            self._lines = JsonLines(path / LEDGER, "improvement", about)
        self._known = [] if self._lines is None else list(self._lines.entries)

    def recall(
        self, stage: str, control: str, offered: Sequence[Candidate]
    ) -> tuple[Experiment, list[Candidate]] | None:
        """Return an experiment that was made on this control before, with its arms, or None.

        A budget may have left it fewer arms than are offered now. Each entry is recalled once.
        """
        by_key = {candidate.key: candidate for candidate in offered}
        for place, entry in enumerate(self._known):
            keys = entry["keys"]
            if (entry["stage"], entry["control"]) == (stage, control) and all(key in by_key for key in keys):
                del self._known[place]
                return Experiment.from_dict(entry["experiment"]), [by_key[key] for key in keys]
        return None

    def add(
        self, stage: str, control: str, arms: Sequence[Candidate], kept: str, experiment: Experiment, treatments: Any
    ) -> None:
        """Write down an experiment."""
        if self._lines is not None:
            self._lines.add(
                {
                    "stage": stage, "control": control, "after": list(treatments), "keys": [one.key for one in arms],
                    "arms": {one.name: list(one.treatments) for one in arms},
                    "reasons": {one.name: one.reason for one in arms}, "kept": kept,
                    "experiment": experiment.to_dict(),
                }
            )  # fmt: skip
