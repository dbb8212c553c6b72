"""What a member of a population costs, against members, width and batch: ``python -m benchmarks.members``.

Each figure is the training time per step and member of ``fl.train_many`` (compilation excluded, best of some), for
30-w-w-1 networks with SGD and momentum; beside it one PyTorch network of the same sizes, eager. Writes
``results/members-cpu.json`` and the picture ``results/members-cpu.png``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["main"]

_RESULTS = Path(__file__).parent / "results"
_STEPS = 16  # an epoch
MEMBERS, WIDTHS, BATCHES = (1, 8, 64, 512), (16, 64, 256), (32, 256)


def _data(batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_STEPS * batch, 30)).astype(np.float32)
    return x, (x[:, :1] > 0).astype(np.float32)


def ours(members: int, width: int, batch: int) -> float:
    """Microseconds per step and member."""
    import fallline as fl  # before Keras: it chooses the backend

    model = fl.networks.mlp(30, 1, hidden=(width, width))
    import keras

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    x, y = _data(batch)
    # Some seconds of work at the most, some tenths at the least.
    epochs = int(np.clip(2e6 / (members * _STEPS * (3 + width * width * batch / 1e4)), 2, 200))
    best = np.inf
    for _ in range(2):
        runs = fl.train_many(
            model, x, y, seeds=range(members), epochs=epochs, batch_size=batch, early_stopping=False, verbose=0
        )
        best = min(best, 1e6 * float(runs[0].facts["seconds"]) / (members * epochs * _STEPS))
    return best


def pytorch(width: int, batch: int) -> float:
    """Microseconds per step of one eager PyTorch network; NaN without PyTorch."""
    try:
        import torch
        from torch import nn
    except ImportError:
        return float("nan")
    model = nn.Sequential(
        nn.Linear(30, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()
    x, y = (torch.from_numpy(part) for part in _data(batch))
    best = np.inf
    for _ in range(5):
        order, start = torch.randperm(len(x)), time.perf_counter()
        for first in range(0, len(x), batch):
            rows = order[first : first + batch]
            optimizer.zero_grad()
            criterion(model(x[rows]), y[rows]).backward()
            optimizer.step()
        best = min(best, 1e6 * (time.perf_counter() - start) / _STEPS)
    return best


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel a batch size: cost per member against members, a line a width."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(BATCHES), figsize=(9, 3.6), sharey=True, layout="constrained")
    for panel, batch in zip(panels, BATCHES, strict=True):
        for colour, width in zip(("#0072b2", "#d55e00", "#009e73"), WIDTHS, strict=True):
            own = [row for row in rows if (row["width"], row["batch"]) == (width, batch)]
            found = [(r["members"], r["us"]) for r in own if r["who"] == "fallline"]
            panel.plot(*zip(*found, strict=True), "o-", color=colour, label=f"30-{width}-{width}-1")
            peer = next((r["us"] for r in own if r["who"] == "pytorch"), float("nan"))
            panel.axhline(peer, color=colour, linestyle=":", linewidth=1)
        panel.set(xscale="log", yscale="log", xlabel="members", title=f"batch {batch}")
        panel.set_xticks(MEMBERS, [str(m) for m in MEMBERS])
        panel.minorticks_off()
    panels[0].set_ylabel("us per step and member")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, title="dotted: one in PyTorch", loc="outside right center")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.members", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=_RESULTS)
    parser.add_argument("--quick", action="store_true", help="two sizes: does it run at all?")
    given = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    machine = describe_machine()
    rows: list[dict[str, Any]] = []
    for batch in BATCHES:
        for width in WIDTHS[:1] if given.quick else WIDTHS:
            for members in MEMBERS[:2] if given.quick else MEMBERS:
                us = ours(members, width, batch)
                rows.append({"who": "fallline", "members": members, "width": width, "batch": batch, "us": us})
                print(f"batch {batch:4d}  width {width:4d}  members {members:4d}  {us:9.2f} us", flush=True)
            us = pytorch(width, batch)
            rows.append({"who": "pytorch", "members": 1, "width": width, "batch": batch, "us": us})
            print(f"batch {batch:4d}  width {width:4d}  PyTorch alone  {us:9.2f} us", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    record = {"unit": "us per step and member", "machine": machine, "versions": describe_versions(), "rows": rows}
    (given.out / "members-cpu.json").write_text(json.dumps(record, indent=2) + "\n")
    if not given.quick:
        draw(rows, given.out / "members-cpu.png")
    print(f"written: {given.out / 'members-cpu.json'}")


if __name__ == "__main__":
    main()
