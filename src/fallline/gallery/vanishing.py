"""G4: the gradient that vanishes on its way down through sigmoids; or the gradients of your own model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from sklearn.datasets import make_circles

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row, final, measure
from fallline.plot import DASHES, SERIES, figure
from fallline.recipe import override

__all__ = ["show", "show_yours"]

DEEP = (5, 5, 5, 5)
# Name -> hidden layers, activation, initial weights, normalisation, optimizer, published accuracy and log-loss.
NORMAL = "N(0, 1) weights"
NETWORKS: dict[str, tuple[Sequence[int], str, str, str, str, str]] = {
    "sigmoid": (DEEP, "sigmoid", "normal", "none", "rmsprop", "0.588 / 0.665"),
    "tanh": (DEEP, "tanh", "normal", "none", "rmsprop", "0.993 / 0.013"),
    "ReLU": (DEEP, "relu", "normal", "none", "rmsprop", "0.994 / 0.017"),
    "sigmoid, Glorot": (DEEP, "sigmoid", "glorot", "none", "rmsprop", ""),
    "sigmoid, batch norm": (DEEP, "sigmoid", "normal", "batch", "rmsprop", ""),
    "one layer, ReLU, Adam": ((5,), "relu", "glorot", "none", "adam", "0.973 / 0.240"),
    "one layer, sigmoid, Adam": ((5,), "sigmoid", "glorot", "none", "adam", "0.654 / 0.693"),
    "three layers, sigmoid, Adam": ((5, 5, 5), "sigmoid", "glorot", "none", "adam", "0.533 / 0.692"),
}
SHOWN = ("sigmoid", "tanh", "ReLU")  # whose gradients are drawn
LEARNED = 0.99


def network(hidden: Sequence[int], activation: str, initial: str, normalization: str) -> keras.Model:
    """The published network in plain Keras: a seed draws its weights anew."""
    kernel = keras.initializers.RandomNormal(stddev=1.0) if initial == "normal" else "glorot_uniform"
    layers: list[Any] = [keras.Input((2,))]
    for i, units in enumerate(hidden):
        layers.append(keras.layers.Dense(units, kernel_initializer=kernel, name=f"hidden_{i + 1}"))
        if normalization == "batch":
            layers.append(keras.layers.BatchNormalization(name=f"norm_{i + 1}"))
        layers.append(keras.layers.Activation(activation, name=f"{activation}_{i + 1}"))
    layers.append(keras.layers.Dense(1, "sigmoid", kernel_initializer=kernel, name="output"))
    return keras.Sequential(layers)


def show(*, quick: bool = False) -> Exhibit:
    """Train eight networks with many seeds, and look into three of them."""
    x, y = make_circles(1000, factor=0.5, noise=0.1, random_state=0)
    x, y = x.astype(np.float32), y.astype(np.float32)
    seeds, epochs = range(2 if quick else 20), 3 if quick else 100
    looked_into = SHOWN[:2] if quick else SHOWN
    panels = len(looked_into)
    made, axes = figure(1, 1 + panels, size=(3.4 + 3.0 * panels, 3.8), width_ratios=[1.25, *[1] * panels])
    rows, names, reached = [], [], []
    for name, (hidden, activation, initial, normalization, optimizer, published) in NETWORKS.items():
        if quick and name not in looked_into:
            continue
        model = network(hidden, activation, initial, normalization)
        recipe = override(fl.default_recipe("simple"), [f"optimizer.name={optimizer}", "learning_rate=0.001"])
        runs = fl.train_many(
            model, x, y, recipe=recipe, seeds=seeds, epochs=epochs, batch_size=32, early_stopping=False, verbose=0
        )
        accuracy = final(runs, "accuracy")
        names.append(name)
        reached.append(accuracy)
        known = published.split(" / ") if published else ["", ""]
        rows.append(Row(f"accuracy, {name}", measure(accuracy), known[0]))
        rows.append(Row(f"log-loss, {name}", measure(final(runs, "loss")), known[1]))
        rows.append(
            Row(f"seeds that reach {LEARNED}, {name}", f"{sum(a >= LEARNED for a in accuracy)} of {len(accuracy)}")
        )
        if name in looked_into:
            keras.utils.set_random_seed(1)
            seen = fl.train(
                network(hidden, activation, initial, normalization), x, y, recipe=recipe, epochs=epochs, batch_size=32,
                early_stopping=False, verbose=0,
            )  # fmt: skip
            ax = axes[0, 1 + SHOWN.index(name)]
            sd = _gradients(ax, seen, name)
            rows.append(Row(f"gradient sd in the first layer, {name}", f"{sd:.1g}", _SD.get(name, "")))
    _accuracies(axes[0, 0], names, reached)
    for ax in axes[0, 2:]:
        ax.set_ylabel("")
    remark = (
        f"{NORMAL}, RMSprop at 0.001, batch 32, {epochs} epochs, {len(seeds)} seeds, accuracy on the training rows; "
        f"brackets: 95 % interval of the mean. {_verdict(dict(zip(names, reached, strict=True)))}"
    )
    return Exhibit("The vanishing gradient", tuple(rows), made, remark)


_TINY = 1e-6  # the lowest that is drawn
_SD = {"sigmoid": "0.01 to 0.001", "tanh": "0.1 to 0.01"}


def _verdict(reached: dict[str, list[float]]) -> str:
    """Say of each remedy whether it is above the plain sigmoid network's interval, and how often it learns."""
    if "sigmoid, Glorot" not in reached:
        return ""
    plain, said = measure(reached["sigmoid"]), []
    for name, rescues, fails in (
        ("sigmoid, Glorot", "Glorot's weights rescue", "Glorot's weights do not rescue"),
        ("sigmoid, batch norm", "Batch normalisation rescues", "Batch normalisation does not rescue"),
    ):
        found, there = measure(reached[name]), sum(a >= LEARNED for a in reached[name])
        verb = rescues if found.low > plain.high else fails
        said.append(f"{verb} the sigmoid network ({there} of {found.n} seeds reach {LEARNED}).")
    return " ".join(said)


