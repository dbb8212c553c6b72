"""Two devices on every machine, so that members spread unevenly over them."""

from __future__ import annotations

import jax

if jax.config.jax_num_cpu_devices < 0:  # must be said before JAX is first used
    jax.config.update("jax_num_cpu_devices", 2)
