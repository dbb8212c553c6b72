"""Pure JAX: one step, the scan of steps, the population. No Keras, no files."""

from __future__ import annotations

from fallline.engine.devices import configure, member_devices
from fallline.engine.member import (
    DIVERGED,
    RUNNING,
    STOPPED,
    MemberState,
    Rows,
    Schedule,
    StepSeen,
    Stopping,
    Task,
    inspect_step,
    start_state,
)
from fallline.engine.population import Population
from fallline.engine.stepwise import Stepwise

__all__ = [
    "DIVERGED",
    "RUNNING",
    "STOPPED",
    "MemberState",
    "Population",
    "Rows",
    "Schedule",
    "StepSeen",
    "Stepwise",
    "Stopping",
    "Task",
    "configure",
    "inspect_step",
    "member_devices",
    "start_state",
]
