"""Runs many policies over one trace at once, on threads: the engine works outside Python's lock, on a shared trace.

The results are those of `simulate`, to the last digit, in the order of the policies, however many threads there are.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from pilotlight.simulation.runner import Simulation, check_policies, prepare, run_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pilotlight.simulation.runner import PolicyResult, PreparedTrace, SimulationSettings
    from pilotlight.traces import Trace
    from pilotlight.traces.parquet import StoredTrace


class _StoppedError(Exception):
    """Ends a run that nobody waits for any more."""


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_parallel(
    trace: Trace | StoredTrace,
    policies: Sequence[str],
    settings: SimulationSettings | None = None,
    progress: Callable[[str, int], None] | None = None,
    jobs: int | None = None,
    *,
    spans: int = 0,
) -> Simulation:
    """Simulate every policy over the trace, several at a time, and the clairvoyant bound.

    Args:
        trace: the workload.
        policies: policy specifications, distinct.
        settings: the platform; None takes the defaults.
        progress: called from the threads that run, with the policy and the number of requests played.
        jobs: how many run at once; None takes one a core.
        spans: how many spans of time each result keeps a series over; 0 for none.

    Returns:
        As `run_policies`, but without per-request columns: dozens of policies would fill the memory with them.

    Raises:
        ConfigError: a policy does not parse.
    """
    check_policies(policies)
    prepared = prepare(trace, settings)
    found = {result.policy: result for result in run_each(prepared, policies, progress, jobs, spans=spans)}
    results = [found[policy] for policy in policies]
    return Simulation(trace, prepared.settings, results, prepared.bound, prepared.bound_gb_s, prepared.starts)


def run_each(
    prepared: PreparedTrace,
    policies: Sequence[str],
    progress: Callable[[str, int], None] | None = None,
    jobs: int | None = None,
    *,
    spans: int = 0,
) -> Iterator[PolicyResult]:
    """Simulate policies over a prepared trace, several at a time, and yield results as they come.

    The arguments are those of `run_parallel`. When the caller takes no more results, or one run fails, the
    others end at their next progress report or never start.
    """
    stop = Event()

    def watch(policy: str, played: int) -> None:
        if stop.is_set():
            raise _StoppedError
        if progress is not None:
            progress(policy, played)

    def run(policy: str) -> PolicyResult:
        return replace(run_policy(prepared, policy, watch, spans=spans), requests={})

    with ThreadPoolExecutor(jobs or usable_cores(), thread_name_prefix="simulate") as pool:
        futures = [pool.submit(run, policy) for policy in policies]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
