"""G7: the same circles with a rate that falls on a plateau, and with batch normalisation."""

from __future__ import annotations

import fallline as fl
from fallline.gallery.circles import TO_THE_END, circles, curves_of, network
from fallline.gallery.exhibit import Exhibit, Row, final, measure
from fallline.recipe import override

__all__ = ["show"]

SGD = ["optimizer.name=sgd", "learning_rate=0.01", "momentum=0.9"]
WAYS = {
    "constant rate": ([], False),
    "reduce on plateau": (
        ["schedule=plateau", "reduce_factor=0.1", "reduce_patience=10", "reduce_min_delta=0.0001"],
        False,
    ),
    "batch normalisation": ([], True),
}


def show(*, quick: bool = False) -> Exhibit:
    """Train 2-50-1 for 300 epochs in three ways."""
    x, y, validation = circles(1000, 500)
    groups = {
        name: fl.train_many(
            network(50, norm=norm), x, y, validation_data=validation, seeds=range(2 if quick else 10),
            recipe=override(fl.default_recipe("simple"), [*SGD, *changes]), epochs=2 if quick else 300, batch_size=32,
            early_stopping=TO_THE_END, verbose=0,
        )
        for name, (changes, norm) in WAYS.items()
    }  # fmt: skip
    rows = []
    for name, runs in groups.items():
        rows.append(Row(f"validation accuracy, {name}", measure(final(runs, "val_accuracy"))))
        rows.append(Row(f"validation log-loss, {name}", measure(final(runs, "val_log_loss"))))
        fast = [
            int((run.trace.curve("accuracy") >= 0.8).argmax()) + 1
            for run in runs
            if run.trace.curve("accuracy").max() >= 0.8
        ]
        rows.append(Row(f"epochs to a training accuracy of 0.8, {name}", measure(fast) if fast else "not reached"))
    remark = (
        "A rate that falls calms the curves; batch normalisation of so shallow a network is about as fast, and its "
        "curves stay rough."
    )
    return Exhibit("Reduce on plateau, and batch normalisation", tuple(rows), curves_of(groups, "accuracy"), remark)
