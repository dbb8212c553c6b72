"""The room's door: cheap to open, complete."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fallline.data
from tests.data.tables import subprocess_environment


def test_importing_the_room_imports_neither_pandas_nor_scikit_learn() -> None:
    heavy = ("pandas", "sklearn", "pyarrow", "jax", "keras")
    code = f"import sys, fallline.data; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=subprocess_environment()
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", fallline.data.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(fallline.data, name).__doc__
    assert name in dir(fallline.data)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'reed_table'"):
        fallline.data.reed_table  # noqa: B018
