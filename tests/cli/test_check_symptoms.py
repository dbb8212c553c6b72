"""``fallline check``: a table, or a model with its data, before any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from fallline.cli import group
from fallline.errors import InputError

RNG = np.random.default_rng(0)


def said(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(group, ["check", *arguments, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_table_with_sentinels(tmp_path: Path) -> None:
    frame = pd.DataFrame(RNG.normal(size=(200, 3)), columns=["a", "b", "c"])
    frame["price"] = frame["a"] * 2 + frame["b"]
    frame.to_csv(tmp_path / "sound.csv", index=False)
    assert said(str(tmp_path / "sound.csv"), "-t", "price")["healthy"]
    frame.loc[::4, "c"] = -999.0
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    found = said(str(tmp_path / "gaps.csv"), "-t", "price")["findings"]
    assert [f["symptom"] for f in found if f["severity"] != "note"] == ["missing-values"]


def test_a_model_with_its_data(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "softmax")])
    model.compile("adam", "binary_crossentropy")
    model.save(tmp_path / "model.keras")
    x = RNG.normal(size=(100, 2))
    np.savez(tmp_path / "data.npz", x=x, y=(x[:, 0] > 0).astype(int))
    arguments = (str(tmp_path / "model.keras"), str(tmp_path / "data.npz"), "-t")
    assert said(*arguments, "y")["findings"][0]["symptom"] == "output-loss-mismatch"
    with pytest.raises(InputError, match="it takes 'z'"):
        said(*arguments, "z")
