"""Idle gaps by demand level: how long the k-th instance of a function would be free between two uses.

Level k is in use while k or more requests of the function execute, each from its arrival on for its duration; its gaps
are the times in between. They are what a keep-alive has to bridge (docs/level-gap.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import Trace

LEVELS = (1, 2, 3, 4, 8, 16, 32)
QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95, 0.99)


class LevelGaps(NamedTuple):
    """The idle gaps of one demand level, over all functions.

    Attributes:
        level: k.
        gaps_s: all of them, ascending.
    """

    level: int
    gaps_s: NDArray[np.float64]

    def quantiles_s(self) -> list[float]:
        """Return the gaps at `QUANTILES`."""
        return [float(value) for value in np.quantile(self.gaps_s, QUANTILES)]


class Demand(NamedTuple):
    """How many requests of one function execute at once.

    Attributes:
        peak: most of any function.
        levels: the gaps of those of `LEVELS` that have any.
    """

    peak: int
    levels: tuple[LevelGaps, ...]


def demand(trace: Trace) -> Demand:
    """Measure the gaps; takes 40 bytes a request beside the trace."""
    function = np.concatenate([trace.function, trace.function])
    times_ns = np.concatenate([trace.arrival_ns, trace.arrival_ns + trace.duration_ns])
    begins = np.repeat([True, False], len(trace))
    # At one moment ends come first, as in the simulator; a request that takes no time begins before it ends.
    instant = np.concatenate([trace.duration_ns == 0] * 2)
    rank = np.where(instant, np.where(begins, 1, 2), np.where(begins, 1, 0)).astype(np.int8)
    order = np.lexsort((rank, times_ns, function))
    function, times_ns, begins = function[order], times_ns[order], begins[order]
    # Every function ends with as many ends as begins, so that one sum serves all.
    executing = np.cumsum(np.where(begins, 1, -1))
    levels = []
    for level in LEVELS:
        up = np.flatnonzero(begins & (executing == level))
        down = np.flatnonzero(~begins & (executing == level - 1))
        if len(up) < 2:  # noqa: PLR2004 - a gap lies between two uses
            break
        same = function[up[1:]] == function[down[:-1]]
        gaps_ns = (times_ns[up[1:]].astype(np.int64) - times_ns[down[:-1]].astype(np.int64))[same]
        if len(gaps_ns):
            levels.append(LevelGaps(level, np.sort(gaps_ns) / NS_PER_S))
    return Demand(int(executing.max()), tuple(levels))
