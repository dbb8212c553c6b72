"""``fallline improve MODEL.keras DATA``."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.cli.arrays import require_fitting
from fallline.errors import InputError
from fallline.improve.keras_models import design_from
from fallline.keras_config import without_tensorflow
from fallline.store import load_model, read_compiled
from fallline.treatments import treat
from fallline.types import Diagnosis, ImproveEvent, Improvement, Score

X = (np.random.default_rng(0).normal(size=(60, 3)) * [1.0, 500.0, 1.0]).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def own_loss(y: Any, p: Any) -> Any:
    return keras.ops.mean((y - p) ** 2)


def network(units: int = 1, activation: str = "sigmoid", *, inputs: int = 3) -> Any:
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units, activation, name="out")])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, compiled in several ways, and data."""
    tmp_path = tmp_path_factory.mktemp("models")
    with without_tensorflow():
        save_models(tmp_path)
    (tmp_path / "broken.keras").write_text("no archive")
    (tmp_path / "model.h5").write_text("another format")
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    np.savez(tmp_path / "two.npz", a=X, b=X, y=Y)
    np.savez(tmp_path / "narrow.npz", x=X[:, :2], y=Y)
    np.savez(tmp_path / "pairs.npz", x=X, y=np.stack([Y, Y], 1))
    (tmp_path / "data.csv").write_text("a,y\n1,2\n")
    return tmp_path


def save_models(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "bare.keras")
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), keras.losses.BinaryCrossentropy(True), metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 9)), own_loss, metrics=[own_loss])
    model.save(tmp_path / "own.keras")
    model.compile("adam", keras.losses.Huber(0.1))
    model.save(tmp_path / "huber.keras")


@pytest.fixture
def files(tmp_path: Path, made: Path) -> Path:
    """The same in the folder of the test."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def improved(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for `fallline.improve.improve`: one epoch, and a treatment that helps; the calls."""
    calls: list[dict[str, Any]] = []

    def improve(control: Any, x: Any, y: Any, **options: Any) -> Improvement:
        Path(options["folder"]).mkdir(parents=True, exist_ok=True)
        calls.append({"control": control, "x": x, "y": y, **options})
        options["on_event"](ImproveEvent("diagnosed", "The training shows nothing wrong."))
        training = {"epochs": options["epochs"], "batch_size": options["batch_size"]}
        better = treat(design_from(control, None, None, training), ["scale-inputs", "lower-learning-rate"], x, y)
        run = fl.train(better.build(), x, y, epochs=1, verbose=0)
        scores = (Score("model", "log_loss", 0.1, higher_is_better=False, n=12),)
        names = ("scale-inputs", "lower-learning-rate")
        empty = Diagnosis()
        return Improvement(better, names, run, scores, (), empty, empty, "budget", 7, 1.0)

    # The package, not the function of that name that `fallline` has in its place.
    monkeypatch.setattr(sys.modules["fallline.improve"], "improve", improve)
    return calls


def test_a_model_is_trained_as_it_was_compiled_and_its_folder_tells_what_to_change(cli, files, improved):
    shown = cli("improve", "model.keras", "data.npz", "--epochs", "3", "--folds", "2")
    assert shown.code == 0, shown.err
    said = " ".join(shown.out.split())
    assert said.startswith(
        "Taken from model.keras: loss binary_crossentropy of logits, optimizer SGD, learning rate 0.5, metrics "
        "accuracy. Given: epochs 3. Guessed: batch size 32."
    )
    (call,) = improved
    assert (call["epochs"], call["batch_size"], call["folds"]) == (3, 32, 2)
    assert call["control"].optimizer.get_config()["momentum"] == pytest.approx(0.9)
    assert "optimizer SGD: learning_rate 0.5 -> 0.05" in said
    assert "Normalization 'scale_inputs': added in front" in said
    folder = files / "improved" / "model-keras-1"
    assert load_model(folder / "model.keras").predict(X[:5], verbose=0).shape == (5, 1)
    told = json.loads((folder / "improvement.json").read_text())
    assert told["treatments"] == ["scale-inputs", "lower-learning-rate"]
    assert told["training"] == {"epochs": 3, "batch_size": 32}
    assert (folder / "run" / "report.html").stat().st_size > 1000
    again = cli("improve", "--resume", str(folder), "--json")
    assert again.code == 0, again.err
    events = [json.loads(line) for line in again.out.splitlines()]
    assert [event["event"] for event in events] == ["read", "diagnosed", "finished"]
    assert events[0]["taken"]["learning_rate"] == 0.5
    assert improved[1]["epochs"] == 3, "the options of the first call"
    moved = cli("improve", "--resume", str(folder), "model.keras")
    assert (moved.code, "goes on with the files" in moved.err) == (2, True)


