"""Watching a training by Lightning's Trainer, with Lightning itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError, MissingPackageError

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

# Lightning warns of many things that are none of ours: few workers, no logger, small batches.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def fit(folder: Path, watch: Any) -> Any:
    import lightning

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))

        def training_step(self, batch: Any, index: int) -> Any:
            x, y = batch
            loss = torch.nn.functional.mse_loss(self.net(x), y)
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            x, y = batch
            self.log("valid_loss", torch.nn.functional.mse_loss(self.net(x), y))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05)

    lightning.seed_everything(0, verbose=False)
    x = torch.randn(64, 4)
    y = x[:, :1]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=16)
    module = Module()
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[watch] if watch else [],
    )
    trainer.fit(module, loader, loader)
    return module


def test_a_fit_is_watched_and_nothing_changes(tmp_path: Path) -> None:
    watch = fl.watch.lightning()
    with pytest.raises(InputError, match="Nothing was watched yet"):
        watch.run  # noqa: B018
    ends = [fit(tmp_path, one).state_dict().values() for one in (watch, None)]
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    inside = watch.trace.inside
    assert inside is not None
    assert not inside.reason
    assert inside.layers == ("net/0", "net/1", "net/2")
    assert inside.epochs.tolist() == [0, 1, 2, 3]
    assert (inside.values["update_norm"][0, :3, 0] > 0).all()
    assert (inside.values["gradient_norm"][0, :3, 0] > 0).all()
    assert watch.trace.quantities == ("learning_rate", "running_loss", "val_loss")
    held = watch.trace.curve("val_loss")
    assert len(held) == 3
    assert np.all(np.diff(held) < 0)
    assert watch.run.outcome == "completed"
    assert fl.diagnose(watch) == watch.diagnose()
    assert "exploding-gradients" not in [finding.symptom for finding in watch.diagnose()]


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="every=0"):
        fl.watch.lightning(every=0)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fallline\[lightning\]'"):
        fl.watch.lightning()
