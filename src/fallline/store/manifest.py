"""The manifest: which files belong to a run, with size and sha256. Replacing it is what commits every change."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from fallline.errors import RunFolderError
from fallline.store import atomic

__all__ = ["FORMAT_VERSION", "MANIFEST_NAME", "Entry", "Manifest", "Status", "check_name", "read_manifest"]

MANIFEST_NAME = "manifest.json"
FORMAT = "fallline run folder"
FORMAT_VERSION = 1

Status = Literal["training", "finished", "interrupted"]
STATUSES: tuple[Status, ...] = get_args(Status)

_MAX_MANIFEST_BYTES = 1 << 20
_MAX_FILES = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STAGED = re.compile(re.escape(atomic.TEMPORARY_PREFIX) + r"[A-Za-z0-9._-]{1,200}" + re.escape(atomic.TEMPORARY_SUFFIX))
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One file of the run.

    Args:
        sha256: of the content, in hexadecimal.
        size: in bytes.
        staged: the temporary name that holds the content until it is renamed; "" when it stands in its place. A
            reader looks there first, so that the manifest alone decides between old and new.
    """

    sha256: str
    size: int
    staged: str = ""


@dataclass(frozen=True)
class Manifest:
    """The whole state of a run folder.

    Args:
        status: ``training``, ``finished`` or ``interrupted``.
        created: when the run was begun, ISO 8601 in UTC.
        generation: grows by one with every change.
        files: name -> entry.
        discard: name -> sha256 of files that are no longer part of the run and may still lie there.
        checkpoint: the name of the current checkpoint among ``files``, or "".
    """

    status: Status
    created: str
    generation: int = 1
    files: Mapping[str, Entry] = field(default_factory=dict)
    discard: Mapping[str, str] = field(default_factory=dict)
    checkpoint: str = ""

    def encode(self) -> bytes:
        """Return the one canonical text of this manifest, its own checksum included."""
        body: dict[str, Any] = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "status": self.status,
            "created": self.created,
            "generation": self.generation,
            "files": {
                name: {"sha256": e.sha256, "size": e.size, **({"staged": e.staged} if e.staged else {})}
                for name, e in sorted(self.files.items())
            },
            "discard": dict(sorted(self.discard.items())),
            "checkpoint": self.checkpoint,
        }
        body["self"] = atomic.sha256(json.dumps(body, sort_keys=True).encode())
        return json.dumps(body, indent=1).encode() + b"\n"


def check_name(name: str) -> str:
    """Return a file name that stays inside its folder on every system, or raise RunFolderError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == MANIFEST_NAME:
        raise RunFolderError(
            f"{name!r} is no file name for a run folder: allowed are up to 100 letters, digits, '.', '_' and '-', "
            f"the first a letter or digit, and not {MANIFEST_NAME!r}."
        )
    return name


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        RunFolderError: it is missing, damaged, of another version, or not fallline's.
    """
    path = folder / MANIFEST_NAME
    try:
        data = atomic.read_capped(path, _MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        if not folder.is_dir():
            raise RunFolderError(f"There is no run folder {folder}. `fallline runs` lists the runs.") from None
        raise RunFolderError(f"{folder} is not a run folder of fallline: it has no {MANIFEST_NAME}.") from None
    except OSError as error:
        raise atomic.explain(error, path, "read") from error
    return _decode(data, path)


def _decode(data: bytes, path: Path) -> Manifest:
    damaged = RunFolderError(
        f"{path} is damaged: its content does not match its own checksum. Restore the run folder from a copy."
    )
    try:
        given = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise RunFolderError(
            f'{path} is not a manifest of fallline (or is damaged): it does not say "format": "{FORMAT}".'
        )
    version = given.get("version")
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        advice = (
            "Use a newer fallline to read it." if newer else "Train again, or read it with the fallline that wrote it."
        )
        raise RunFolderError(
            f"{path} has format version {version!r}; this fallline reads version {FORMAT_VERSION}. {advice}"
        )
    try:
        manifest = Manifest(
            status=_one_of(given["status"]),
            created=_text(given["created"]),
            generation=_natural(given["generation"]),
            files={
                check_name(name): Entry(_sha(e["sha256"]), _natural(e["size"]), _staged(e.get("staged", "")))
                for name, e in given["files"].items()
            },
            discard={check_name(name): _sha(digest) for name, digest in given["discard"].items()},
            checkpoint=_text(given["checkpoint"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RunFolderError):
        raise damaged from None
    # The canonical text is compared as a whole, so that not even a changed blank passes.
    if manifest.encode() != data or len(manifest.files) > _MAX_FILES:
        raise damaged
    if manifest.checkpoint and manifest.checkpoint not in manifest.files:
        raise damaged
    return manifest


def _one_of(value: Any) -> Status:
    if value not in STATUSES:
        raise ValueError(value)
    found: Status = value
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _natural(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(value)
    return value


def _sha(value: Any) -> str:
    if not _SHA.fullmatch(_text(value)):
        raise ValueError(value)
    return str(value)


def _staged(value: Any) -> str:
    name = _text(value)
    if name and not _STAGED.fullmatch(name):
        raise ValueError(value)
    return name
