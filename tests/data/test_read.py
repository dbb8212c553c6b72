"""Reading files: every malformed table gives the right frame or one clear error (guarantee 11)."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.data import make_problem, read_table
from fallline.data.text import decode, sniff_delimiter
from fallline.errors import DataError

GOOD: dict[str, tuple[bytes, dict[str, list[Any]]]] = {
    "plain": (b"a,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
    "no newline at the end": (b"a,b\n1,2\n3,4", {"a": [1, 3], "b": [2, 4]}),
    "windows newlines": (b"a,b\r\n1,2\r\n", {"a": [1], "b": [2]}),
    "old mac newlines": (b"a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}),
    "blank lines": (b"a,b\n\n1,2\n\n\n3,4\n\n", {"a": [1, 3], "b": [2, 4]}),
    "utf-8 byte-order mark": (b"\xef\xbb\xbfa,b\n1,2\n", {"a": [1], "b": [2]}),
    "utf-16 little endian": ("\ufeffa,b\n1,é\n".encode("utf-16-le"), {"a": [1], "b": ["é"]}),
    "utf-16 big endian": ("\ufeffa,b\n1,é\n".encode("utf-16-be"), {"a": [1], "b": ["é"]}),
    "utf-16 without mark": ("alpha,beta\n1,2\n3,4\n".encode("utf-16-le"), {"alpha": [1, 3], "beta": [2, 4]}),
    "utf-32": ("a,b\n1,2\n".encode("utf-32"), {"a": [1], "b": [2]}),
    "cp1252": ("a,b\n1,Müller €\n".encode("cp1252"), {"a": [1], "b": ["Müller €"]}),
    "latin-1": (b"a,b\n1,caf\xe9\x81\n", {"a": [1], "b": ["caf\xe9\x81"]}),
    "utf-8": ("größe,b\n1,日本\n".encode(), {"größe": [1], "b": ["日本"]}),
    "semicolons": (b"a;b\n1;x,y\n2;z\n", {"a": [1, 2], "b": ["x,y", "z"]}),
    "tabs": (b"a\tb\n1\t2\n", {"a": [1], "b": [2]}),
    "bars": (b"a|b\n1|2\n", {"a": [1], "b": [2]}),
    "excel's separator line": (b"sep=;\na;b\n1;2\n", {"a": [1], "b": [2]}),
    "decimal comma": (b"a;b\n1,5;x\n-2,25;y\n", {"a": [1.5, -2.25], "b": ["x", "y"]}),
    "decimal comma with thousands": (b"a;b\n1.234,5;1\n12.000,25;2\n", {"a": [1234.5, 12000.25], "b": [1, 2]}),
    "decimal comma in quotes": (b'a,b\n"1,5",1\n"2,25",2\n', {"a": [1.5, 2.25], "b": [1, 2]}),
    "thousands in quotes": (b'a,b\n"1,500",1.5\n"22,250",2\n', {"a": [1500, 22250], "b": [1.5, 2.0]}),
    "currency and percent": (b'a,b\n"$1,200.50",5%\n$7,12.5%\n', {"a": [1200.5, 7.0], "b": [5.0, 12.5]}),
    "exponents and signs": (b"a,b\n1e3,+5\n-2.5E-2,.5\n", {"a": [1000.0, -0.025], "b": [5.0, 0.5]}),
    "missing words": (
        b"a,b\n1,x\nNA,?\n,null\n?,NaN\nnan,\n",
        {"a": [1, None, None, None, None], "b": ["x"] + [None] * 4},
    ),
    "missing words of numbers": (b"a,b\n1,1\n-,2\nNone,3\n.,4\n", {"a": [1, None, None, None], "b": [1, 2, 3, 4]}),
    "none is a category": (b"a,b\n1,None\n2,brick\n", {"a": [1, 2], "b": ["None", "brick"]}),
    "all-missing column": (b"a,b\n1,\n2,\n", {"a": [1, 2], "b": [None, None]}),
    "quotes": (b'a,b\n"1","he said ""x"""\n', {"a": [1], "b": ['he said "x"']}),
    "newline in quotes": (b'a,b\n"x\ny",2\n', {"a": ["x\ny"], "b": [2]}),
    "delimiter in quotes": (b'a,b\n"x,y",2\n', {"a": ["x,y"], "b": [2]}),
    "spaces around": (b"a , b\n 1 , x \n 2 ,y\n", {"a": [1, 2], "b": ["x", "y"]}),
    "postal codes": (b"zip,b\n02139,1\n10115,2\n", {"zip": ["02139", "10115"], "b": [1, 2]}),
    "hexadecimal is text": (b"a,b\n0x1A,1\n0x2B,2\n", {"a": ["0x1A", "0x2B"], "b": [1, 2]}),
    "underscores are text": (b"a,b\n1_000,1\n2_000,2\n", {"a": ["1_000", "2_000"], "b": [1, 2]}),
    "mixed numbers and text": (b"a,b\n1,1\nx,2\n", {"a": ["1", "x"], "b": [1, 2]}),
    "counting header": (b"0,1,2\n5,6,7\n", {"0": [5], "1": [6], "2": [7]}),
    "hostile names": (b"<script>,=1+1\n1,2\n", {"<script>": [1], "=1+1": [2]}),
    "one column": (b"a\n1\n2\n", {"a": [1, 2]}),
    "one row": (b"a,b\n1,2\n", {"a": [1], "b": [2]}),
    "large whole numbers": (b"a,b\n9007199254740993,1\n1,2\n", {"a": [9007199254740992.0, 1.0], "b": [1, 2]}),
    "control-z at the end": (b"a,b\n1,2\n\x1a", {"a": [1], "b": [2]}),
    "gzip": (gzip.compress(b"a,b\n1,2\n"), {"a": [1], "b": [2]}),
    "gzip of two members": (gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), {"a": [1, 3], "b": [2, 4]}),
    "gzip of utf-16": (gzip.compress("a,b\n1,2\n".encode("utf-16")), {"a": [1], "b": [2]}),
}

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"is empty"),
    "only white space": (b" \n\n \n", r"is empty"),
    "only a mark": (b"\xef\xbb\xbf", r"is empty"),
    "gzip of nothing": (gzip.compress(b""), r"is empty"),
    "header only": (b"a,b\n", r"no rows"),
    "header without newline": (b"a,b", r"no rows"),
    "short row": (b"a,b\n1,2\n3\n4,5\n", r"row 2 after the header has 1 value\(s\), but the header has 2\. .*Complete"),
    "long row": (b"a,b\n1,2\n3,4\n5,6,7\n", r"row 3 after the header has 3 .* header has 2\. .*quotation marks"),
    "several uneven rows": (b"a,b\n1\n3,4\n5,6,7\n", r"row 1 .*1 more rows are uneven"),
    "short row of semicolons": (b"a;b;c\n1;2;3\n1;2\n", r"row 2 after the header has 2"),
    "open quote": (b'a,b\n1,2\n"3,4\n5,6\n', r"row 2 .*opened and never closed"),
    "empty name": (b"a,,c\n1,2,3\n", r"column 2 of 3 has no name"),
    "index column without a name": (b",a,b\n0,1,2\n", r"column 1 of 3 has no name.*numbers the rows"),
    "trailing delimiter": (b"a,b,\n1,2,\n", r"column 3 of 3 has no name"),
    "repeated name": (b"a,b,a\n1,2,3\n", r"'a'.* more than once"),
    "empty and repeated names": (b"a,,a,\n1,2,3,4\n", r"column 2, 4 of 4 has no name and .*'a'.* more than once"),
    "no header": (b"1.5,2\n3,4\n", r"no header.*1\.5, 2"),
    "1e400": (b"a,b\n1,2\n1e400,4\n", r"column 'a', row 2 after the header says '1e400'"),
    "infinity": (b"a,b\n1,2\n3,-Infinity\n", r"column 'b', row 2 .*'-Infinity'.*infinite"),
    "inf among missing": (b"a,b\n,2\n3,2\ninf,3\n", r"column 'a', row 3 .*'inf'"),
    "nul byte": (b"a,b\n1,2\n3,\x004\n", r"line 3 holds a NUL"),
    "nul in utf-16": ("\ufeffa,b\n1,\0\n".encode("utf-16-le"), r"line 2 holds a NUL"),
    "half a utf-16 character": ("\ufeffa,b\n1,2\n".encode("utf-16-le") + b"\x31", r"utf-16.*damaged or cut off"),
    "control characters": (b"a,b\n\x01\x02\x03\x04,2\n", r"control characters"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), r"PNG image"),
    "pdf": (b"%PDF-1.7\nxx", r"PDF"),
    "excel": (b"PK\x03\x04" + bytes(60), r"Excel workbook"),
    "old excel": (b"\xd0\xcf\x11\xe0" + bytes(60), r"old Excel"),
    "single array": (b"\x93NUMPY\x01\x00", r"single NumPy array"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", r"HDF5"),
    "program": (b"\x7fELF" + bytes(60), r"program"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", r"HTML"),
    "json": (b'{"a": [1, 2]}', r"JSON"),
    "truncated gzip": (gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-12], r"truncated gzip"),
    "damaged gzip": (gzip.compress(b"a,b\n1,2\n")[:12] + b"\xff" * 8 + gzip.compress(b"a,b\n1,2\n")[20:], r"gzip file"),
    "gzip bomb": (gzip.compress(bytes(66 * 2**20)), r"decompression bomb"),
    "gzip of binary": (gzip.compress(b"\x89PNG\r\n\x1a\n"), r"PNG"),
    "points and commas": (b"a;b\n1,5;2.5\n2,5;3.5\n", r"decimal comma \(2\) and numbers with a decimal point \(2\)"),
    "damaged parquet": (b"PAR1" + bytes(40) + b"PAR1", r"Parquet"),
    "truncated parquet": (b"PAR1", r"Parquet"),
}


