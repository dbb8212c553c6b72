"""A search on a local Ray cluster: the same trials as without, and a killed worker loses nothing."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.recipe import default, override
from fallline.search import log
from fallline.search.cluster import RayWorkers

_api = importlib.import_module("fallline.search.api")
ray = pytest.importorskip("ray")

SHORT = override(default("simple"), ["training.epochs=3", "network.hidden=[6]"])
X = np.random.default_rng(0).normal(size=(48, 2))
GIVEN = {"space": {"optimizer.learning_rate": log(1e-4, 1e-2)}, "folds": 2, "trials": 4, "widen": 0}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own: files that its processes leave open
def test_a_killed_worker_loses_nothing_and_changes_nothing(monkeypatch, tmp_path):
    made = []

    class Two(RayWorkers):
        def __init__(self, *given):
            super().__init__(*given, workers=2)
            made.append(self)

    real = _api.Journal.add

    def add(self, proposal, measured):
        real(self, proposal, measured)
        if len(self.known) == 1:  # the other worker is at work
            for _, _, worker in made[0].working.values():
                ray.kill(worker)

    monkeypatch.setattr(_api, "RayWorkers", Two)
    monkeypatch.setattr(_api.Journal, "add", add)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else Ray's workers wait for everything else on the machine
    journal = tmp_path / "journal.jsonl"
    found = fl.search(SHORT, (X, X[:, 0] - X[:, 1]), engine="ray", journal=journal, **GIVEN)
    assert made[0].deaths >= 1
    assert found.outcome == "completed"
    assert not ray.is_initialized()
    assert len(journal.read_text().splitlines()) == 5
    local = fl.search(SHORT, (X, X[:, 0] - X[:, 1]), **GIVEN)
    assert [trial.point for trial in found.trials] == [trial.point for trial in local.trials]
    np.testing.assert_allclose([t.value for t in found.trials], [t.value for t in local.trials], rtol=1e-4)


class Refusing:
    """Ray, where nothing answers."""

    @staticmethod
    def is_initialized():
        return False

    @staticmethod
    def init(**given):
        raise ConnectionError("nobody answers")


def test_a_cluster_that_cannot_be_reached_is_said_before_any_work(monkeypatch):
    monkeypatch.setattr(sys.modules[RayWorkers.__module__], "optional", lambda *_: Refusing)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(InputError, match=r"10\.0\.0\.1:6379 cannot be reached"):
        fl.search(SHORT, (X, X[:, 0]), engine="ray", **GIVEN)
