"""Does what is left of a sweep: every setting over every trace that the store does not have yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pilotlight.comparison.runs import run_each
from pilotlight.simulation.runner import prepare
from pilotlight.sweep.points import fingerprint, point_id, result_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pilotlight.simulation.runner import PreparedTrace, SimulationSettings
    from pilotlight.sweep.store import Store
    from pilotlight.traces import Trace


class Backend(Protocol):
    """Runs settings over one trace somewhere, and yields the row of each when it is done."""

    def __call__(self, prepared: PreparedTrace, policies: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Run the policies over the trace."""


def on_threads(jobs: int | None) -> Backend:
    """Run here, `jobs` at a time; None takes one a core."""

    def run(prepared: PreparedTrace, policies: Sequence[str]) -> Iterator[dict[str, Any]]:
        for result in run_each(prepared, policies, jobs=jobs):
            yield result_row(result, len(prepared.trace), prepared.bound.slot_gb_s)

    return run


def run_sweep(
    traces: Mapping[str, Callable[[], Trace]],
    policies: Sequence[str],
    settings: SimulationSettings,
    store: Store,
    backend: Backend,
    *,
    progress: Callable[[int, int], None] = lambda _done, _skipped: None,
) -> list[str]:
    """Run what is not in the store, one trace after the other; what has finished is kept whatever happens.

    Args:
        traces: names, and how to load each.
        policies: distinct specifications.
        settings: the platform.
        store: where results are and go.
        backend: who runs them.
        progress: called with the points done, of which so many were there before.

    Returns:
        The points of this sweep, in the order of traces and policies.
    """
    points: list[str] = []
    done = skipped = 0
    for name, load in traces.items():
        trace = load()
        known = {"trace": name, "fingerprint": fingerprint(trace)}
        prepared = prepare(trace, settings)
        named = {policy: point_id(known["fingerprint"], prepared.starts, policy, settings) for policy in policies}
        points += named.values()
        left = [policy for policy, point in named.items() if point not in store]
        skipped += len(policies) - len(left)
        done += len(policies) - len(left)
        progress(done, skipped)
        if not left:
            continue
        rows = backend(prepared, left)
        try:
            for row in rows:
                store.add(named[row["policy"]], known, settings, row)
                done += 1
                progress(done, skipped)
        finally:
            store.flush()
    return points