def test_options_take_the_place_of_what_the_file_says(cli, files, improved):
    options = ("--loss", "mse", "--optimizer", "RMSprop", "--learning-rate", "0.25", "--epochs", "1")
    shown = cli("improve", "own.keras", "data.npz", "-o", "out", *options, "--batch-size", "8", "--json")
    assert shown.code == 0, shown.err
    read = json.loads(shown.out.splitlines()[0])
    assert (read["taken"], read["guessed"]) == ({}, {})
    assert "own_loss" in read["left_out"]["metrics"]
    control = improved[0]["control"]
    assert type(control.loss).__name__ == "MeanSquaredError"
    assert float(control.optimizer.learning_rate) == 0.25
    assert improved[0]["batch_size"] == 8
    kept = (files / "out" / "model.keras").read_bytes()
    refused = cli("improve", "bare.keras", "data.npz", "-o", "out")
    assert (refused.code, "exists already" in refused.err) == (2, True)
    assert (files / "out" / "model.keras").read_bytes() == kept


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("model.keras",), 2, "A model is improved on its data: fallline improve model.keras data.npz -t y."),
        (("model.keras", "none.npz"), 2, "none.npz cannot be read as arrays"),
        (("none.keras", "data.npz"), 1, "There is no file none.keras"),
        (("model.h5", "data.npz"), 1, "only .keras files are loaded"),
        (("broken.keras", "data.npz"), 1, "broken.keras is refused"),
        (("own.keras", "data.npz"), 2, "compiled with the loss 'own_loss', which is not Keras' own"),
        (("model.keras", "data.npz", "--loss", "mss"), 2, "There is no loss 'mss'. Did you mean"),
        (("model.keras", "data.npz", "--optimizer", "adma"), 2, "There is no optimizer 'adma'. Did you mean"),
        (("model.keras", "data.npz", "--learning-rate", "nan"), 2, "it takes a number above 0"),
        (("model.keras", "data.npz", "-t", "z"), 2, "it takes 'z'"),
        (("model.keras", "narrow.npz"), 2, "takes rows of the shape (3), but beside 'y' narrow.npz holds rows of"),
        (("model.keras", "pairs.npz"), 2, "'y' in pairs.npz has rows of the shape (2)"),
        (("model.keras", "two.npz"), 2, "The model takes one input, but beside 'y' two.npz holds a, b"),
        (("model.keras", "data.npz", "--preset", "simple"), 2, "--preset is of tables"),
        (("model.keras", "data.npz", "--kind", "binary"), 2, "--kind is of tables"),
        (("model.keras", "data.npz", "training.epochs=3"), 2, "is an entry of a recipe"),
        (("model.keras", "data.npz", "--delimiter", ";"), 2, "--delimiter says how a text table is written"),
        (("data.csv", "-t", "y", "--epochs", "3", "--loss", "mse"), 2, "training.loss=cross_entropy training.ep"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing_behind(cli, files, improved, arguments, code, words):
    wrong = cli("improve", *arguments)
    assert wrong.code == code, wrong.err
    assert words in wrong.err
    assert "Traceback" not in wrong.err
    assert not improved
    assert not (files / "improved").exists()


def test_what_was_not_compiled_is_guessed(cli, files, improved):
    shown = cli("improve", "bare.keras", "data.npz", "--epochs", "1", "--json")
    assert shown.code == 0, shown.err
    read = json.loads(shown.out.splitlines()[0])
    assert read["guessed"] == {
        "optimizer": "Adam", "learning_rate": 0.001, "loss": "binary_crossentropy (fits its output and 'y')",
        "batch_size": 32,
    }  # fmt: skip


def test_only_what_is_keras_own_is_read_from_a_file(files):
    found = read_compiled(files / "own.keras")
    assert found.loss is None
    assert found.refused["loss"] == "'own_loss'"
    with without_tensorflow():
        assert found.optimizer.get_config()["learning_rate"]["class_name"] == "CosineDecay"
    assert read_compiled(files / "huber.keras").unsaid == ("delta = 1.0",)
    with zipfile.ZipFile(files / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for compiled in (
        {"loss": {"module": "os", "class_name": "system", "config": "true", "registered_name": None}},
        {"loss": {"module": "keras.losses", "class_name": "deserialize", "config": {}}},
        {"loss": {"module": "os", "class_name": "function", "config": "mse"}},
        {"loss": {"module": "keras.losses", "class_name": "Huber", "config": {"delta": {"class_name": "x"}}}},
        {"loss": {"module": "keras.losses", "class_name": "Huber", "config": {"fn": "x"}}},
        {"optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {"learning_rate": {}}}},
        {"optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {"momentum": 1e300}}},
        {"optimizer": 3},
    ):
        config = {**json.loads(members["config.json"]), "compile_config": compiled}
        with zipfile.ZipFile(files / "odd.keras", "w") as archive:
            for name, content in {**members, "config.json": json.dumps(config).encode()}.items():
                archive.writestr(name, content)
        odd = read_compiled(files / "odd.keras")
        assert (odd.loss, odd.optimizer) == (None, None), compiled
        assert list(odd.refused) == list(compiled)


def test_class_numbers_and_one_hot_rows_are_told_apart():
    model = network(2, "softmax")
    require_fitting(model, X, Y, "d.npz", "y", indices=True)
    require_fitting(model, X, np.eye(2)[Y], "d.npz", "y", indices=False)
    with pytest.raises(InputError, match="--loss sparse_categorical_crossentropy"):
        require_fitting(model, X, Y, "d.npz", "y", indices=False)
    with pytest.raises(InputError, match="class numbers of the shape"):
        require_fitting(model, X, np.eye(2)[Y], "d.npz", "y", indices=True)
