"""Names to learning algorithms, schedules and orders of examples."""

from __future__ import annotations

from fallline.optimize.emphasis import emphasised, emphasised_orders, next_streaks
from fallline.optimize.fan_in import fan_in_factors
from fallline.optimize.optimizers import Optimizer, make_optimizer
from fallline.optimize.order import OrderStream, alternating_orders, epoch_orders
from fallline.optimize.schedules import SCHEDULES, rate_factors, schedule_numbers

__all__ = [
    "SCHEDULES",
    "Optimizer",
    "OrderStream",
    "alternating_orders",
    "emphasised",
    "emphasised_orders",
    "epoch_orders",
    "fan_in_factors",
    "make_optimizer",
    "next_streaks",
    "rate_factors",
    "schedule_numbers",
]
