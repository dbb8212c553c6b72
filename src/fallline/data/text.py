"""Delimited text as a frame: encoding, delimiter, header, rows of equal length, decimal comma, numbers."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.frames import check_names
from fallline.data.values import MISSING_WORDS, has_leading_zeros, is_missing_word, parse_number
from fallline.errors import DataError

__all__ = ["DELIMITERS", "decode", "parse_text", "sniff_delimiter"]

DELIMITERS = (",", ";", "\t", "|")
SNIFFED_ROWS = 100
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = bytes(sorted(set(range(32)) - {9, 10, 12, 13, 26, 27}))
# Documents that are text but no tables: HTML and XML, JSON objects and lists.
_MARKUP = re.compile(r"\s*(?:(<!doctype|<html|<\?xml|<svg)|\{\s*[\"}]|\[\s*[\[{\]])", re.IGNORECASE)
# More control characters than this share of the bytes: not text in any 8-bit encoding.
MAX_CONTROL_SHARE = 0.001


def parse_text(
    content: bytes,
    source: str,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    prefer_tab: bool = False,
) -> pd.DataFrame:
    """Return delimited text as a frame; notes on what was guessed stand in ``attrs["notes"]``.

    Args:
        content: the file's bytes.
        source: the file's name, for messages.
        delimiter: one character, or None to find out.
        encoding: its name, or None to find out.
        decimal: "." or ",", or None to find out.
        prefer_tab: take the tab when several delimiters fit equally well.
    """
    text, notes = decode(content, source, encoding)
    if not text.strip():
        raise DataError(f"{source} is empty: a table needs a header row and at least one row of data.")
    if markup := _MARKUP.match(text):
        raise DataError(f"{source} is not a table: it begins like {'HTML or XML' if markup[1] else 'JSON'}. Give CSV.")
    text = text.rstrip("\x1a")
    if told := re.match(r"sep=(.)\r?\n", text):  # Excel's own line before the header
        delimiter, text = delimiter or told[1], text[told.end() :]
    delimiter = delimiter or sniff_delimiter(text, source, prefer_tab=prefer_tab)
    header = _first_row(text, delimiter, source)
    cells = _cells(text, delimiter, len(header), source)
    check_names(header, source)
    if not cells[0]:
        raise DataError(f"{source} has a header but no rows: at least one row of data is needed.")
    _refuse_headless(header, source)
    decimal, remark = (decimal, "") if decimal else _find_decimal(cells, delimiter, source)
    columns = {name: _column(values, name, decimal, source) for name, values in zip(header, cells, strict=True)}
    frame = pd.DataFrame(columns)
    frame.attrs["notes"] = tuple(note for note in (*notes, remark) if note)
    return frame


def decode(content: bytes, source: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Return the text of some bytes, and a note when the encoding was guessed."""
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff"), []
        except LookupError as error:
            raise DataError(f"encoding {encoding!r} is unknown; try 'utf-8', 'utf-16' or 'cp1252'.") from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source} is not {encoding}: byte {error.start + 1} cannot be read. Leave encoding out to find it out."
            ) from error
    for mark, name in _BOMS:
        if content.startswith(mark):
            return _strictly(content, name, source), []
    if wide := _utf16_without_mark(content):
        return _strictly(content, wide, source), [
            f"Read as {wide} (no byte-order mark, but every second byte is zero)."
        ]
    if 0 in content:
        row = content[: content.index(0)].count(b"\n") + 1
        raise DataError(
            f"{source} is not a table of text: line {row} holds a NUL byte. It is a binary or a damaged file."
        )
    if len(content) - len(content.translate(None, _CONTROL)) > MAX_CONTROL_SHARE * len(content):
        raise DataError(f"{source} is not a table of text: it holds control characters, like a binary file.")
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
    for name in ("cp1252", "latin-1"):
        try:
            return content.decode(name), [f"Read as {name}: line {line} is not valid UTF-8."]
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes every byte")


def _strictly(content: bytes, name: str, source: str) -> str:
    try:
        text = content.decode(name)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source} begins like {name} but byte {error.start + 1} cannot be read: the file is damaged or cut off."
        ) from error
    if "\0" in text:
        raise DataError(
            f"{source} is not a table of text: line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a NUL."
        )
    return text


