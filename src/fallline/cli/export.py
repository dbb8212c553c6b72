"""``fallline export``: a run for other tools."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("export")
@click.argument("run")
@click.option("--onnx", metavar="FILE", help="Write the model as ONNX.")
@click.option("--tensorboard", metavar="FOLDER", help="Write curves and layers as TensorBoard's event files.")
@click.option("--mlflow", metavar="EXPERIMENT", help="Log the run to this experiment of MLflow.")
@click.option("--tracking-uri", metavar="URI", help="Where MLflow keeps its runs.  [default: as MLflow is set up]")
@click.option("--overwrite", is_flag=True, help="Replace the file that --onnx names.")
def command(
    run: str, onnx: str | None, tensorboard: str | None, mlflow: str | None, tracking_uri: str | None, overwrite: bool
) -> None:
    """Give RUN (a run folder) to other tools.

    \u0008
    fallline export runs/houses-1 --onnx houses.onnx
    fallline export runs/houses-1 --tensorboard logs
    fallline export runs/houses-1 --mlflow houses
    """
    from fallline.cli.screen import Screen
    from fallline.errors import InputError
    from fallline.store import load_run

    if onnx is None and tensorboard is None and mlflow is None:
        raise InputError("Nothing is asked for: give --onnx FILE, --tensorboard FOLDER or --mlflow EXPERIMENT.")
    loaded = load_run(run, model=onnx is not None or mlflow is not None)
    screen = Screen()
    if onnx is not None:
        screen.result(str(loaded.export_onnx(onnx, overwrite=overwrite)))
    if tensorboard is not None:
        screen.result(str(loaded.trace.to_tensorboard(tensorboard)))
    if mlflow is not None:
        screen.result(loaded.to_mlflow(experiment=mlflow, tracking_uri=tracking_uri))
