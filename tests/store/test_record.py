"""A run comes back from its folder as it was, however it is named, and nothing of it is lost on the way."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fallline.data import Preparation, make_problem
from fallline.errors import RunFolderError
from fallline.recipe import default, override
from fallline.store import RunFolder, list_runs, load_run, next_name, save_run, write_final, write_run, write_start
from fallline.store.tables import trace_from_parquet, trace_to_parquet
from fallline.types import ColumnSummary, Diagnosis, FinalModel, Finding, HeldOut, Run, Score, Summary, Trace

HOSTILE = [
    "../../etc/passwd",
    "a\nb",
    "<script>alert(1)</script>",
    "naïve ✓ 日本",
    "=1+1",
    "con",
    "",
    " ",
    '"quoted"',
    "\x00nul",
    "$float",
]


class Model:
    """Stands for a Keras model where loading it is not the point."""

    def __init__(self, content: bytes = b"weights") -> None:
        self.content = content

    def save(self, path: str) -> None:
        Path(path).write_bytes(self.content)


def make_run(**changes: Any) -> Run:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=30) for name in HOSTILE[:4]} | {"colour": ["red", "../x", "\n"] * 10})
    problem = make_problem(frame, y=np.array(["yes\n", "<no>"] * 15))
    recipe = override(default(), ["seed=3", "network.hidden=[7, 5]", "optimizer.learning_rate=0.012345678901234567"])
    trace = Trace.from_columns(
        {
            "member": [0, 0, 1, 1],
            "epoch": [1, 2, 1, 2],
            "layer": ["", HOSTILE[1], HOSTILE[3], ""],
            "quantity": ["loss", "loss", "val_loss", "läß"],
            "value": [0.1, math.nan, math.inf, 5e-324],
        }
    )
    column = ColumnSummary(
        HOSTILE[2],
        "numeric",
        3,
        1,
        2,
        {"mean": 0.1, "sd": math.nan},
        (np.array([0.0, 0.5, 1.0]), np.array([1, 2])),
        (("x\n", 2),),
        0.25,
        "odd",
    )
    finding = Finding(
        "overfit",
        "S3",
        "generalisation",
        "warning",
        0.75,
        "It 'overfits' by 1/3.",
        {"gap": 1 / 3, "nan": math.nan, "n": 3, "t": "\n"},
        "too <large>",
        ("dropout", "more data"),
        HOSTILE[3],
        7,
    )
    run = Run(
        model=Model(),
        trace=trace,
        outcome="stopped_early",
        recipe=recipe,
        diagnosis=Diagnosis((finding,), {"dead-units": "not watched"}, ("overfit", "underfit")),
        scores=(Score("log_loss", 1 / 3, math.nan, 0.5, n=6), Score("log_loss", 0.7, who="dummy")),
        held_out=HeldOut(np.array([0, 1, 1]), np.array([0.25, 1 / 3, math.nan]), "out_of_fold"),
        summary=Summary(
            30,
            (column,),
            (column,),
            {"yes\n": 15, "<no>": 15},
            0,
            ((*HOSTILE[:2], -0.99),),
            ((HOSTILE[0], "why"),),
            ("look",),
        ),
        preparation=Preparation.fit(problem, np.arange(30), recipe.prepare),
        facts={
            "name": HOSTILE[0],
            "kind": "binary",
            "target_names": [HOSTILE[1]],
            "classes": list(problem.classes),
            "seconds": 1.25,
            "fingerprint": "ab" * 32,
            "members": [{"best_val_loss": math.nan, "best_epoch": 3}],
            "temperature": None,
            "source": HOSTILE[0],
        },
        environment={"time": "2024-01-01T00:00:00+00:00", "note": HOSTILE[5]},
    )
    return replace(run, **changes)


def assert_same(a: Any, b: Any, where: str = "run") -> None:
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, where
        np.testing.assert_array_equal(a, b, err_msg=where)
    elif isinstance(a, float):
        assert a == b or (math.isnan(a) and math.isnan(b)), where
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, (list, tuple)):
        assert type(a) is type(b), where
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    elif hasattr(a, "__dataclass_fields__"):
        assert type(a) is type(b), where
        for f in fields(a):
            assert_same(getattr(a, f.name), getattr(b, f.name), f"{where}.{f.name}")
    else:
        assert a == b, where


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = make_run()
    path = save_run(run, tmp_path / "runs" / "iris-1")
    back = load_run(path, model=False)
    assert back.model is None
    for name in ("trace", "outcome", "recipe", "diagnosis", "scores", "held_out", "summary", "facts"):
        assert_same(getattr(run, name), getattr(back, name), name)
    assert_same(run.preparation.to_dict(), back.preparation.to_dict())
    assert back.environment["seed"] == 3
    assert back.environment["fingerprint"] == "ab" * 32
    assert back.environment["time"] == "2024-01-01T00:00:00+00:00"
    assert set(back.environment["packages"]) == {"fallline", "numpy", "jax", "jaxlib", "keras", "optax", "scikit-learn"}
    assert back.environment["packages"]["numpy"] == np.__version__
    folder = RunFolder.open(path)
    assert (folder.status, folder.verify()) == ("finished", [])
    assert folder.read("model.keras") == b"weights"
    assert sorted(p.name for p in path.iterdir()) == sorted(
        [
            "environment.json",
            "held_out.npz",
            "manifest.json",
            "model.keras",
            "preparation.json",
            "recipe.toml",
            "run.json",
            "trace.parquet",
        ]
    )
    for name in ("run.json", "environment.json", "preparation.json"):
        json.loads((path / name).read_text(), parse_constant=pytest.fail)  # strict JSON for everyone


def test_what_the_loaded_model_did_comes_back_and_nonsense_is_refused(tmp_path: Path) -> None:
    rows, some = np.array([3, 5]), np.array([0.25, 0.75])
    final = FinalModel("model.keras", "ab" * 32, 7, "test", 9, 1e-9, rows, rows, some, some, "log_loss", (HOSTILE[0],),
                       np.array([[0.1, math.nan]]), 9, 2)  # fmt: skip
    path = save_run(make_run(final=final), tmp_path / "run")
    back = load_run(path, model=False)
    assert_same(back.final, final)
    with RunFolder.open(path) as folder:
        for wrong in ({"columns": ("a", "b")}, {"again": some[:1]}, {"n": "many"}):
            write_final(folder, replace(final, **wrong))
            with pytest.raises(RunFolderError, match=r"final\.json is not what fallline writes"):
                load_run(path, model=False)


def test_a_run_of_ones_own_keras_model_has_no_recipe_and_comes_back(tmp_path: Path) -> None:
    run = make_run(
        recipe=None, preparation=None, held_out=None, summary=None, scores=(), diagnosis=Diagnosis(), facts={}
    )
    back = load_run(save_run(run, tmp_path / "own"), model=False)
    assert (back.recipe, back.preparation, back.held_out, back.summary, back.scores) == (None, None, None, None, ())
    assert_same(run.trace, back.trace)


def test_saving_again_needs_to_be_asked_for_and_replaces_everything(tmp_path: Path) -> None:
    path = save_run(make_run(), tmp_path / "run")
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    with pytest.raises(RunFolderError, match="exists already"):
        save_run(make_run(), path)
    with pytest.raises(RunFolderError, match=r"without its model"):
        save_run(load_run(path, model=False), path, overwrite=True)
    with pytest.raises(RunFolderError, match=r"facts.*'bad' is a object"):
        save_run(make_run(facts={"bad": object()}), path, overwrite=True)
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    save_run(make_run(held_out=None, outcome="diverged"), path, overwrite=True)
    assert load_run(path, model=False).outcome == "diverged"
    assert not (path / "held_out.npz").exists()


def test_a_run_is_begun_interrupted_resumed_and_finished_in_one_folder(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as folder:
        write_start(folder, recipe=default(), facts={"kind": "binary", "target_names": ["y"]})
        folder.save_checkpoint({"w": np.ones(3)}, {"epoch": 2})
        with pytest.raises(RunFolderError, match="no finished run"):
            load_run(folder.path)
        assert [(e.status, e.kind, e.target) for e in list_runs(tmp_path)] == [("training", "binary", "y")]
        write_run(folder, make_run(outcome="interrupted"))
    with RunFolder.open(tmp_path / "run") as folder:
        assert folder.status == "interrupted"
        assert folder.load_checkpoint()[1] == {"epoch": 2}
        folder.write("report.html", b"<p>")
        write_run(folder, make_run())
        assert folder.status == "finished"
        assert folder.load_checkpoint() is None
        assert "report.html" in folder.names
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_a_wrong_shape_of_run_json_is_an_error_with_the_files_name(tmp_path: Path) -> None:
    path = save_run(make_run(), tmp_path / "run")
    body = json.loads((path / "run.json").read_text())
    for change in (
        {"version": 9},
        {"outcome": "great"},
        {"scores": [{"x": 1}]},
        {"summary": {}},
        {"diagnosis": None},
        {"facts": {"$x": 1}},
    ):
        with RunFolder.open(path) as folder:
            folder.write("run.json", json.dumps(body | change).encode())
        with pytest.raises(RunFolderError, match=r"run\.json is not what fallline writes"):
            load_run(path, model=False)
    with RunFolder.open(path) as folder:
        folder.write("run.json", b"[]")
    with pytest.raises(RunFolderError, match=r"run\.json"):
        load_run(path, model=False)


def test_the_trace_is_a_table_for_everyone() -> None:
    trace = make_run().trace
    data = trace_to_parquet(trace)
    assert data == trace_to_parquet(trace)
    import io

    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    assert file.schema_arrow.names == ["member", "epoch", "layer", "quantity", "value"]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.schema_arrow.metadata[b"fallline.format"] == b"fallline trace 1"
    empty = Trace.from_columns({name: [] for name in ("member", "epoch", "layer", "quantity", "value")})
    assert len(trace_from_parquet(trace_to_parquet(empty)).value) == 0
    assert trace_from_parquet(data).value.flags.writeable
    out = io.BytesIO()
    pd.DataFrame({"a": [1]}).to_parquet(out)
    for other in (out.getvalue(), b"", b"PAR1" * 10, data[:-9]):
        with pytest.raises(RunFolderError, match=r"trace\.parquet"):
            trace_from_parquet(other)


def test_the_list_shows_everything_and_never_breaks(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    save_run(make_run(), tmp_path / "good")
    with RunFolder.create(tmp_path / "begun") as folder:
        folder.save_checkpoint({"w": np.ones(2)})
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "x.txt").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "good")
    for name, text in {
        "old": '{"format": "fallline run folder", "version": 0}',
        "torn": '{"format": "fall',
        "list": "[]",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    save_run(make_run(), tmp_path / "flipped")
    content = (tmp_path / "flipped" / "run.json").read_bytes()
    (tmp_path / "flipped" / "run.json").write_bytes(content.replace(b"stopped", b"stOpped"))
    with RunFolder.create(tmp_path / "odd") as folder:
        folder.write("run.json", b'{"facts": 3}')
    entries = {entry.name: entry for entry in list_runs(tmp_path)}
    assert set(entries) == {"good", "begun", "empty", "foreign", "old", "torn", "list", "flipped", "odd"}
    good = entries["good"]
    assert (good.status, good.kind, good.metric, good.value, good.seconds) == (
        "finished",
        "binary",
        "log_loss",
        1 / 3,
        1.25,
    )
    assert good.target == HOSTILE[1]
    assert good.problem == ""
    assert (entries["begun"].status, entries["begun"].problem) == ("interrupted", "nothing was saved yet")
    assert {n for n, e in entries.items() if e.status == "unusable"} == {
        "empty",
        "foreign",
        "old",
        "torn",
        "list",
        "flipped",
        "odd",
    }
    assert "version 0" in entries["old"].problem
    assert "no manifest.json" in entries["foreign"].problem
    assert "run.json" in entries["flipped"].problem


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("iris", "iris-1"),
        ("../../etc/x.csv", "etc-x-1"),
        ("a\nb", "a-b-1"),
        ("", "run-1"),
        ("...", "run-1"),
        ("日本 data.csv.gz", "日本-data-1"),
        ("x" * 300, "x" * 60 + "-1"),
        ("house-2", "house-2-1"),
    ],
)
def test_new_names_are_readable_and_stay_inside(tmp_path: Path, stem: str, name: str) -> None:
    assert next_name(tmp_path / "runs", stem) == name
    assert (tmp_path / "runs" / name).is_dir()
    assert next_name(tmp_path / "runs", stem) == name[:-1] + "2"
    with RunFolder.create(tmp_path / "runs" / name) as folder:
        folder.write("a.txt", b"")


@pytest.mark.slow
def test_a_keras_model_comes_back_and_ones_own_layers_must_be_named(tmp_path: Path) -> None:
    import keras

    class Double(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    stock = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
    path = save_run(make_run(model=stock), tmp_path / "stock")
    np.testing.assert_array_equal(load_run(path).model(x), stock(x))
    own = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Double()])
    path = save_run(make_run(model=own), tmp_path / "own")
    with pytest.raises(RunFolderError, match=r"own/model\.keras is refused: .*'Double'.*custom_objects"):
        load_run(path)
    np.testing.assert_array_equal(load_run(path, custom_objects={"Double": Double}).model(x), own(x))
