"""What a cold start takes in traces that do not say: one draw a function from a law published for Huawei Cloud.

The law is region 1's by pod size (`starts.huawei`): the region whose quartiles lie on the lines drawn through them; the
large pods of region 2, for one, have a second mode at ten seconds, which an extrapolation would turn into minutes.
Called by readers and generators of traces without start costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.starts.huawei import SMALL_POD_MB, pod_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

REGION = "R1"

CREATE_MS = 105
"""The part of a cold start that is the platform's: what the simulator takes for CreateSlot unless told otherwise."""


def draw_cold_starts(memory_mb: NDArray[np.uint64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw one total cold start time for each function.

    Args:
        memory_mb: shape (f,), decides whose quantiles a function has: small pods' or large ones'.
        rng: gives one number a function.

    Returns:
        Seconds, shape (f,).
    """
    level = rng.random(len(memory_mb))
    small_s, large_s = (pod_quantile(REGION, size, level) for size in (0, 1))
    return np.where(memory_mb <= SMALL_POD_MB, small_s, large_s)
