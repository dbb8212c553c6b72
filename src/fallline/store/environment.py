"""What a run ran on: versions, machine, seed, time."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

__all__ = ["PACKAGES", "environment"]

PACKAGES = ("fallline", "numpy", "jax", "jaxlib", "keras", "optax", "scikit-learn")


def environment(*, seed: int | None = None, fingerprint: str = "") -> dict[str, Any]:
    """Return versions, platform, processor count, seed, time in UTC and the data's fingerprint, without heavy imports.

    Args:
        seed: of the run; None when it has none.
        fingerprint: sha256 of the data, in hexadecimal.

    >>> sorted(environment(seed=1))[:4]
    ['fingerprint', 'machine', 'packages', 'platform']
    """
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count() or 1,
        "seed": seed,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": fingerprint,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
