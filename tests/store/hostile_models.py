"""Loads honest and malicious model files under an audit hook; started in a fresh interpreter by test_model_file.py.

Prints one JSON object: name -> what came of it, and ``events``: what the interpreter did that it should not have.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import h5py
import keras
import numpy as np
from keras import layers, ops

from fallline.errors import RunFolderError
from fallline.store.model_file import load_model, load_model_bytes, model_bytes

Config = dict[str, Any]
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "pickle.",
    "marshal.",
    "ctypes.",
    "urllib.",
    "ftplib.",
    "shutil.",
    "code.__new__",
    "os.symlink",
    "os.link",
    "os.chmod",
    "os.rename",
    "webbrowser.",
)


def members(data: bytes) -> tuple[Config, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("config.json")), archive.read("model.weights.h5")


def archive_of(parts: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    import warnings

    with zipfile.ZipFile(out, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in parts:
            archive.writestr(name, content)
    return out.getvalue()


def packed(config: Any, weights: bytes) -> bytes:
    return archive_of(
        [("metadata.json", b"{}"), ("config.json", json.dumps(config).encode()), ("model.weights.h5", weights)]
    )


def honest_models() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    x = keras.Input((4,))
    filled = ops.where(ops.isnan(x), ops.zeros_like(x), x)
    scaled = (filled - np.ones(4, "float32")) / 2.0
    waves = ops.reshape(ops.sin(ops.einsum("bi,ij->bij", scaled[:, :2], np.ones((2, 3), "float32"))), (-1, 6))
    code = ops.cast(ops.clip(filled[:, 0], 0, 2), "int32")
    h = ops.concatenate(
        [scaled / ops.sqrt(1 + ops.square(scaled)), waves, ops.one_hot(code, 3), layers.Embedding(3, 2)(code)], axis=-1
    )
    h = layers.Dense(
        5, activation="silu", kernel_initializer="he_normal", kernel_regularizer=keras.regularizers.L2(1e-3)
    )(h)
    h = layers.Dropout(0.1)(layers.BatchNormalization()(h))
    y = ops.mean(ops.stack([layers.Dense(2)(h), layers.Dense(2, kernel_constraint="max_norm")(h)], axis=1), axis=1)
    model = keras.Model(x, keras.activations.softmax(y))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    yield "operations", model, (3, 4)

    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.PReLU(), layers.GaussianNoise(0.1)])
    yield (
        "nested",
        keras.Sequential(
            [keras.Input((4,)), layers.Rescaling(2.0), layers.Normalization(mean=1.0, variance=4.0), inner]
        ),
        (3, 4),
    )
    yield (
        "images",
        keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(2, 3, activation="tanh"),
                layers.AveragePooling2D(2),
                layers.Flatten(),
                layers.Dense(2),
            ]
        ),
        (2, 8, 8, 1),
    )
    s = keras.Input((5, 3))
    h = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(s)
    h = layers.MultiHeadAttention(2, 2)(h, h)
    h = layers.TimeDistributed(layers.Dense(2))(layers.LayerNormalization()(h))
    yield (
        "sequences",
        keras.Model(s, layers.GlobalAveragePooling1D()(layers.GRU(2, return_sequences=True)(h))),
        (2, 5, 3),
    )
    yield "half", keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16")]), (3, 4)


def stock_object(module: str | None, name: str, config: Any, registered: str | None = None) -> Config:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def hostile_configs(base: Config) -> Iterator[tuple[str, Any]]:
    """Yield configurations, each with one thing in it that must not be there."""

    def with_layer(layer: Config) -> Config:
        changed = copy.deepcopy(base)
        changed["config"]["layers"].append(layer)
        return changed

    def at(*path: Any, value: Any) -> Config:
        changed = copy.deepcopy(base)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return changed

    code = base64.b64encode(b"\xe3 not even marshal").decode()
    function = {"class_name": "__lambda__", "config": {"value": [code, None, None]}}
    dense = ("config", "layers", 1, "config")
    yield "lambda layer", with_layer(stock_object("keras.layers", "Lambda", {"name": "l", "function": function}))
    yield (
        "lambda layer of a builtin",
        with_layer(stock_object("keras.layers", "Lambda", {"name": "l", "function": "exec"})),
    )
    yield "lambda as activation", at(*dense, "activation", value=function)
    yield "lambda in build_config", at("config", "layers", 1, "build_config", value={"input_shape": function})
    yield (
        "lambda layer, old form",
        with_layer({"class_name": "Lambda", "config": {"name": "l", "function": [code, None, None]}}),
    )
    yield "os.system as class", with_layer(stock_object("os", "system", {"command": "touch /tmp/owned"}))
    yield "os.system as function", at(*dense, "activation", value=stock_object("os", "function", "system", "system"))
    yield (
        "subprocess",
        at(*dense, "kernel_initializer", value=stock_object("subprocess", "Popen", {"args": ["touch", "owned"]})),
    )
    yield "builtin exec", at(*dense, "activation", value=stock_object("builtins", "function", "exec", "function"))
    yield (
        "keras utility",
        at(*dense, "activation", value=stock_object("keras.utils", "function", "get_file", "get_file")),
    )
    yield "keras loader", with_layer(stock_object("keras.saving", "load_model", {"filepath": "evil.h5"}))
    yield "unsafe switch", with_layer(stock_object("keras.config", "enable_unsafe_deserialization", {}))
    yield "deep module", with_layer(stock_object("keras.src.layers.core.lambda_layer", "Lambda", {"function": "exec"}))
    yield "module to import", with_layer(stock_object("keras_hub.evil", "Layer", {}))
    yield "this module", with_layer(stock_object("antigravity", "Layer", {}))
    yield "registered name", at("config", "layers", 1, "registered_name", value="evil>Layer")
    yield "registered text", at(*dense, "activation", value="evil>activation")
    yield "torch", with_layer(stock_object("keras.layers", "TorchModuleWrapper", {"module": "gASVJQ=="}))
    yield "saved model", with_layer(stock_object("keras.layers", "TFSMLayer", {"filepath": "/tmp/x"}))
    yield "jax layer", with_layer(stock_object("keras.layers", "JaxLayer", {"call_fn": function}))
    yield "file as vocabulary", with_layer(stock_object("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}))
    yield (
        "text vectorization",
        with_layer(stock_object("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"})),
    )
    yield (
        "wrapped lambda",
        with_layer(
            stock_object(
                "keras.layers",
                "TimeDistributed",
                {"name": "t", "layer": stock_object("keras.layers", "Lambda", {"function": function})},
            )
        ),
    )
    yield "operation with a function", with_layer(stock_object("keras.src.ops.core", "Map", {"function": function}))
    yield "while loop", with_layer(stock_object("keras.src.ops.core", "WhileLoop", {"cond": "exec", "body": "exec"}))
    yield (
        "type spec",
        with_layer(
            {
                "class_name": "__typespec__",
                "spec_name": "TensorSpec",
                "config": [],
                "module": "os",
                "registered_name": None,
            }
        ),
    )
    yield "object array", with_layer({"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}})
    yield "module without class", at(*dense, "extra", value={"module": "os", "config": {}})
    yield "more memory than weights", at(*dense, "units", value=10**11)
    yield "not a model", ["keras"]
    yield "a model that is a string", {"class_name": 7, "module": "keras", "config": {}}
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    sys.setrecursionlimit(20_000)
    yield "deep nesting", at(*dense, "extra", value=deep)


def hostile_weights() -> Iterator[tuple[str, bytes]]:
    def written(fill: Callable[[Any], None]) -> bytes:
        out = io.BytesIO()
        with h5py.File(out, "w") as file:
            fill(file)
        return out.getvalue()

    def cycle(file: Any) -> None:
        file.create_group("a")["b"] = file["/"]

    def hard(file: Any) -> None:
        file["a"] = np.zeros(1000)
        for i in range(50):
            file[f"b{i}"] = file["a"]

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
        file.create_virtual_dataset("v", layout)

    yield "external link", written(lambda f: f.__setitem__("layers", h5py.ExternalLink("/etc/passwd", "/x")))
    yield "soft link", written(lambda f: f.__setitem__("layers", h5py.SoftLink("/x")))
    yield "external storage", written(lambda f: f.create_dataset("v", (4,), "u1", external=[("/etc/passwd", 0, 4)]))
    yield "virtual storage", written(virtual)
    yield "declared but absent", written(lambda f: f.create_dataset("v", (10**12,), "f4"))
    yield "filter", written(lambda f: f.create_dataset("v", data=np.zeros(10**5), compression="gzip"))
    yield "text", written(lambda f: f.create_dataset("v", data=["a", "b"]))
    yield "named type", written(lambda f: f.__setitem__("v", np.dtype("f4")))
    yield "cycle", written(cycle)
    yield "shared bytes", written(hard)
    yield "no hdf5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    yield "empty", b""


def hostile_archives(config: Config, weights: bytes) -> Iterator[tuple[str, bytes]]:
    text = json.dumps(config).encode()
    parts = [("metadata.json", b"{}"), ("config.json", text), ("model.weights.h5", weights)]
    whole = archive_of(parts)
    yield "an asset", archive_of([*parts, ("assets/vocabulary.txt", b"x")])
    yield "a way out", archive_of([*parts, ("../../owned.txt", b"x")])
    yield "an absolute name", archive_of([*parts, ("/tmp/owned.txt", b"x")])
    yield "two configurations", archive_of([*parts, ("config.json", text)])
    yield "no weights", archive_of(parts[:2])
    yield "npz weights", archive_of([*parts[:2], ("model.weights.npz", weights)])
    yield "bomb", archive_of([parts[0], ("config.json", text + b" " * 10**7), parts[2]], zipfile.ZIP_DEFLATED)
    yield "large metadata", archive_of([("metadata.json", b" " * 10**6), *parts[1:]])
    yield "no json", archive_of([parts[0], ("config.json", b"\xff{"), parts[2]])
    yield "encrypted", whole.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    yield "a pickle", pickle.dumps({"model": 1})
    yield "nothing", b""
    yield "half", whole[: len(whole) // 2]


def main(folder: Path) -> None:
    results: dict[str, str] = {}
    first: bytes = b""
    for name, model, shape in honest_models():
        data = model_bytes(model)
        first = first or data
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        loaded = load_model_bytes(data)
        same = np.array_equal(np.asarray(model(x), "float32"), np.asarray(loaded(x), "float32"))
        results[f"honest {name}"] = "same" if same and not loaded.compiled else "different"
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    config, weights = members(model_bytes(plain))
    compiled = copy.deepcopy(config)
    compiled["compile_config"] = {"loss": stock_object("os", "system", {})}
    results["honest without its compile part"] = "same" if load_model_bytes(packed(compiled, weights)) else ""

    files = [(f"config: {n}", packed(c, weights)) for n, c in hostile_configs(config)]
    files += [(f"weights: {n}", packed(config, w)) for n, w in hostile_weights()]
    files += [(f"archive: {n}", a) for n, a in hostile_archives(config, weights)]
    link = folder / "link.keras"
    link.symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.keras")
    (folder / "old.h5").write_bytes(weights)
    paths = [link, folder / "pipe.keras", folder / "old.h5", folder / "missing.keras", folder]
    events: list[str] = []
    watching = True
    temporary = str(Path(os.environ["TMPDIR"]).resolve())

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not watching:
            return
        if event in ("exec", "compile", "import") or event.startswith(_FORBIDDEN):
            if event == "shutil.rmtree" and str(args[0]).startswith(temporary):
                return
            events.append(f"{event} {str(args)[:200]}")
        if (
            event == "open"
            and isinstance(args[0], str)
            and args[2] & (os.O_WRONLY | os.O_RDWR)
            and not str(args[0]).startswith(temporary)
        ):
            events.append(f"open for writing {args[0]}")
        if event == "open" and "passwd" in str(args[0]) and not str(args[0]).endswith("link.keras"):
            events.append(f"open {args[0]}")

    sys.addaudithook(hook)
    for name, data in files:
        try:
            load_model_bytes(data, "given.keras")
            results[name] = "LOADED"
        except RunFolderError as error:
            results[name] = str(error)
    for path in paths:
        try:
            load_model(path)
            results[f"path: {path.name}"] = "LOADED"
        except RunFolderError as error:
            results[f"path: {path.name}"] = str(error)
    seen = len(events)
    exec("1")  # the hook must see what it is there for
    watching = False
    print(json.dumps({"results": results, "events": events[:seen], "control": events[seen:]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
