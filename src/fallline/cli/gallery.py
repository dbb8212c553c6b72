"""``fallline gallery``: figures that everybody should have seen once, and the same of your own model."""

from __future__ import annotations

import inspect
from typing import Any

import click

from fallline.cli.arrays import model_arrays
from fallline.errors import InputError

__all__ = ["command"]


@click.command("gallery")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Few epochs and seeds: seconds, and numbers that mean little.")
@click.option("-o", "--out", default="gallery", show_default=True, metavar="DIR", help="Folder of the pictures.")
@click.option("--overwrite", is_flag=True, help="Replace pictures that are there.")
@click.option("--model", metavar="FILE", help="A Keras model (.keras) of your own; needs --data.")
@click.option("--data", metavar="FILE", help="Its data (.npz, or a table of numbers).")
@click.option("-t", "--target", default="y", show_default=True, metavar="NAME", help="The array or column to predict.")
@click.option(
    "--images", metavar="PATH", help="For normalisation: a folder or zip with train/<class> and test/<class>."
)
def command(
    names: tuple[str, ...], quick: bool, out: str, overwrite: bool, model: str | None, data: str | None, target: str,
    images: str | None,
) -> None:  # fmt: skip
    """Train what a picture of the gallery shows, draw it, and print our numbers beside the published ones.

    Without a NAME the pictures are listed; ``all`` makes them all. With --model and --data it is your loss, your
    gradients, your learning rate: landscape, surfaces, vanishing, rate.

    \u0008
    fallline gallery
    fallline gallery vanishing momentum
    fallline gallery landscape --model model.keras --data data.npz -t y
    fallline gallery normalisation --images cifar10.zip
    """
    from fallline.gallery import EXHIBITS, find_exhibit

    if not names:
        for name, what in EXHIBITS.items():
            click.echo(f"{name:16} {what}")
        return
    chosen = list(EXHIBITS) if names == ("all",) else list(dict.fromkeys(names))
    scripts = {name: find_exhibit(name) for name in chosen}
    if (model is None) != (data is None):
        raise InputError("--model and --data belong together: your model is drawn on your data.")
    yours: tuple[Any, ...] = ()
    if model is not None and data is not None:
        able = [name for name in EXHIBITS if hasattr(find_exhibit(name), "show_yours")]
        unable = [name for name in chosen if name not in able]
        if unable:
            raise InputError(f"{', '.join(unable)}: drawn on fixed data. Of your own model there is {', '.join(able)}.")
        from fallline.store import load_model

        yours = (load_model(model), *model_arrays(data, target, None))
    for name, script in scripts.items():
        takes = inspect.signature(script.show).parameters
        if images is not None and "images" not in takes:
            raise InputError(f"{name} takes no --images: it belongs to normalisation.")
        given = {"images": images} if images is not None else {}
        shown = script.show_yours(*yours, quick=quick) if yours else script.show(quick=quick, **given)
        click.echo(str(shown))
        for path in shown.save(out, name, overwrite=overwrite):
            click.echo(f"\n{path}")
        click.echo()
