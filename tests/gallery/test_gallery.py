"""Every script of the gallery runs in its quick mode; what it says that does not depend on long trainings is so."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.errors import DataError, InputError
from fallline.gallery import EXHIBITS, Exhibit, find_exhibit
from fallline.gallery.conditioning import condition
from fallline.gallery.exhibit import Measured, measure
from fallline.gallery.images import read_images
from fallline.gallery.planes import gradient_of, walk

SHOWN: dict[str, Exhibit] = {}
ANIMATED = ("surfaces", "momentum")


def shown(name: str) -> Exhibit:
    if name not in SHOWN:
        SHOWN[name] = find_exhibit(name).show(quick=True)
    return SHOWN[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXHIBITS)
def test_every_picture_is_made_in_its_quick_mode(name: str, tmp_path: Path) -> None:
    exhibit = shown(name)
    paths = exhibit.save(tmp_path, name)
    assert [path.suffix for path in paths] == [".png", *([".gif"] if name in ANIMATED else [])]
    assert all(path.stat().st_size > 5_000 for path in paths)
    assert exhibit.title in str(exhibit)
    assert all(row.what in str(exhibit) for row in exhibit.rows)
    for ax in exhibit.figure.axes:
        assert ax.lines or ax.collections or ax.images
    with pytest.raises(InputError, match="would be replaced"):
        exhibit.save(tmp_path, name)


@pytest.mark.slow
def test_the_line_is_that_of_least_squares() -> None:
    line = shown("line")
    assert abs(float(str(line["slope m"])) - 0.33559) < 2e-3
    assert abs(float(str(line["intercept b"])) - 0.80472) < 6e-3
    assert abs(float(str(line["mean squared error"])) - 0.01805) < 1e-5


@pytest.mark.slow
def test_a_784_15_10_network_has_the_weights_that_were_counted() -> None:
    assert shown("guessing")["a 784-15-10 network"] == "11,910 weights, 25 biases"


def test_plain_descent_stays_at_the_saddle_and_momentum_leaves_it() -> None:
    from fallline.gallery.surfaces import SCENES, SIX, STEPS

    surface, start, *_ = SCENES["a saddle"]
    ends = {}
    for name, (which, numbers) in SIX.items():
        ends[name] = float(surface(walk(gradient_of(surface), start, which, STEPS, **numbers)[-1]))
    assert ends.pop("SGD") > -0.5
    assert all(height < -3.5 for height in ends.values()), ends


@pytest.mark.slow
def test_three_values_normalise_as_published() -> None:
    normalisation = shown("normalisation")
    assert normalisation["1, 2, 3 normalised"] == "-1.2247, 0.0000, 1.2247"
    assert normalisation["said of the sigmoid output before training"] == "output-loss-mismatch"


@pytest.mark.slow
def test_whitening_makes_the_condition_number_one() -> None:
    found = shown("conditioning")
    numbers = [float(str(found[f"condition number, {name}"]).replace(",", "")) for name in (
        "as given", "centred", "centred, scaled", "whitened")]  # fmt: skip
    assert numbers[0] > numbers[1] > numbers[2] > numbers[3]
    # Fitted on the training rows, asked of all.
    assert numbers[3] < 1.3


def test_a_condition_number_is_that_of_the_second_derivatives() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1.0, 5.0, 0.1]
    hessian, number = condition(x)
    assert number == pytest.approx(np.linalg.cond(x) ** 2)
    w, y, h = np.ones(3), np.zeros(30), 1e-3
    loss = lambda w: np.mean((x @ w - y) ** 2)  # noqa: E731
    e = np.eye(3) * h
    second = (loss(w + e[0] + e[1]) - loss(w + e[0] - e[1]) - loss(w - e[0] + e[1]) + loss(w - e[0] - e[1])) / (
        4 * h * h
    )
    assert second == pytest.approx(hessian[0, 1], rel=1e-4)


@pytest.mark.slow
def test_a_flat_curve_is_found_flat_and_a_good_fit_good() -> None:
    found = shown("curves")
    assert "S1" in str(found["S1 underfit: flat"])
    assert "S4" in str(found["S4 good fit"])


def test_a_mean_has_the_interval_of_students_t() -> None:
    assert measure([1.0, 2.0, 3.0, np.nan]) == Measured(2.0, pytest.approx(-0.484138), pytest.approx(4.484138), 3)  # type: ignore[arg-type]
    assert str(measure([5.0])) == "5.000"


@pytest.mark.slow
def test_a_persons_own_model_is_drawn(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    model = fl.networks.mlp(2, 1, hidden=(4,), output="sigmoid")
    before = model.get_weights()
    for name in EXHIBITS:
        script = find_exhibit(name)
        if hasattr(script, "show_yours"):
            exhibit = script.show_yours(model, x, (x[:, :1] > 0).astype(np.float32), quick=True)
            assert exhibit.save(tmp_path, name)[0].stat().st_size > 5_000
    assert len(list(tmp_path.iterdir())) == 4
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def _write_images(folder: Path, *, size: int = 16) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            place = folder / "small" / part / label
            place.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(rng.integers(0, 255, (size, size, 3), np.uint8)).save(place / f"{i}.png")


def test_images_are_read_from_a_folder_and_from_a_zip(tmp_path: Path) -> None:
    _write_images(tmp_path)
    x, y, test_x, test_y = read_images(tmp_path)
    assert x.shape == test_x.shape == (6, 16, 16, 3)
    assert y.tolist() == test_y.tolist() == [0, 0, 0, 1, 1, 1]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted((tmp_path / "small").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
    again = read_images(tmp_path / "all.zip", most=2)
    assert np.array_equal(again[0], x[[0, 3]])


def test_a_folder_without_images_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train/<class>"):
        read_images(tmp_path)
    with pytest.raises(DataError, match="There is no"):
        read_images(tmp_path / "none")
    _write_images(tmp_path / "a")
    (tmp_path / "a/small/train/cat/9.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"cannot be read|no image"):
        read_images(tmp_path / "a")


def test_an_unknown_picture_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean"):
        find_exhibit("vanshing")
