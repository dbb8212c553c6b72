"""G6: batch, mini-batch and stochastic gradient descent on the same circles."""

from __future__ import annotations

import fallline as fl
from fallline.gallery.circles import TO_THE_END, circles, curves_of, network
from fallline.gallery.exhibit import Exhibit, Row, final, measure
from fallline.recipe import override

__all__ = ["show"]

ROWS = 500
SIZES = {"batch (500)": ROWS, "mini-batch (32)": 32, "stochastic (1)": 1}


def show(*, quick: bool = False) -> Exhibit:
    """Train with three batch sizes; all see every row once an epoch."""
    x, y, validation = circles(2 * ROWS, ROWS)
    recipe = override(fl.default_recipe("simple"), ["optimizer.name=sgd", "learning_rate=0.01", "momentum=0.9"])
    groups = {
        name: fl.train_many(
            network(50), x, y, validation_data=validation, recipe=recipe, seeds=range(2 if quick else 10),
            epochs=2 if quick else 200, batch_size=size, early_stopping=TO_THE_END, verbose=0,
        )
        for name, size in SIZES.items()
    }  # fmt: skip
    rows = [Row(f"validation accuracy, {name}", measure(final(runs, "val_accuracy"))) for name, runs in groups.items()]
    for name, runs in groups.items():
        last = [float(run.trace.curve("val_accuracy")[-20:].std()) for run in runs]
        rows.append(Row(f"sd over the last 20 epochs, {name}", measure(last)))
    remark = (
        "Small batches learn in few epochs and stay restless; the whole batch is smooth and slow. Lines: median of the "
        "seeds; bands: 10 % to 90 %."
    )
    return Exhibit("Batch sizes", tuple(rows), curves_of(groups, "accuracy"), remark)
