"""Plain values and arrays come back exactly, and nothing else is read."""

from __future__ import annotations

import datetime as dt
import io
import math
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fallline.errors import RunFolderError
from fallline.store.arrays import pack, unpack
from fallline.store.plain import dumps, loads

_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.datetimes() | st.dates()
)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner))


@given(_VALUES)
def test_plain_values_come_back_exactly(value: object) -> None:
    assert loads(dumps(value)) == value
    assert dumps(loads(dumps(value))) == dumps(value)


def test_what_json_has_no_word_for() -> None:
    value = {
        "a": [math.nan, math.inf, -math.inf, -0.0, 5e-324],
        "$float": "a key",
        "t": (1, 2),
        "s": np.float32(0.1),
        "u": "\ud800",
    }
    back = loads(dumps(value))
    assert math.isnan(back["a"][0])
    assert back["a"][1:] == [math.inf, -math.inf, 0.0, 5e-324]
    assert math.copysign(1, back["a"][3]) == -1
    assert back["$float"] == "a key"
    assert back["t"] == [1, 2]
    assert back["s"] == float(np.float32(0.1))
    assert back["u"] == "\ud800"
    assert loads(dumps(np.datetime64("2024-02-29T12:00", "ns"))) == dt.datetime.fromisoformat("2024-02-29T12:00")
    array = loads(dumps(np.array([[1.5, math.nan]], np.float32)))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[1.5, math.nan]])


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, b"x", {1, 2}, np.array([object()]), 1j])
def test_anything_else_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(RunFolderError, match="the value"):
        dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        b"NaN",
        b"Infinity",
        b'{"a": 1, "a": 2}',
        b'{"$float": "9"}',
        b'{"$array": ["O", [1], [1]]}',
        b'{"$array": ["<f8", [9], [1]]}',
        b'{"$array": ["<U99999999", [1], ["a"]]}',
        b'{"$other": 1}',
        b'{"$float": "nan", "b": 1}',
        b"[" * 100_000,
        b"1" * 10_000,
        b"\xff",
        b"",
    ],
)
def test_other_text_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        loads(text)


_DTYPES = st.sampled_from(["bool", "int8", "int64", "uint16", "uint32", "float16", "float32", "float64"])


@given(
    st.dictionaries(st.text(), hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)), max_size=4)
)
def test_arrays_come_back_bit_for_bit(arrays: dict[str, np.ndarray]) -> None:
    data = pack(arrays, {"names": list(arrays)})
    back, meta = unpack(data)
    assert list(back) == list(arrays) == meta["names"]
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape, back[name].tobytes()) == (array.dtype, array.shape, array.tobytes())
        assert back[name].flags.writeable
    assert pack(back, meta) == data


def test_memory_layout_and_bfloat16() -> None:
    import ml_dtypes

    w = np.arange(6.0).reshape(2, 3)
    assert pack({"w": w.T}) == pack({"w": w.T.copy()})
    half = np.array([1.5, -2], ml_dtypes.bfloat16)
    back, _ = unpack(pack({"h": half}))
    assert back["h"].dtype == half.dtype
    assert back["h"].tolist() == [1.5, -2]
    with np.load(io.BytesIO(pack({"w": w}))) as plain:  # a plain .npz for everyone else
        np.testing.assert_array_equal(plain["0"], w)


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.array([1j]), np.array(["2020"], "M8[D]")])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(RunFolderError, match="Array 'a' has type"):
        pack({"a": array})


def _zip(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _npy(array: np.ndarray, **keywords: bool) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=(1, 0), **keywords)
    return out.getvalue()


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was executed')",)


def _header(dtype: str = "float64", shape: tuple[int, ...] = (2,)) -> bytes:
    return dumps({"arrays": [{"name": "a", "dtype": dtype, "shape": shape}], "meta": None})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pickle.dumps(Evil()),
        _zip({}),
        _zip({"header.json": _header()}),
        _zip({"0.npy": _npy(np.zeros(2)), "header.json": _header()}),
        _zip({"header.json": _header(), "1.npy": _npy(np.zeros(2))}),
        _zip({"header.json": _header(), "0.npy": _npy(np.zeros(2)), "../x": b""}),
        _zip({"header.json": _header(), "0.npy": _npy(np.zeros(2))}, zipfile.ZIP_DEFLATED),
        _zip({"header.json": _header(), "0.npy": _npy(np.zeros(3))}),
        _zip({"header.json": _header(), "0.npy": _npy(np.zeros(2, np.float32))}),
        _zip({"header.json": _header("object"), "0.npy": _npy(np.array([Evil(), Evil()]), allow_pickle=True)}),
        _zip({"header.json": _header(), "0.npy": _npy(np.array([Evil(), Evil()]), allow_pickle=True)}),
        _zip(
            {
                "header.json": _header(shape=(10**15,)),
                "0.npy": _npy(np.zeros(2)).replace(b"(2,), }" + b" " * 15, b"(1000000000000000,), }"),
            }
        ),
        _zip({"header.json": _header(shape=(-2,)), "0.npy": _npy(np.zeros(2))}),
        _zip({"header.json": _header(), "0.npy": _npy(np.zeros(2))[:-1]}),
        _zip({"header.json": _header(), "0.npy": b"\x93NUMPY\x01\x00\x10\x00__import__('os')"}),
    ],
)
def test_other_archives_are_refused(data: bytes) -> None:
    with pytest.raises(RunFolderError, match="Cannot read"):
        unpack(data)
