"""What a cold start takes in traces that do not say: quantiles published for another platform, and draws from them.

The numbers were read from figure 13 (region 1, total cold start time by pod size) of Artjom Joosen et al., "Serverless
Cold Starts and Where to Find Them", EuroSys 2025 (Huawei Cloud). Between quantiles, and from the quartiles out to the
5th and the 95th percentile, the logarithm of the time is linear in the probability; beyond these two it stays there.
Region 1 is the one whose quartiles lie on such lines: the pools of region 2 have a second mode at ten seconds, which an
extrapolation would turn into minutes. Called by readers of traces without start costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CREATE_MS = 105
"""The part of a cold start that is the platform's: what the simulator takes for CreateSlot unless told otherwise."""

SMALL_POD_MB = 256
"""Memory up to which the paper calls a pod small."""

QUARTILES = (0.25, 0.50, 0.75)
SMALL_S = (0.60189, 1.18946, 2.96077)
LARGE_S = (1.78078, 2.63607, 4.29696)
"""Seconds of a total cold start at the quartiles."""

LOW, HIGH = 0.05, 0.95
"""The percentiles out to which the quartiles' lines are drawn."""


def draw_cold_starts(memory_mb: NDArray[np.uint64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw one total cold start time for each function.

    Args:
        memory_mb: shape (f,), decides whose quantiles a function has: small pods' or large ones'.
        rng: gives one number a function.

    Returns:
        Seconds, shape (f,).
    """
    level = rng.random(len(memory_mb))
    return np.where(memory_mb <= SMALL_POD_MB, cold_start_quantile(SMALL_S, level), cold_start_quantile(LARGE_S, level))


def cold_start_quantile(quartiles_s: tuple[float, float, float], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times at probabilities `level` (0 to 1) of the law that the three quartiles define."""
    logs = np.log(quartiles_s)
    below = logs[0] - (logs[1] - logs[0]) * (QUARTILES[0] - LOW) / (QUARTILES[1] - QUARTILES[0])
    above = logs[2] + (logs[2] - logs[1]) * (HIGH - QUARTILES[2]) / (QUARTILES[2] - QUARTILES[1])
    times: NDArray[np.float64] = np.exp(np.interp(level, (LOW, *QUARTILES, HIGH), (below, *logs, above)))
    return times
