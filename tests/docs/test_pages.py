"""Every piece of code in the documentation runs, on small data and with recipes made small after they were checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from docs.snippets import CHECKOUT, Snippet, commands, pages, snippets
from fallline.cli import COMMANDS, group
from fallline.errors import FalllineError
from fallline.recipe import default, from_toml, override
from fallline.search import make_space

ROWS, EPOCHS, MANY_EPOCHS, MEMBERS, MANY_MEMBERS, FOLDS = 400, 2, 10, 2, 5, 2
# What every recipe is trained as, once it was checked and resolved as it stands: one compiled program serves all pages.
STANDARD = override(default("simple"), ["network.hidden=[4]", "batch_size=32"])
# The pages that a newcomer copies from; the others are among the long tests.
FIRST_READ = ("README.md", "docs/index.md", "docs/from-keras.md")
PAGES = {str(path.relative_to(CHECKOUT)): path for path in pages()}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train every recipe as a small one, once its entries are resolved: the code is tested, not what it learns."""
    from fallline.train import prepared

    resolve = prepared.resolve

    def shrunk(recipe: Any, **sizes: Any) -> Any:
        found, standard = resolve(recipe, **sizes), resolve(STANDARD, **sizes)
        # Few epochs and members are left as they are: somebody counts on them.
        epochs = EPOCHS if found.training.epochs > MANY_EPOCHS else found.training.epochs
        members = MEMBERS if found.ensemble.members > MANY_MEMBERS else found.ensemble.members
        return replace(
            found,
            network=standard.network,
            optimizer=replace(standard.optimizer, learning_rate=found.optimizer.learning_rate),
            training=replace(standard.training, epochs=epochs),
            stopping=standard.stopping,
            ensemble=replace(standard.ensemble, members=members),
            split=replace(found.split, folds=min(FOLDS, found.split.folds)),
        )

    monkeypatch.setattr(prepared, "resolve", shrunk)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with the tables that the pages speak of, and nothing shown on a screen."""
    import matplotlib as mpl

    mpl.use("agg")
    rng = np.random.default_rng(0)
    size = rng.normal(100, 20, ROWS).round(1)
    frame = pd.DataFrame({
        "size": size, "rooms": rng.integers(1, 7, ROWS), "town": rng.choice(["north", "south", "east"], ROWS),
        "year": np.arange(ROWS) + 1900, "price": (3 * size + rng.normal(0, 5, ROWS)).round(2),
    })  # fmt: skip
    for name in ("houses.csv", "data.csv", "new.csv"):
        frame.to_csv(tmp_path / name, index=False)
    for name in ("wide.toml", "deep.toml", "my.toml"):
        (tmp_path / name).write_text("[network]\nhidden = [4]\n")
    monkeypatch.chdir(tmp_path)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def _names() -> dict[str, Any]:
    """What pages use that they do not make: settings of the reader's own."""
    return {
        "settings": ["network.hidden=[4]", "training.epochs=2"],
        "my_choice": lambda problem: default("simple"),
    }


def _run(snippet: Snippet, names: dict[str, Any]) -> None:
    where = f"{snippet.page}, line {snippet.line}"
    if snippet.language == "python":
        padded = "\n" * (snippet.line - 1) + snippet.text
        exec(compile(padded, snippet.page, "exec"), names)
    elif snippet.language == "toml":
        _toml(snippet.text)
    elif snippet.language == "sql":
        duckdb = pytest.importorskip("duckdb")
        assert duckdb.sql(snippet.text.partition(";")[0]).fetchall(), where
    elif snippet.language == "console":
        for words, target in commands(snippet):
            _command(words, target, snippet)


def _toml(text: str) -> None:
    """A recipe, or a space to search in; the pages' commands call the latter space.toml."""
    try:
        from_toml(text)
    except FalllineError:
        Path("space.toml").write_text(text)
        make_space("space.toml", default())


def _command(words: list[str], target: str, snippet: Snippet) -> None:
    said = f"{snippet.page}, line {snippet.line}: fallline {' '.join(words)}"
    if snippet.why_not or "--help" in words or words[0] not in COMMANDS:
        assert words[0] in COMMANDS, said
        command = group.get_command(click.Context(group), words[0])
        assert command is not None
        command.make_context(words[0], [word for word in words[1:] if word != "--help"], resilient_parsing=False)
        return
    for index, word in enumerate(words):
        if word in ("-o", "--output") and Path(words[index + 1]).exists():
            Path(words[index + 1]).unlink()
    done = CliRunner().invoke(group, words)
    problem = done.exception if not isinstance(done.exception, SystemExit) else done.stderr
    assert done.exit_code == 0, f"{said}\n{problem}"
    if target:
        Path(target).write_text(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page if page in FIRST_READ else pytest.param(page, marks=pytest.mark.long) for page in PAGES]
)
def test_what_stands_in_a_page_runs(page: str) -> None:
    names = _names()
    for snippet in snippets(PAGES[page]):
        if snippet.why_not and snippet.language == "python":
            compile(snippet.text, snippet.page, "exec")
        else:
            _run(snippet, names)


def test_the_pages_are_found() -> None:
    """Without this, a mistake in the search would make the test above pass on nothing."""
    counts = {page: sum(1 for _ in snippets(path)) for page, path in PAGES.items()}
    assert counts["docs/tour.md"] >= 5
    assert sum(counts.values()) > 40


def test_commands_are_read_as_a_shell_reads_them() -> None:
    text = "$ fallline runs  # a remark\nname outcome\n$ fallline recipe > my.toml\n$ pip install fallline\n"
    assert list(commands(Snippet("page", 1, "console", text))) == [(["runs"], ""), (["recipe"], "my.toml")]
