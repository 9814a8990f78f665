"""Results as data frames: what every function cost under a policy, and what every request met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.simulation.runner import OUTCOMES
from pilotlight.simulation.score import HALF
from pilotlight.traces.trace import Trace

if TYPE_CHECKING:
    from pilotlight.simulation.runner import PolicyResult, Simulation

HELD_STATES = ("starting", "idle", "retiring", "leaked")
"""States in which a slot takes memory and executes nothing."""

COUNTS = ("warm_starts", "cold_starts", "handoffs", "failed")


def function_frame(simulation: Simulation, result: PolicyResult) -> pl.DataFrame:
    """Say what each called function cost, the dearest first.

    `lost_points` shares out what the policy's two terms miss of 100 points: the cold term's loss by seconds waited, the
    resource term's by GB·s held without executing. The column adds up to that loss.
    """
    columns = result.functions
    table = simulation.trace.functions
    held_gb_s = np.sum([columns[f"{state}_gb_s"] for state in HELD_STATES], axis=0)
    slot_gb_s = held_gb_s + columns["busy_gb_s"]
    lost_cold = (HALF - result.contest.cold) * _shares(columns["wait_s"])
    lost_resource = (HALF - result.contest.resource) * _shares(held_gb_s)
    frame = pl.DataFrame(
        {
            "policy": pl.repeat(result.policy, len(table), eager=True),
            "key": table.keys,
            "runtime": table.runtimes,
            "memory_mb": table.memory_mb,
            "cold_start_ms": simulation.starts.mean_ms,
            "requests": columns["assigns"],
            **{name: columns[name] for name in COUNTS},
            "wait_s": columns["wait_s"],
            **{f"stage_wait_s_{stage}": waited_s for stage, waited_s in result.stage_wait_s.items()},
            **{f"{state}_gb_s": columns[f"{state}_gb_s"] for state in (*HELD_STATES, "busy")},
            "slot_gb_s": slot_gb_s,
            "bound_gb_s": simulation.bound_gb_s,
            "lost_points": lost_cold + lost_resource,
        }
    )
    used = (pl.col("requests") > 0) | (pl.col("slot_gb_s") > 0)
    return frame.filter(used).sort("lost_points", "key", descending=[True, False])


def request_frame(simulation: Simulation, result: PolicyResult) -> pl.DataFrame:
    """Say what each request met, in order of arrival; times in ns, arrivals relative to the trace's origin.

    Raises:
        TraceError: the trace is on disk, so that nothing was kept of its requests.
    """
    trace = simulation.trace
    if not isinstance(trace, Trace):
        raise TraceError("what each request met is kept only for a trace in memory; take a window of it with --length")
    return pl.DataFrame(
        {
            "policy": pl.repeat(result.policy, len(trace), eager=True),
            "arrival_ns": trace.arrival_ns,
            "key": pl.Series(trace.functions.keys, dtype=pl.String).gather(trace.function),
            "duration_ns": trace.duration_ns,
            "bad": trace.bad,
            "wait_ns": result.requests["wait_ns"],
            "outcome": pl.Series(OUTCOMES, dtype=pl.String).gather(result.requests["outcome"]),
        }
    )


def _shares(column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Divide by the sum; all zero if there is nothing to share."""
    total = float(column.sum())
    return column / total if total > 0 else np.zeros_like(column)
