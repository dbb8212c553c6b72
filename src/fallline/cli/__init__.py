"""The command line: ``fallline COMMAND``; one file a command, imported only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from fallline import __version__
from fallline.cli.failures import explain, prepare_streams
from fallline.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "group", "main"]

# What `fallline --help` prints of each command, so that it need not import them.
COMMANDS = {
    "train": "Train a network on a table and explain the result.",
    "check": "Say what is wrong before a training; check a model's derivatives.",
    "lr": "Suggest a learning rate for a table and a recipe.",
    "predict": "Predict the rows of a new table with a trained run.",
    "improve": "Diagnose, try treatments side by side, keep what helps, and begin again.",
    "search": "Search for better values of recipe entries on a table.",
    "evaluate": "Score recipes beside two baselines on folds, with intervals; nested, too.",
    "experiment": "Try treatments on a table beside an untreated control, and decide.",
    "runs": "List the runs in a folder.",
    "diagnose": "Say what is wrong with a training, from a run folder, a CSV of curves or TensorBoard logs.",
    "serve": "Show the runs on a live page; start, stop and fork trainings there.",
    "report": "Write a run's HTML report again.",
    "export": "Give a run to other tools: ONNX, TensorBoard, MLflow.",
    "recipe": "Print a preset recipe as commented TOML.",
    "rules": "List the symptoms that the diagnosis looks for.",
    "gallery": "Draw what everybody should have seen once, or your own loss landscape.",
    "treatments": "List what can be tried against the symptoms.",
    "demo": "Train on a real medical table and show all there is.",
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fallline")
@click.option("--debug", is_flag=True, envvar="FALLLINE_DEBUG", help="Show the traceback of an error.")
def group(debug: bool) -> None:
    """Train neural networks on tables, see what happens, and learn what is wrong.

    \u0008
    fallline demo                              a first look
    fallline train data.csv --target price     a run folder with model and report
    fallline predict runs/data new.csv -o predicted.csv
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0 success, 2 wrong input, 1 another failure that has a name (or the reader of a pipe went away), 70 a mistake of
    fallline itself, 130 and 143 stopped by SIGINT and SIGTERM.
    """
    prepare_streams()
    # Where a model needs TensorFlow, that tells of its own affairs; on this screen the word is fallline's.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with explain(arguments):
        result = group.main(args=arguments, prog_name="fallline", standalone_mode=False)
        sys.stdout.flush()  # a closed pipe must show here, not when the interpreter ends
        raise SystemExit(result if isinstance(result, int) else 0)
