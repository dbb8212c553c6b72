"""G8: a network far too large for 30 points, and what keeps it from learning them by heart."""

from __future__ import annotations

import fallline as fl
from fallline.gallery.circles import TO_THE_END, circles, curves_of, network
from fallline.gallery.exhibit import Exhibit, Row, final, measure

__all__ = ["show"]

UNITS = 500
PATIENCE = {"criterion": "patience", "patience": 200}


def show(*, quick: bool = False) -> Exhibit:
    """Train 2-500-1 for 4,000 epochs on 30 points: as it is, with decay, with noise, and stopped early."""
    x, y, validation = circles(100, 30)
    seeds, epochs = range(2 if quick else 10), 20 if quick else 4_000
    ways = {
        "as it is": (network(UNITS), TO_THE_END),
        "L2 of 0.01": (network(UNITS, l2=0.01), TO_THE_END),
        "input noise of 0.1": (network(UNITS, noise=0.1), TO_THE_END),
        "patience of 200": (network(UNITS), PATIENCE),
    }
    groups = {
        name: fl.train_many(
            model, x, y, validation_data=validation, seeds=seeds, epochs=epochs, early_stopping=stopping, verbose=0
        )
        for name, (model, stopping) in ways.items()
    }
    rows = []
    for name, runs in groups.items():
        kept = (
            [float(run.trace.curve("val_log_loss").min()) for run in runs]
            if name.startswith("patience")
            else final(runs, "val_log_loss")
        )
        rows.append(Row(f"validation log-loss, {name}", measure(kept)))
        rows.append(Row(f"gap between training and validation accuracy, {name}", measure(
            a - b for a, b in zip(final(runs, "accuracy"), final(runs, "val_accuracy"), strict=True))))  # fmt: skip
    rows.append(Row("epochs, patience of 200", measure(run.trace.n_epochs for run in groups["patience of 200"])))
    remark = (
        "Without help the validation loss turns up while the training loss falls on. Lines: median of the seeds; "
        "bands: 10 % to 90 %; the stopped curves end where the first seed stopped."
    )
    return Exhibit("Weight decay, noise, early stopping", tuple(rows), curves_of(groups, "log_loss", log=True), remark)
