"""G5: LeNet-5 without and with normalisation, on digits or on your folder of images (CIFAR-10)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row, measure
from fallline.gallery.images import Images, read_images
from fallline.plot import COLOURS, DASHES, SERIES, figure

__all__ = ["show"]

FEW = 32  # a batch of the digits: of 256 there were too few steps for the moving statistics of batch normalisation
SCALE = 2  # a digit's 8 x 8 pixels as 16 x 16: LeNet-5 takes no smaller images
# Name -> inputs normalised, output unit, normalisation, published validation accuracy on CIFAR-10.
WAYS = {
    "plain, sigmoid output": (False, "sigmoid", "none", "0.50"),
    "plain, softmax output": (False, "softmax", "none", ""),
    "inputs normalised, batch norm": (True, "softmax", "batch", "0.62"),
}


def show(*, quick: bool = False, images: Any = None) -> Exhibit:
    """Train LeNet-5 with Adam for 10 epochs, in batches of 256 (digits: 32).

    Args:
        quick: few images, few epochs.
        images: a folder or zip of images with train/<class> and test/<class>; None: scikit-learn's digits.
    """
    x, y, test_x, test_y = _digits(quick) if images is None else read_images(images, 40 if quick else None)
    classes, epochs, seeds = int(y.max()) + 1, 1 if quick else 10, range(1 if quick else 3)
    mean, sd = x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))
    batch = 256 if images is not None else FEW
    made, axes = figure(size=(6.8, 4.2))
    rows = []
    for i, (name, (normal, output, norm, published)) in enumerate(list(WAYS.items())[:: 2 if quick else 1]):
        a, b = ((part - mean) / sd if normal else part / 255.0 for part in (x, test_x))
        model = fl.networks.lenet5(x.shape[1:], classes, output=output, normalization=norm)
        loss = keras.losses.SparseCategoricalCrossentropy()
        model.compile(keras.optimizers.Adam(), loss=loss, metrics=["accuracy"])
        if i == 0:
            told = fl.check(model, a, y, loss="sparse_categorical_crossentropy")
            said = next((f.symptom for f in told if f.id == "S23"), "nothing")
        runs = fl.train_many(
            model, a, y, validation_data=(b, test_y), seeds=seeds, epochs=epochs, batch_size=batch,
            early_stopping={"criterion": "none"}, verbose=0,
        )  # fmt: skip
        curves = np.stack([run.trace.curve("val_accuracy") for run in runs])
        axes[0, 0].plot(
            np.arange(1, epochs + 1), curves.mean(axis=0), color=SERIES[i], linestyle=DASHES[i], marker="o", label=name
        )
        axes[0, 0].fill_between(
            np.arange(1, epochs + 1), curves.min(axis=0), curves.max(axis=0), color=SERIES[i], alpha=0.15, lw=0
        )
        rows.append(
            Row(f"validation accuracy, {name}", measure(curves[:, -1]), published if images is not None else "")
        )
    axes[0, 0].set(
        xlabel="epoch",
        ylabel="validation accuracy",
        title="LeNet-5 on " + ("digits" if images is None else "your images"),
    )
    axes[0, 0].legend(frameon=False)
    axes[0, 0].title.set_color(COLOURS["ink"])
    layer = keras.layers.BatchNormalization(epsilon=1e-9)
    ones = np.asarray(layer(np.array([[1.0], [2.0], [3.0]], np.float32), training=True)).ravel()
    rows.append(Row("1, 2, 3 normalised", ", ".join(f"{v:.4f}" for v in ones), "-1.2247, 0, 1.2247"))
    rows.append(Row("said of the sigmoid output before training", said, "output-loss-mismatch"))
    remark = (
        f"Adam at 0.001, batches of {batch}; band: lowest to highest seed. Published: 50,000 images of CIFAR-10, "
        "one run, batches of 256."
    )
    return Exhibit("LeNet-5 with and without normalisation", tuple(rows), made, remark)


def _digits(quick: bool) -> Images:
    data = load_digits()
    images = np.kron(data.images, np.ones((1, SCALE, SCALE)))[..., None].astype(np.float32) * (255.0 / 16.0)
    order = np.random.default_rng(0).permutation(len(images))[: 100 if quick else None]
    held = len(order) // 5
    return images[order[held:]], data.target[order[held:]], images[order[:held]], data.target[order[:held]]
