"""The traces of a run folder are tables for DuckDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from fallline.types import Run
from tests.make import inside, trace


def test_curves_and_layers_are_queried(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    seen = inside(["a", "out"], {"update_ratio": [[1.0, 3.0], [2.0, 4.0]]}, epochs=[0, 5])
    given = trace({"loss": [1.0, 0.5], "val_loss": [2.0, float("nan")]}).with_inside(seen)
    folder = Run(None, given, "completed").save(tmp_path / "run")
    curves = duckdb.sql(f"SELECT epoch, value FROM '{folder}/trace.parquet' WHERE quantity = 'loss' ORDER BY epoch")
    assert curves.fetchall() == [(1, 1.0), (2, 0.5)]
    lost = duckdb.sql(f"SELECT epoch, isnan(value) FROM '{folder}/trace.parquet' WHERE quantity = 'val_loss'")
    assert sorted(lost.fetchall()) == [(1, False), (2, True)]
    layers = duckdb.sql(f"SELECT layer, avg(value) FROM '{folder}/inside.parquet' GROUP BY layer ORDER BY layer")
    assert layers.fetchall() == [("a", 1.5), ("out", 3.5)]
