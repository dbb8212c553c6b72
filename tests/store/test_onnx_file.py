"""A model as ONNX predicts what it predicts as Keras."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from fallline.errors import InputError, MissingPackageError
from fallline.types import Run, Trace
from tests.make import trace


def _run(model: keras.Model) -> Run:
    seen: Trace = trace({"loss": [1.0, 0.5]})
    return Run(model=model, trace=seen, outcome="completed")


def _model() -> keras.Model:
    keras.utils.set_random_seed(0)
    number, kind = keras.Input((3,), name="number"), keras.Input((2,), name="kind")
    filled = keras.layers.Normalization(mean=1.0, variance=4.0)(number)
    hidden = keras.layers.Dense(4, "gelu")(keras.layers.Concatenate()([filled, kind]))
    return keras.Model([number, kind], keras.layers.Dense(2, "softmax")(keras.layers.BatchNormalization()(hidden)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the converter's own imports
def test_another_runtime_predicts_the_same(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    model, path = _model(), tmp_path / "model.onnx"
    assert _run(model).export_onnx(path) == path
    rng = np.random.default_rng(0)
    for rows in (1, 7):
        given = [rng.normal(size=(rows, width)).astype("float32") for width in (3, 2)]
        session = runtime.InferenceSession(str(path))
        named = {one.name: values for one, values in zip(session.get_inputs(), given, strict=True)}
        np.testing.assert_allclose(session.run(None, named)[0], np.asarray(model(given)), atol=1e-5)
    with pytest.raises(InputError, match="exists already"):
        _run(model).export_onnx(path)


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(MissingPackageError, match=r"fallline\[onnx\]"):
        _run(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])).export_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_converted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    def refuse(*arguments: object, **keywords: object) -> None:
        raise NotImplementedError("no such operation.")

    monkeypatch.setitem(sys.modules, "jax2onnx", keras)  # anything that can be imported
    monkeypatch.setattr(model, "export", refuse)
    with pytest.raises(InputError, match="no such operation"):
        _run(model).export_onnx(tmp_path / "model.onnx")
