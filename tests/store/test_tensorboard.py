from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fallline.errors import MissingPackageError, RunFolderError
from fallline.rules._from_tensorboard import _scalars, curves_from_tensorboard
from tests.make import decay, inside, trace


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    loss = decay(1.0, 0.1, 5, 2.0)
    seen = inside(["a", "out"], {"weight_sd": [[1.0, 2.0], [3.0, 4.0]]}, epochs=[0, 5], network={"sharpness": [7, 8]})
    given = trace({"loss": loss, "val_loss": loss + 0.1}).with_inside(seen)
    assert given.to_tensorboard(tmp_path / "logs") == tmp_path / "logs"
    found = curves_from_tensorboard(tmp_path / "logs")
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-6)
    np.testing.assert_allclose(found["val_loss"], loss + 0.1, rtol=1e-6)
    tags = {tag: [(s, v) for _, s, v in rows] for tag, rows in _scalars(tmp_path / "logs")[""].items()}
    assert tags["weight_sd/out"] == [(0, 2.0), (5, 4.0)]
    assert tags["network/sharpness"] == [(0, 7.0), (5, 8.0)]


def test_each_network_has_a_folder_and_nothing_is_mixed(tmp_path: Path) -> None:
    given = trace({"loss": [1.0, 0.5]}, {"loss": [2.0, 1.5]})
    given.to_tensorboard(tmp_path)
    assert sorted(_scalars(tmp_path)) == ["member_0", "member_1"]
    with pytest.raises(RunFolderError, match="new folder"):
        given.to_tensorboard(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="file"):
        given.to_tensorboard(tmp_path / "file")


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingPackageError, match="tensorboard"):
        trace({"loss": [1.0]}).to_tensorboard(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
