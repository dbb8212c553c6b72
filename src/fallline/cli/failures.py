"""From an exception to one line on stderr and an exit code; tracebacks only for those who ask."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence

import click

from fallline.cli.screen import clean
from fallline.errors import FalllineError, InputError

__all__ = ["EXIT_FAILURE", "EXIT_INPUT", "EXIT_INTERNAL", "StoppedError", "explain", "prepare_streams"]

EXIT_FAILURE = 1
EXIT_INPUT = 2
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h


class StoppedError(Exception):
    """The user stopped the command by a signal; what to say has been said.

    Args:
        signum: the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def prepare_streams() -> None:
    """Let no character that the terminal's encoding lacks end a command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def explain(arguments: Sequence[str] | None = None) -> Iterator[None]:
    """Turn every exception into a message and an exit code.

    Args:
        arguments: the command's arguments, to see whether ``--debug`` is among them; None: those of the process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    # Asked for here, not through click: the message must be right even when the options could not be read.
    debug = "--debug" in given or os.environ.get("FALLLINE_DEBUG", "") not in ("", "0", "false")
    try:
        yield
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(130) from None
    except StoppedError as stopped:
        raise SystemExit(128 + stopped.signum) from None
    except BrokenPipeError:
        _abandon_output()
        raise SystemExit(EXIT_FAILURE) from None
    except FalllineError as error:
        _say(str(error), debug)
        raise SystemExit(EXIT_INPUT if isinstance(error, InputError) else EXIT_FAILURE) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _say(f"the system refused{where}: {error.strerror or error}.", debug)
        raise SystemExit(EXIT_FAILURE) from None
    except MemoryError:
        _say("not enough memory for this table and recipe. Use fewer columns, members or units.", debug)
        raise SystemExit(EXIT_FAILURE) from None
    except Exception as error:  # noqa: BLE001 - the last resort: a person at a terminal must not meet a traceback
        _say(
            f"this is a mistake in fallline, not yours: {type(error).__name__}: {error}\n"
            "Run it again as `fallline --debug ...` for the traceback, and please report it.",
            debug,
        )
        raise SystemExit(EXIT_INTERNAL) from None


def _say(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        print(f"fallline: {clean(message)}", file=sys.stderr, flush=True)


def _abandon_output() -> None:
    """Send what is still buffered nowhere, or the interpreter complains about the closed pipe when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
