from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fallline.errors import RunFolderError
from fallline.store import load_run, save_run
from fallline.store.tables import inside_from_parquet, inside_to_parquet
from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS, Inside, Run
from tests.make import decay, inside, trace

RNG = np.random.default_rng(0)


def seen() -> Inside:
    values = {name: RNG.standard_normal((2, 3, 2)).astype(np.float32) for name in LAYER_STATISTICS}
    values["dead_share"][:] = np.nan
    values["weight_sd"][1, 2] = np.nan
    network = {name: RNG.standard_normal((2, 3)).astype(np.float32) for name in NETWORK_STATISTICS}
    return inside({"x/a": ("Dense", "tanh"), "ü": ("Add", "")}, values, epochs=[0, 1, 7], network=network)


def same(one: Inside, two: Inside) -> None:
    for name in ("layers", "kinds", "activations", "output", "reason", "members"):
        assert getattr(one, name) == getattr(two, name), name
    np.testing.assert_array_equal(one.epochs, two.epochs)
    for mine, other in ((one.values, two.values), (one.network, two.network)):
        assert list(mine) == list(other)
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name], err_msg=name)


def test_the_file_leads_back_and_is_for_everyone() -> None:
    given = seen()
    data = inside_to_parquet(given)
    assert data == inside_to_parquet(given)
    same(inside_from_parquet(data), given)
    with_pandas, with_polars = pd.read_parquet(io.BytesIO(data)), pl.read_parquet(io.BytesIO(data))
    pd.testing.assert_frame_equal(with_pandas, given.to_frame(), check_dtype=False)
    assert with_polars.columns == ["member", "epoch", "layer", "statistic", "value"]
    assert len(with_polars) == len(with_pandas)


def test_an_empty_one_and_foreign_files() -> None:
    empty = inside([], {}, output=None, epochs=[])
    same(inside_from_parquet(inside_to_parquet(empty)), empty)
    data = inside_to_parquet(seen())
    out = io.BytesIO()
    pd.read_parquet(io.BytesIO(data)).to_parquet(out)  # the layers are lost
    for other in (out.getvalue(), b"", b"PAR1" * 10, data[:-9]):
        with pytest.raises(RunFolderError, match=r"inside\.parquet"):
            inside_from_parquet(other)


def test_it_is_saved_with_its_run(tmp_path: Path) -> None:
    curves = trace({"loss": decay(1.0, 0.1, 7, 2.0)})
    given = Run(model=None, trace=curves.with_inside(seen()), outcome="completed")
    save_run(given, tmp_path / "run")
    again = load_run(tmp_path / "run")
    assert again.trace.inside is not None
    assert given.trace.inside is not None
    same(again.trace.inside, given.trace.inside)
    save_run(Run(model=None, trace=curves, outcome="completed"), tmp_path / "run", overwrite=True)
    assert load_run(tmp_path / "run").trace.inside is None
