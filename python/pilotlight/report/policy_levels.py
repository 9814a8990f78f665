"""The demand levels of one function under the level_gap policy, as docs/level-gap.md shows them.

Seeded load is simulated; what the function met is taken apart by level, and the policy's account says what it made of
it. Every figure is the same on every run. Called by `policy_pictures`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight import _core
from pilotlight.simulation.runner import prepare, requests_of
from pilotlight.traces.generators import generate
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

LOAD, ROW, POLICY = "bursty", 1, "level_gap:lambda=5"
"""The load, the row of the function that is shown, and the policy; chosen for levels that differ within a minute."""

WINDOW_OF_LEVELS = re.compile(r"levels? (\d+)(?: to (\d+))?: kept for (\S+) s, .* against (\S+) if let go")
"""The line of the policy's account that says a window, and what a missing instance would cost."""


class Level(NamedTuple):
    """One demand level of the function.

    Attributes:
        wanted_s: shape (n, 2), when the level was wanted, from and until.
        gaps_s: shape (n,), its idle gaps, in order.
        kept_s: the window that the policy found; may be infinite.
        miss_gb_s: what the policy reckons it costs when the level returns and its instance is gone.
    """

    wanted_s: NDArray[np.float64]
    gaps_s: NDArray[np.float64]
    kept_s: float
    miss_gb_s: float


class Met(NamedTuple):
    """What the policy met: the function's levels from 1 on, and its memory in GB."""

    levels: list[Level]
    memory_gb: float


def wanted_by_level(arrival_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Say when each level was wanted.

    Args:
        arrival_s: shape (n,), when requests came.
        end_s: shape (n,), when they left.

    Returns:
        A matrix for each level from 1 on: shape (m, 2), from and until, in order.
    """
    # A request that comes as another leaves finds it there: arrivals stand first and the sort is stable.
    moments = np.concatenate([arrival_s, end_s])
    steps = np.repeat([1, -1], [len(arrival_s), len(end_s)])
    order = np.argsort(moments, kind="stable")
    moments, steps = moments[order], steps[order]
    demand = np.cumsum(steps)
    return [
        np.column_stack([moments[(steps > 0) & (demand == level)], moments[(steps < 0) & (demand == level - 1)]])
        for level in range(1, int(demand.max()) + 1)
    ]


def meet() -> Met:
    """Simulate the policy and take the function's levels apart."""
    trace = generate(LOAD).trace
    report = _core.simulate(
        **requests_of(trace),
        **prepare(trace).platform,
        keys=list(trace.functions.keys),
        policy=POLICY,
        tail_ns=NS_PER_S,
        per_request=True,
        explain=ROW,
    )
    if report.requests is None or report.explanation is None:
        raise RuntimeError("the simulator left out what it was asked for")
    own = trace.function == ROW
    arrival_ns = trace.arrival_ns[own]
    end_ns = arrival_ns + report.requests["wait_ns"][own] + trace.duration_ns[own]
    levels = []
    windows = _windows(report.explanation["accounts"][-1][1])
    for level, wanted_s in enumerate(wanted_by_level(arrival_ns / NS_PER_S, end_ns / NS_PER_S), start=1):
        levels.append(Level(wanted_s, wanted_s[1:, 0] - wanted_s[:-1, 1], *windows[level]))
    return Met(levels, float(trace.functions.memory_gb[ROW]))


def _windows(account: Iterable[str]) -> dict[int, tuple[float, float]]:
    """Read window and cost of a miss of every level off the policy's account."""
    windows: dict[int, tuple[float, float]] = {}
    for match in filter(None, map(WINDOW_OF_LEVELS.match, account)):
        first, last, kept_s, miss = match.groups()
        windows |= dict.fromkeys(range(int(first), int(last or first) + 1), (float(kept_s), float(miss)))
    return windows


def shared_cost(met: Met, keep_s: float) -> float:
    """Add up what keeping every level for the same time would have cost, in GB·s."""
    return sum(held_cost(level, keep_s, met.memory_gb) + missed_cost(level, keep_s) for level in met.levels)


def own_cost(met: Met) -> float:
    """Add up what keeping each level for its own window costs, in GB·s."""
    return sum(held_cost(level, level.kept_s, met.memory_gb) + missed_cost(level, level.kept_s) for level in met.levels)


def held_cost(level: Level, keep_s: float, memory_gb: float) -> float:
    """Add up what a level's gaps cost in memory if its instance is kept for so long, in GB·s."""
    return memory_gb * float(np.minimum(level.gaps_s, keep_s).sum())


def missed_cost(level: Level, keep_s: float) -> float:
    """Add up what a level's gaps that are longer cost because its instance is gone, in GB·s."""
    return level.miss_gb_s * int((level.gaps_s > keep_s).sum())
