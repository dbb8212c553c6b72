"""Pure JAX: one step, the scan of steps, the population. No Keras, no files."""

from __future__ import annotations

from fallline.engine.devices import configure, jit, member_devices
from fallline.engine.evaluation import Rows, evaluate
from fallline.engine.inside import LayerTap, Observer, Watched, take_apart
from fallline.engine.member import (
    DIVERGED,
    RUNNING,
    STOPPED,
    MemberState,
    Schedule,
    StepSeen,
    Task,
    inspect_step,
    start_state,
    used_weights,
)
from fallline.engine.population import Population
from fallline.engine.row_losses import row_losses
from fallline.engine.stepwise import Stepwise, steps_of
from fallline.engine.stopping import Pace, Stopping

__all__ = [
    "DIVERGED",
    "RUNNING",
    "STOPPED",
    "LayerTap",
    "MemberState",
    "Observer",
    "Pace",
    "Population",
    "Rows",
    "Schedule",
    "StepSeen",
    "Stepwise",
    "Stopping",
    "Task",
    "Watched",
    "configure",
    "evaluate",
    "inspect_step",
    "jit",
    "member_devices",
    "row_losses",
    "start_state",
    "steps_of",
    "take_apart",
    "used_weights",
]
