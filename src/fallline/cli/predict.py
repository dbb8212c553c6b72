"""``fallline predict``: a new table in, the same table with predictions out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallline.cli.options import reading
from fallline.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from fallline.types import Run

__all__ = ["command", "escaped", "with_predictions"]

# A spreadsheet takes a cell that begins so for a formula and runs it (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ENDINGS = (".csv", ".tsv", ".parquet")


@click.command("predict")
@click.argument("run")
@click.argument("data")
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    help="A .csv, .tsv or .parquet file.  [default: standard output, CSV]",
)
@click.option("--overwrite", is_flag=True, help="Replace the output file.")
@click.option("--proba", is_flag=True, help="Add the probability of each class, too.")
@click.option("--no-escape", is_flag=True, help="Leave text that looks like a formula as it is.")
@reading
def command(
    run: str, data: str, output: str, overwrite: bool, proba: bool, no_escape: bool, delimiter: str | None,
    encoding: str | None, decimal: str | None,
) -> None:  # fmt: skip
    """Predict the rows of the table DATA with the trained RUN (a run folder).

    Every column of DATA is kept; a column TARGET_predicted is added for each target, and with --proba one column
    TARGET_p_CLASS for each class. Missing values and unknown categories are allowed.

    In CSV and TSV, headers and text cells that begin with = + - @ get an apostrophe in front, because a spreadsheet
    would run them as formulas; numbers stay as they are. --no-escape turns this off.
    """
    from fallline.data import read_table
    from fallline.store import load_run

    _check_output(output, overwrite)
    frame = read_table(data, delimiter=delimiter, encoding=encoding, decimal=decimal)
    loaded = load_run(run)
    if loaded.outcome == "diverged":
        click.echo(f"fallline: the training of {run} diverged: these predictions are worth nothing.", err=True)
    table = with_predictions(loaded, frame, proba=proba)
    _write(table, output, overwrite=overwrite, escape=not no_escape)
    if output != "-":
        click.echo(f"{len(table):,} rows with predictions are in {output}", err=True)


def _check_output(output: str, overwrite: bool) -> None:
    """Refuse before the work what would be refused after it."""
    path = Path(output)
    if output == "-":
        return
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"{output} does not end in {', '.join(_ENDINGS)}; other kinds of output are not written.")
    if path.is_dir():
        raise InputError(f"{output} is a folder; name a file.")
    if path.exists() and not overwrite:
        raise InputError(f"{output} exists already. Choose another name, or replace it with --overwrite.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist: make it first, or choose another.")


def with_predictions(run: Run, frame: pd.DataFrame, *, proba: bool = False) -> pd.DataFrame:
    """Return the table with the run's predictions as its last columns.

    Args:
        run: a finished run that was made from a table.
        frame: (n, p) with the columns that the run was trained on, in any order; others are kept, not used.
        proba: add probabilities.

    Raises:
        InputError: the run was not made from a table, it predicts quantities and ``proba`` is asked for, or columns
            are missing.
    """
    if run.preparation is None:
        raise InputError("This run was not made from a table and cannot read one: use fallline.load and run.predict.")
    targets = [str(name) for name in run.facts["target_names"]]
    classes = run.facts.get("kind") in ("binary", "multiclass", "multilabel")
    if proba and not classes:
        raise InputError(f"The run predicts a quantity ({', '.join(targets)}), not classes; leave --proba out.")
    table = frame.copy()
    predicted = run.predict(frame)
    for index, name in enumerate(targets):
        _add(table, f"{name}_predicted", predicted if predicted.ndim == 1 else predicted[:, index])
    if proba:
        probability = run.predict_proba(frame)
        for index, name in enumerate(_probability_names(run, targets)):
            _add(table, name, probability[:, index])
    return table


def _probability_names(run: Run, targets: list[str]) -> list[str]:
    if run.facts["kind"] == "multilabel":
        return [f"{name}_p" for name in targets]
    return [f"{targets[0]}_p_{label}" for label in run.facts["classes"]]


def _add(table: pd.DataFrame, name: str, values: np.ndarray) -> None:
    """Add a column at the end; one that the table has already is the user's, and stays."""
    number, free = 2, name
    while free in table.columns:
        free, number = f"{name}_{number}", number + 1
    table[free] = values


def escaped(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before headers and text cells that a spreadsheet would run.

    >>> import pandas as pd
    >>> escaped(pd.DataFrame({"=a": ["@x", "y", -1]})).values.tolist()
    [["'@x"], ['y'], [-1]]
    """
    import pandas as pd

    out = table.copy()
    for position, kind in enumerate(out.dtypes):
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)):
            out.isetitem(position, out.iloc[:, position].astype(object).map(_escape, na_action="ignore"))
    return out.set_axis([_escape(name) for name in out.columns], axis=1)


def _escape(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _write(table: pd.DataFrame, output: str, *, overwrite: bool, escape: bool) -> None:
    import io

    if output.lower().endswith(".parquet"):
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        content = buffer.getvalue()
    else:
        separator = "\t" if output.lower().endswith(".tsv") else ","
        text = (escaped(table) if escape else table).to_csv(index=False, sep=separator, lineterminator="\n")
        content = text.encode("utf-8")
    if output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    from fallline.cli.files import put_new

    put_new(Path(output), content, overwrite=overwrite)
