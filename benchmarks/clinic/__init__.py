"""The clinic: faults are injected into healthy trainings, and what the diagnosis says is counted."""

from __future__ import annotations

__all__: list[str] = []
