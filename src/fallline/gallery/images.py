"""Images from a folder with one folder a class, or from a zip of such folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np

from fallline.errors import DataError

__all__ = ["Images", "read_images"]

Images = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_KINDS = (".jpg", ".jpeg", ".png")


def read_images(path: Any, most: int | None = None) -> Images:
    """Return (x, y, test x, test y): images (n, h, w, c) from 0 to 255 and class indices.

    Args:
        path: a folder, or a zip, that holds ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``, all of one size.
        most: images of each part, spread evenly over the classes; None: all.

    Raises:
        DataError: there are no such images, or they differ in size.
    """
    parts: dict[str, dict[str, list[Any]]] = {"train": {}, "test": {}}
    source = Path(path)
    if not source.exists():
        raise DataError(f"There is no {source}: it takes a folder or a zip with train/<class>/ and test/<class>/.")
    with zipfile.ZipFile(source) if source.is_file() else _Folder(source) as archive:
        for name in sorted(archive.namelist()):
            place = PurePosixPath(name)
            if place.suffix.lower() in _KINDS and len(place.parts) >= 3 and place.parts[-3] in parts:
                parts[place.parts[-3]].setdefault(place.parts[-2], []).append(name)
        classes = sorted(parts["train"])
        if not classes or sorted(parts["test"]) != classes:
            raise DataError(f"{source} holds no train/<class>/*.jpg and test/<class>/*.jpg with the same classes.")
        found: list[np.ndarray] = []
        for part in ("train", "test"):
            each = None if most is None else max(1, most // len(classes))
            rows = [(name, i) for i, label in enumerate(classes) for name in parts[part][label][:each]]
            pixels = list(_decoded(archive, [name for name, _ in rows]))
            if len({image.shape for image in pixels}) > 1:
                raise DataError(f"The images in {source} differ in size: bring them to one.")
            found += [np.stack(pixels), np.array([i for _, i in rows], np.int32)]
    return found[0], found[1], found[2], found[3]


class _Folder:
    """A folder that reads like a zip."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def namelist(self) -> list[str]:
        return [p.relative_to(self.root.parent).as_posix() for p in self.root.rglob("*") if p.suffix.lower() in _KINDS]

    def read(self, name: str) -> bytes:
        return (self.root.parent / name).read_bytes()


def _decoded(archive: Any, names: list[str]) -> Iterator[np.ndarray]:
    from PIL import Image, UnidentifiedImageError

    for name in names:
        try:
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(name))), np.float32)
        except UnidentifiedImageError as error:
            raise DataError(f"{name} is no image that can be read.") from error
        yield pixels if pixels.ndim == 3 else pixels[..., None]