def _write(folder: Path, content: bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _plain(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {name: [None if pd.isna(value) else value for value in frame[name].tolist()] for name in frame.columns}


@pytest.mark.parametrize("case", GOOD)
def test_unusual_files_give_the_right_frame(case: str, tmp_path: Path) -> None:
    content, expected = GOOD[case]
    assert _plain(read_table(_write(tmp_path, content))) == expected


@pytest.mark.parametrize("case", BAD)
def test_malformed_files_give_one_clear_error(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    path = _write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_there_are_at_least_sixty_malformed_tables() -> None:
    assert len(GOOD) + len(BAD) >= 60


def test_kinds_of_numbers_are_kept(tmp_path: Path) -> None:
    frame = read_table(_write(tmp_path, b"whole,real,gaps,text\n1,1.0,1,x\n2,2.5,,y\n"))
    assert [frame[name].dtype.kind for name in ("whole", "real", "gaps")] == ["i", "f", "f"]
    assert frame.attrs["notes"] == ()


def test_guesses_are_noted(tmp_path: Path) -> None:
    assert "cp1252" in read_table(_write(tmp_path, b"a,b\n1,\xe9\n")).attrs["notes"][0]
    assert "decimal comma" in read_table(_write(tmp_path, b"a;b\n1,5;2\n")).attrs["notes"][0]
    problem = make_problem(read_table(_write(tmp_path, b"a;b\n1,5;2,5\n2,5;3,25\n3,5;1,0\n")), target="b")
    assert any("decimal comma" in note for note in problem.notes)


def test_options_override_what_would_be_found_out(tmp_path: Path) -> None:
    path = _write(tmp_path, b"a;b\n1,234;1\n2,500;2\n")
    assert read_table(path)["a"].tolist() == [1.234, 2.5]
    assert read_table(path, decimal=".")["a"].tolist() == [1234, 2500]
    spaced = _write(tmp_path, b"a b\n1 2\n", "spaced.txt")
    assert read_table(spaced, delimiter=" ")["b"].tolist() == [2]
    greek = _write(tmp_path, "a,b\n1,αβγ\n".encode("iso8859-7"), "greek.csv")
    assert read_table(greek, encoding="iso8859-7")["b"].tolist() == ["αβγ"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ",,"}, "one character"),
        ({"delimiter": '"'}, "one character"),
        ({"decimal": "x"}, r"must be '\.' or ','"),
        ({"encoding": "utf-99"}, "unknown"),
        ({"encoding": "ascii"}, "is not ascii: byte 7"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_table(_write(tmp_path, "a,b\n1,é\n".encode()), **options)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    _write(tmp_path, b"a,b\n1,2\n", "houses.csv")
    with pytest.raises(DataError, match=r"no file .*Did you mean 'houses\.csv'\?"):
        read_table(tmp_path / "huoses.csv")
    with pytest.raises(DataError, match=r"is a folder.*'houses\.csv'"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"folder .* does not exist"):
        read_table(tmp_path / "nowhere" / "a.csv")


def test_sniffing_prefers_agreement_over_frequency() -> None:
    assert sniff_delimiter('a;b\n"x, y, z";1\n"u, v";2\n') == ";"
    assert sniff_delimiter("a|b,c\n1|2,3\n4|5,6\n7|8\n") == "|"
    assert sniff_delimiter("a\n1\n") == ","


def test_decode_falls_back_in_order() -> None:
    assert decode(b"\x80", "f")[0] == "€"
    assert decode(b"\x81", "f")[0] == "\x81"
    assert decode("ü".encode(), "f") == ("ü", [])


def test_ten_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(10_000)]
    rows = [",".join(names), ",".join("1.5" for _ in names), ",".join("2" for _ in names)]
    frame = read_table(_write(tmp_path, "\n".join(rows).encode()))
    assert frame.shape == (2, 10_000)
    assert frame["c9999"].tolist() == [1.5, 2.0]


def test_a_row_longer_than_a_reader_block(tmp_path: Path) -> None:
    frame = read_table(_write(tmp_path, b"a,b\n1," + b"x" * 3_000_000 + b"\n2,y\n"))
    assert [len(value) for value in frame["b"]] == [3_000_000, 1]


# ---------------------------------------------------------------------------------------------- Parquet and npz


def test_parquet_round_trip(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "number": [1.5, None, 2.0],
            "text": ["x", None, "z"],
            "flag": [True, False, True],
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "level": pd.Categorical(["u", "v", "u"]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")
    assert _plain(found) == _plain(frame)
    # By content, not by name.
    (tmp_path / "t.dat").write_bytes((tmp_path / "t.parquet").read_bytes())
    assert _plain(read_table(tmp_path / "t.dat")) == _plain(frame)


def test_parquet_without_rows_or_with_repeated_names(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pd.DataFrame({"a": pd.Series([], dtype=float)}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no rows"):
        read_table(tmp_path / "none.parquet")
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="more than once"):
        read_table(tmp_path / "twice.parquet")


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_with_one_and_with_two_targets(tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(3, 2)
    frame = read_table(_npz(tmp_path / "a.npz", X=x, y=np.array([0, 1, 0])))
    assert _plain(frame) == {"x0": [0, 2, 4], "x1": [1, 3, 5], "target": [0, 1, 0]}
    frame = read_table(_npz(tmp_path / "b.npz", x=x, y=np.ones((3, 2))))
    assert list(frame.columns) == ["x0", "x1", "target0", "target1"]
    frame = read_table(_npz(tmp_path / "c.npz", x=x, y=np.array([["u"], ["v"], ["u"]])))
    assert frame["target"].tolist() == ["u", "v", "u"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones((2, 2)), "b": np.ones(2)}, r"holds the arrays 'a', 'b'; it must hold x"),
        ({"x": np.ones(3), "y": np.ones(3)}, "1 dimension"),
        ({"x": np.ones((3, 2)), "y": np.ones(2)}, r"one row for each of the 3 rows"),
        ({"x": np.array([[{}]], dtype=object), "y": np.ones(1)}, "Python objects, which are never loaded"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "no rows"),
    ],
)
def test_npz_of_another_shape_is_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_table(_npz(tmp_path / "t.npz", **arrays))


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


HOSTILE: dict[str, dict[str, bytes]] = {
    "header claims more than there is": {
        "x.npy": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2)}"),
        "y.npy": _array_bytes(np.ones(2)),
    },
    "header runs code": {
        "x.npy": _npy("__import__('os').system('true')"),
        "y.npy": _array_bytes(np.ones(2)),
    },
    "header of nonsense": {"x.npy": _npy("{'descr'"), "y.npy": _array_bytes(np.ones(2))},
    "pickle in place of an array": {"x.npy": b"\x80\x04cos\nsystem\n(S'true'\ntR.", "y.npy": _array_bytes(np.ones(2))},
    "object array": {
        "x.npy": _npy(
            "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}", b"\x80\x04cos\nsystem\n(S'true'\ntR."
        ),
        "y.npy": _array_bytes(np.ones(1)),
    },
    "a thousandfold expansion": {"x.npy": bytes(66 * 2**20), "y.npy": _array_bytes(np.ones(2))},
    "empty members": {"x.npy": b"", "y.npy": b""},
    "no members": {},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_run_nothing(case: str, tmp_path: Path, audited: Callable[[], list[str]]) -> None:
    path = _zip(tmp_path / "hostile.npz", HOSTILE[case])
    with pytest.raises(DataError, match=r"damaged or holds|unpacks to|it must hold x"):
        read_table(path)
    assert audited() == []


_EVENTS: list[str] = []
_WATCHED = ("os.system", "subprocess.Popen", "os.exec", "socket.connect", "pickle.find_class", "exec", "os.posix_spawn")


def _hook(event: str, _: tuple[object, ...]) -> None:
    if event in _WATCHED:
        _EVENTS.append(event)


@pytest.fixture
def audited() -> Callable[[], list[str]]:
    """Return a function that lists the dangerous events since the test began."""
    if not getattr(sys, "_fallline_data_hook", False):
        sys.addaudithook(_hook)
        sys._fallline_data_hook = True  # type: ignore[attr-defined]
    np.load  # noqa: B018  # imported before the watch begins
    _EVENTS.clear()
    return lambda: list(_EVENTS)


def test_swapped_and_damaged_bytes_of_npz_are_noticed(tmp_path: Path) -> None:
    content = _npz(tmp_path / "t.npz", x=np.ones((50, 3)), y=np.arange(50)).read_bytes()
    # A flip inside the numbers is caught by the archive's checksum.
    at = content.index(np.ones(3).tobytes()) + 100
    damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    with pytest.raises(DataError, match="damaged"):
        read_table(_write(tmp_path, damaged, "u.npz"))
    with pytest.raises(DataError, match="damaged"):
        read_table(_write(tmp_path, content[: len(content) // 2], "v.npz"))


# ---------------------------------------------------------------------------------------------------- any bytes

_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "2.5",
        "-3",
        ",",
        ",",
        ";",
        "\t",
        "|",
        "\n",
        "\n",
        "\r\n",
        '"',
        " ",
        "é",
        "?",
        "NA",
        "1e999",
        "\0",
        "1,5",
        "<",
        "{",
    ]
)


@given(st.lists(_PIECES, max_size=40).map("".join), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
@settings(max_examples=150)
def test_any_text_gives_a_frame_or_one_clear_error(text: str, encoding: str) -> None:
    _frame_or_error(text.encode(encoding))


@given(st.binary(max_size=200), st.sampled_from([b"", b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"\xff\xfe", b"a,b\n"]))
@settings(max_examples=150)
def test_any_bytes_give_a_frame_or_one_clear_error(content: bytes, start: bytes) -> None:
    _frame_or_error(start + content)


def _frame_or_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("table.csv", "table.npz"):
            path = _write(Path(folder), content, name)
            found = _frame_or_message(path)
            if isinstance(found, str):
                assert str(path) in found
                assert "\n" not in found
                continue
            assert len(found) >= 1
            assert found.columns.is_unique
            assert all(name.strip() for name in found.columns)
            assert all(np.isfinite(found[n].dropna()).all() for n in found.columns if found[n].dtype.kind == "f")


def _frame_or_message(path: Path) -> pd.DataFrame | str:
    try:
        return read_table(path)
    except DataError as error:
        return str(error)
