"""Problems made of others: images, whose columns are pixels; inputs that are their own targets; some of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data.frames import as_frame, shown
from fallline.data.problem import make_problem
from fallline.data.values import as_numbers
from fallline.errors import DataError
from fallline.types import Column, Problem

__all__ = ["as_pixels", "flat_images", "reconstruction_problem", "restricted"]


def flat_images(x: Any) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return images as rows of pixels, row by row and the channels of a pixel together, and (height, width, channels).

    Args:
        x: (n, h, w) or (n, h, w, c) array of numbers.

    Raises:
        DataError: another shape, or no numbers.

    >>> flat_images(np.zeros((5, 28, 28)))[0].shape, flat_images(np.zeros((5, 32, 32, 3)))[1]
    ((5, 784), (32, 32, 3))
    """
    images = np.asarray(x)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.dtype.kind not in "biuf" or not images.size:
        raise DataError(
            f"x has the shape {np.shape(x)} of {images.dtype}; images are arrays of numbers of the shape "
            "(n, height, width) or (n, height, width, channels)."
        )
    return images.reshape(len(images), -1), (images.shape[1], images.shape[2], images.shape[3])


def as_pixels(problem: Problem) -> Problem:
    """Return the problem with every column as a number: a pixel that never changes keeps its place in the image.

    Raises:
        DataError: columns that hold no numbers.
    """
    wrong = [column.name for column in problem.columns if as_numbers(problem.frame[column.name])[1].any()]
    if wrong:
        raise DataError(f"The columns {shown(wrong)} hold no numbers, but the columns of an image are its pixels.")
    return replace(problem, columns=tuple(Column(column.name, "numeric") for column in problem.columns))


def reconstruction_problem(x: Any, *, sample_weight: Any = None, source: str = "") -> Problem:
    """Return the problem of reproducing the inputs, for an autoencoder.

    Args:
        x: a table of numbers (n, p), none missing.
        sample_weight: (n,) weights of the rows.
        source: where the data came from, in words.

    Raises:
        DataError: columns that hold no numbers, never vary, or have gaps.

    >>> reconstruction_problem({"a": [1.0, 2.0, 4.0], "b": [0.5, 0.1, 0.2]}).target_names
    ('a', 'b')
    """
    frame = as_frame(x)
    wrong = []
    for name in frame.columns:
        values, bad = as_numbers(frame[name])
        if bad.any() or np.isnan(values).any() or (values == values[0]).all():
            wrong.append(name)
    if wrong:
        raise DataError(
            f"An autoencoder reproduces numbers, but the column(s) {shown(wrong)} hold something else, "
            "have gaps, or never vary. Leave them out or fill them first."
        )
    kind = "multioutput" if frame.shape[1] > 1 else "regression"
    targets = frame.astype(np.float64)
    problem = make_problem(frame, targets, kind=kind, sample_weight=sample_weight, source=source)
    return replace(problem, columns=tuple(Column(column.name, "numeric") for column in problem.columns))


def restricted(problem: Problem, rows: np.ndarray) -> Problem:
    """Return the problem of some rows alone, as if the others had never been there.

    Args:
        problem: the problem.
        rows: (m,) positions.
    """
    weight, groups = problem.sample_weight, problem.groups
    return replace(
        problem,
        frame=problem.frame.iloc[rows].reset_index(drop=True),
        y=problem.y[rows],
        sample_weight=None if weight is None else weight[rows],
        groups=None if groups is None else groups[rows],
        fingerprint="",
    )
