"""Run folders on disk: atomic, checked, locked, and safe to read from strangers."""

from fallline.store.compiled import Compiled, named_loss, named_optimizer, read_compiled
from fallline.store.environment import environment
from fallline.store.folder import RunFolder
from fallline.store.live import Live, LiveWriter, read_live
from fallline.store.model_file import load_model, model_bytes
from fallline.store.record import load_run, save_run, write_final, write_run, write_start
from fallline.store.runs import RunEntry, list_runs, next_name, run_entry, run_folders

__all__ = [
    "Compiled",
    "Live",
    "LiveWriter",
    "RunEntry",
    "RunFolder",
    "environment",
    "list_runs",
    "load_model",
    "load_run",
    "model_bytes",
    "named_loss",
    "named_optimizer",
    "next_name",
    "read_compiled",
    "read_live",
    "run_entry",
    "run_folders",
    "save_run",
    "write_final",
    "write_run",
    "write_start",
]
