"""The examples in docs/watch.md."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.test_package import code_blocks, python

BLOCKS = code_blocks("docs/watch.md")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_run(number: int, tmp_path: Path) -> None:
    if "import torch" in BLOCKS[number] and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    # On JAX, whatever the machine's own setting.
    done = python("-W", "error::FutureWarning", "-c", BLOCKS[number], cwd=tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    assert "xamined" in done.stdout
