"""Pictures in Python are axes that show what was seen, in the report's colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import fallline
from fallline.errors import InputError
from fallline.plot.style import COLOURS, figure
from fallline.types import Comparison, Diagnosis, Experiment, Finding, Inside, Landscape, Run, Trace

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def make_run() -> Run:
    epochs = list(range(1, 6)) * 2
    rows = {
        "member": [0] * 10,
        "epoch": epochs,
        "layer": [""] * 10,
        "quantity": ["loss"] * 5 + ["val_loss"] * 5,
        "value": [1.0, 0.5, 0.2, 0.1, 0.02, 1.1, 0.6, 0.4, 0.5, 0.7],
    }
    gradients = np.geomspace(1e-6, 1, 6).reshape(1, 2, 3).astype(np.float32)
    gradients[..., 1] = np.nan  # a layer without weights
    inside = Inside(("a", "act", "b"), ("Dense",) * 3, ("relu",) * 3, 2, np.array([0, 5]), {"gradient_norm": gradients})
    finding = Finding("overfit", "S3", "generalisation", "warning", 0.8, "It turns up.", epoch=3)
    facts = {"best_epoch": 3}
    return Run(
        None, Trace.from_columns(rows).with_inside(inside), "completed", diagnosis=Diagnosis((finding,)), facts=facts
    )


def test_curves_of_a_run() -> None:
    ax = make_run().plot()
    by_name = {line.get_label(): line for line in ax.lines}
    assert by_name["training"].get_ydata()[-1] == 0.02
    assert by_name["validation"].get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert by_name["lowest: epoch 3"].get_xdata()[0] == 3
    assert by_name["1 overfit"].get_color() == COLOURS["warning"]
    assert ax.get_yscale() == "log"  # from 1.1 to 0.02


def test_the_gains_of_an_experiment() -> None:
    gains = (0.1, 0.2, 0.3, 0.2)
    arms = (
        Comparison("faster", gains, 0.2, 0.1, 0.3, 0.01, 0.02, "helps"),
        Comparison("slower", tuple(-g for g in gains), -0.2, float("nan"), float("nan"), 0.5, 0.5, "cannot tell", 3),
    )
    scores = {"control": (1.0,) * 4, "faster": (0.8,) * 4, "slower": (1.2,) * 4}
    found = Experiment("Does it?", "", "So.", "", "It does.", "rmse", (0, 1), 2, scores=scores, comparisons=arms)
    ax = found.plot()
    dots, interval, mean = ax.lines[1:4]
    assert dots.get_xdata().tolist() == list(gains)
    assert len(set(dots.get_ydata())) == 2  # a line for each seed
    assert list(interval.get_xdata()) == [0.1, 0.3]
    assert mean.get_color() == interval.get_color() == COLOURS["good"]
    assert [text.get_text() for text in ax.texts] == ["+0.2\nhelps", "-0.2\ncannot tell"]
    assert len(ax.lines) == 6  # zero; dots, interval, mean; dots and mean where there is no interval
    _, axes = figure()
    assert found.plot(axes[0, 0]) is axes[0, 0]
    assert "helps" in str(found)
    assert "<td>faster</td>" in found._repr_html_()


def test_given_axes_are_drawn_on_and_the_findings_can_be_left_out() -> None:
    _, axes = figure()
    run = make_run()
    assert run.plot("loss", axes[0, 0], findings=False) is axes[0, 0]
    assert not [line for line in axes[0, 0].lines if "overfit" in str(line.get_label())]


def test_layers_of_a_trace() -> None:
    ax = make_run().trace.plot_layers("gradient_norm")
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (2, 2)  # the layer without weights is left out
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_findings_of_a_diagnosis() -> None:
    ax = make_run().diagnosis.plot()
    assert [round(bar.get_width(), 6) for bar in ax.patches] == [0.8]
    assert "overfit" in ax.get_yticklabels()[0].get_text()
    assert Diagnosis().plot().texts[0].get_text() == "nothing was found"


def test_landscapes() -> None:
    a = np.linspace(-1, 1, 5)
    line = Landscape((a,), a**2, ("way",), {(0.0,): "model"}).plot()
    assert line.lines[0].get_ydata()[0] == 1.0
    path = np.array([[-1.0, 0.5], [0.0, 0.0]])
    plane = Landscape((a, a), a[:, None] ** 2 + a**2, ("1", "2"), {(0.0, 0.0): "model"}, path).plot()
    assert any(np.array_equal(found.get_xydata(), path) for found in plane.lines)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda run: run.plot("accuracy"), "was not watched"),
        (lambda run: run.trace.plot_layers("gradient_nrom"), "Did you mean"),
        (lambda run: run.trace.plot_layers("dead_share"), "watch=True"),
        (lambda run: run.trace.with_inside(None).plot_layers(), "watch=True"),
    ],
)
def test_what_cannot_be_drawn_says_why(draw, words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw(make_run())


def test_the_colours_are_those_of_the_report() -> None:
    css = (Path(fallline.__file__).parent / "report/style.css").read_text(encoding="utf-8")
    on_white = dict(reversed(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css[: css.index("@media")])))
    assert {name: on_white[name] for name in COLOURS} == dict(COLOURS)


def test_the_series_are_those_of_the_live_page() -> None:
    from fallline.plot.style import SERIES

    css = (Path(fallline.__file__).parent / "serve/static/page.css").read_text(encoding="utf-8")
    assert tuple(re.findall(r"--s\d: (#[0-9a-f]{6});", css)[: len(SERIES)]) == SERIES


def test_without_matplotlib_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(InputError, match=r"fallline\[gallery\]"):
        make_run().plot()