def _gradients(ax: Any, run: fl.Run, title: str) -> float:
    """Draw the sd of each kernel's gradient over the epochs; return the median of the first layer's."""
    inside = run.trace.inside
    assert inside is not None
    sd = inside.values["gradient_sd"][0]  # (t, L)
    kept = [i for i, kind in enumerate(inside.kinds) if not np.isnan(sd[:, i]).all() and "Normal" not in kind]
    for k, i in enumerate(kept):
        ax.plot(
            inside.epochs,
            np.maximum(sd[:, i], _TINY),
            color=SERIES[k % 8],
            linestyle=DASHES[k % 8],
            label=inside.layers[i],
        )
    ax.set(yscale="log", ylim=(_TINY, 2.0), xlabel="epoch", ylabel="sd of the gradient", title=title)
    ax.legend(frameon=False, fontsize=7, loc="lower left")
    return float(np.nanmedian(sd[:, kept[0]]))


def _accuracies(ax: Any, names: list[str], reached: list[list[float]]) -> None:
    """A dot a seed, and the mean."""
    spread = np.random.default_rng(0)
    for i, values in enumerate(reached):
        ax.plot(values, i + spread.uniform(-0.22, 0.22, len(values)), ".", color=SERIES[0], alpha=0.5, markersize=5)
        ax.plot(np.mean(values), i, "|", color=SERIES[1], markersize=16, markeredgewidth=2.5)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set(xlabel="accuracy: a dot a seed, bar: mean", xlim=(0.44, 1.02), title="what was learned")


def show_yours(model: Any, x: Any, y: Any, *, quick: bool = False) -> Exhibit:
    """Train a copy of your model and look at the gradients of its layers."""
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    run = fl.train(copied, x, y, epochs=3 if quick else 30, early_stopping=False, verbose=0)
    made, axes = figure(1, 2, size=(11.0, 4.2))
    _gradients(axes[0, 0], run, "your layers")
    run.trace.plot_layers("update_ratio", axes[0, 1]).set_title("length of a step over that of the weights")
    rows = [Row(finding.symptom, finding.message) for finding in run.diagnosis]
    return Exhibit("The gradients of your model", tuple(rows) or (Row("findings", "none"),), made)