def _utf16_without_mark(content: bytes) -> str | None:
    head = np.frombuffer(content[:4096][: len(content[:4096]) // 2 * 2], np.uint8).reshape(-1, 2)
    if len(head) < 4 or len(content) % 2:
        return None
    zero = (head == 0).mean(axis=0)
    if zero[1] > 0.9 and zero[0] < 0.05:
        return "utf-16-le"
    return "utf-16-be" if zero[0] > 0.9 and zero[1] < 0.05 else None


def _first_rows(text: str, delimiter: str, count: int, source: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) >= count:
                break
    except csv.Error as error:
        raise DataError(
            f"{source} is not a readable table: {error} near row {len(rows)}. A quotation mark may be left open."
        ) from error
    return rows


def _first_row(text: str, delimiter: str, source: str) -> list[str]:
    return [name.strip() for name in _first_rows(text, delimiter, 1, source)[0]]


def sniff_delimiter(text: str, source: str = "", *, prefer_tab: bool = False) -> str:
    r"""Return the delimiter under which the first rows agree best with the header.

    >>> sniff_delimiter("a;b\n1,5;2\n")
    ';'
    """
    best, best_rank = ",", (-1.0, -1, False)
    for delimiter in DELIMITERS:
        try:
            rows = _first_rows(text[: 2**21], delimiter, SNIFFED_ROWS, source)
        except DataError:
            continue
        width = len(rows[0])
        if width < 2:
            continue
        agreement = sum(len(row) == width for row in rows) / len(rows)
        rank = (round(agreement, 2), width, prefer_tab and delimiter == "\t")
        if rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def _cells(text: str, delimiter: str, width: int, source: str) -> list[Any]:
    """Return one Arrow array of trimmed text per column, without the header; refuse rows of another width."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    content = text.encode("utf-8")
    ragged: list[tuple[int, int]] = []

    def note(row: Any) -> str:
        ragged.append((row.number or 0, row.actual_columns))
        return "skip"

    names = [f"f{index}" for index in range(width)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            # One block and one thread: rows keep their numbers and may be as long as they like.
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=min(max(len(content) + 1, 2**20), 2**31 - 1)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"{source} is not a readable table: {why}.") from error
    if ragged:
        raise DataError(_ragged_message(ragged, width, text, source))
    return [pc.utf8_trim_whitespace(table.column(name).slice(1)).combine_chunks() for name in names]


def _ragged_message(ragged: list[tuple[int, int]], width: int, text: str, source: str) -> str:
    row, fields = ragged[0]
    others = f" ({len(ragged) - 1:,} more rows are uneven, too)" if len(ragged) > 1 else ""
    if text.count('"') % 2:
        hint = "A quotation mark is opened and never closed, probably in or before this row."
    elif fields > width:
        hint = "Put quotation marks around values that contain the delimiter, or name all columns in the header."
    else:
        hint = "Complete or delete the row."
    return f"{source}: row {row - 1} after the header has {fields} value(s), but the header has {width}{others}. {hint}"


def _refuse_headless(header: list[str], source: str) -> None:
    counting = header == [str(index) for index in range(len(header))]
    if not counting and all(parse_number(name) is not None for name in header):
        raise DataError(
            f"{source} seems to have no header: its first row holds only numbers ({', '.join(header[:4])} ...). "
            "Add a first row with the columns' names."
        )


_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?$"
_COMMA_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"
_POINT = r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"


def _find_decimal(cells: list[Any], delimiter: str, source: str) -> tuple[str, str]:
    """Return the decimal sign of the file and a note when it is not the point.

    "1,234" may be one thousand or a bit over one: it counts as a decimal comma only in files separated by semicolons
    (the custom where the comma is decimal) in which no number has a point.
    """
    import pyarrow.compute as pc

    def hits(pattern: str, mark: str) -> int:
        # Only cells with the mark are matched: the pattern is slow, the mark is not.
        found = (values.filter(pc.match_substring(values, mark)) for values in cells)
        return sum(int(pc.sum(pc.match_substring_regex(some, pattern)).as_py() or 0) for some in found if len(some))

    commas = hits(_COMMA, ",")
    if not commas:
        return ".", ""
    thousands, points = hits(_COMMA_THOUSANDS, ","), hits(_POINT, ".")
    definite = commas - thousands
    if points and definite and delimiter == ";":
        raise DataError(
            f"{source} has numbers with a decimal comma ({definite:,}) and numbers with a decimal point ({points:,}). "
            "Say which is meant with decimal=',' or decimal='.'."
        )
    if not points and (definite or delimiter == ";"):
        return ",", "Read with a decimal comma."
    return ".", ""


def _column(values: Any, name: str, decimal: str, source: str) -> pd.Series:
    """Return one column as numbers when all its cells are numbers, else as text, missing words made missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = values
    if decimal == ",":
        numeric = pc.match_substring_regex(values, _COMMA)
        texts = pc.if_else(numeric, pc.replace_substring(pc.replace_substring(values, ".", ""), ",", "."), values)
        grouped = pc.match_substring_regex(values, r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$")
        texts = pc.if_else(grouped, pc.replace_substring(texts, ".", ""), texts)
    absent = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(MISSING_WORDS)))
    present = pc.if_else(absent, pa.scalar(None, pa.string()), texts)
    numbers = _fast_numbers(present)
    if numbers is None:
        numbers = _slow_numbers(present)
    if numbers is None:
        return pd.Series(present.to_pandas())
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        row = int(infinite[0])
        raise DataError(
            f"{source}: column {name!r}, row {row + 1} after the header says {values[row].as_py()!r}, an infinite "
            f"(inf) or too "
            "large number. Correct it, or leave the cell empty if the value is missing."
        )
    whole = not np.isnan(numbers).any() and np.all(np.abs(numbers) < 2**53) and np.all(numbers == np.trunc(numbers))
    as_integers = whole and not pc.any(pc.match_substring_regex(texts, r"[.eE]")).as_py()
    return pd.Series(numbers.astype(np.int64) if as_integers else numbers)


def _fast_numbers(present: Any) -> np.ndarray | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(present, r"^[+-]?0[0-9]")).as_py():
        return None
    try:
        numbers = pc.cast(present, pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


def _slow_numbers(present: Any) -> np.ndarray | None:
    """Return numbers where cells need reading over (thousands, currency), or None when a cell is no number."""
    import pyarrow.compute as pc

    encoded = present.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    if not words or has_leading_zeros(words):
        return None if words else np.full(len(present), np.nan)
    table = np.empty(len(words) + 1)
    table[-1] = math.nan
    for position, word in enumerate(words):
        number = parse_number(word)
        if number is None and not is_missing_word(word, numeric=True):
            return None
        table[position] = math.nan if number is None else number
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    numbers: np.ndarray = table[codes]
    return numbers
