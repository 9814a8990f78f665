"""Plays a trace against policies in virtual time, and says what each is worth and how far from the best it stays.

One pass of the compiled engine a policy, one of the clairvoyant bound a trace. A trace in memory is read in place; one
on disk is read block by block in every pass, so that memory does not grow with it. Every figure is a view of the
engine's ledger and is the same on every run (`run_s` apart). Called by the command line and by notebooks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pilotlight import _core
from pilotlight.errors import ConfigError
from pilotlight.simulation.explanation import Explanation
from pilotlight.simulation.score import HALF, ContestScore, ContestStatistics, contest_score
from pilotlight.starts import start_table
from pilotlight.starts.catalogue import DEFAULT, model_named
from pilotlight.traces.trace import NS_PER_MS, NS_PER_S, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pilotlight.starts import StartTable
    from pilotlight.traces.parquet import StoredTrace

OUTCOMES = ("warm_start", "cold_start", "handoff", "failed")
"""Names of the per-request outcomes, in the order of their codes."""

ANSWERED = ("warm_starts", "cold_starts", "handoffs")
"""Counters of the ledger: requests that got an instance."""

WAIT_CAUSES = ("cold_start", "handoff", "failed")
CLAIRVOYANT = "clairvoyant"


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """The platform that is simulated, the same for every policy.

    Attributes:
        create_ms: how long CreateSlot takes where neither the trace nor the model of starts says.
        tail_s: the run goes on this long after the last arrival, and slots kept until then cost until then.
        create_failure: probability that a CreateSlot fails, 0 to 1.
        init_failure: probability that an Init fails, 0 to 1.
        seed: of the failures and of starts that are drawn.
        start: the model of starts, a specification that `starts.start_table` takes.

    Raises:
        ConfigError: a value is out of range, or the model is wrong; the text names it.
    """

    create_ms: float = 105.0
    tail_s: float = 300.0
    create_failure: float = 0.0
    init_failure: float = 0.0
    seed: int = 1
    start: str = DEFAULT

    def __post_init__(self) -> None:
        model_named(self.start)
        for name, value, high in (
            ("create_ms", self.create_ms, 1e9),
            ("tail_s", self.tail_s, 1e9),
            ("create_failure", self.create_failure, 1.0),
            ("init_failure", self.init_failure, 1.0),
            ("seed", self.seed, 2**64 - 1),
        ):
            if not 0 <= value <= high:
                raise ConfigError(f"{name} is {value}; it must be from 0 to {high:g}")


class Bound(NamedTuple):
    """What the clairvoyant reaches: the future known, nobody waits, memory held for as little as that allows."""

    score: float
    resource: float
    cold: float
    slot_gb_s: float


class Distance(NamedTuple):
    """How far a policy stays from the bound.

    Attributes:
        score: points the policy scores less; negative if letting requests wait paid.
        gb_s: GB·s the policy's slots took more; negative likewise.
    """

    score: float
    gb_s: float


@dataclass(frozen=True, slots=True, eq=False)
class PolicyResult:
    """What one policy made of the trace. docs/simulate.md explains every figure.

    `functions`, `stage_wait_s` and `requests` are the engine's columns: one row a function of the table (the second for
    each stage of a start, and `queued`), one row a request; `requests` is empty for a trace on disk.
    `waits` says how many answered requests waited longer than a time. `series` and `shortages` are the run over time
    and the queued requests by why they found no instance, if asked for, else empty. All are as in `_core.SimReport`.
    `explanation` is of the function that was asked for, else None.
    """

    policy: str
    contest: ContestScore
    statistics: ContestStatistics
    ledger: dict[str, Any]
    failed: int
    wait_s: float
    wait_ms: dict[str, float]
    slot_gb_s: float
    peak_instances: int
    peak_memory_mb: int
    bound: Bound
    distance: Distance
    run_s: float
    events: int
    functions: dict[str, NDArray[Any]]
    stage_wait_s: dict[str, NDArray[np.float64]]
    requests: dict[str, NDArray[Any]]
    waits: dict[str, NDArray[np.uint64]]
    series: dict[str, NDArray[Any]]
    shortages: dict[str, int]
    explanation: Explanation | None


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """The results, in the order of the policies, beside the bound.

    Attributes:
        trace: what was played.
        settings: on which platform.
        results: one for each policy.
        bound: of the whole trace; every start takes its function's mean.
        bound_gb_s: float64, the bound's `slot_gb_s` of each function.
        starts: what starts there were.
    """

    trace: Trace | StoredTrace
    settings: SimulationSettings
    results: list[PolicyResult]
    bound: Bound
    bound_gb_s: NDArray[np.float64]
    starts: StartTable


def check_policies(policies: Sequence[str]) -> None:
    """Parse the specifications, so that a slip in the last one does not cost the runs of the others.

    Raises:
        ConfigError: one does not parse; the text names it.
    """
    for policy in policies:
        _core.Scaler(policy=policy)


def run_policies(
    trace: Trace | StoredTrace,
    policies: Sequence[str],
    settings: SimulationSettings | None = None,
    progress: Callable[[str, int], None] | None = None,
    explain: int | None = None,
    *,
    spans: int = 0,
) -> Simulation:
    """Simulate each policy over the trace, and the clairvoyant bound.

    Args:
        trace: the workload.
        policies: policy specifications, such as ``"fixed:keep_alive=5s"``.
        settings: the platform; None takes the defaults.
        progress: called with the policy and the number of requests played, now and then and at the end of each policy.
        explain: row of the function whose decisions each result explains.
        spans: how many spans of time each result keeps a series over; 0 for none.

    Raises:
        ConfigError: a policy does not parse.
    """
    check_policies(policies)
    prepared = prepare(trace, settings)
    results = [run_policy(prepared, policy, progress, explain, spans=spans) for policy in policies]
    return Simulation(trace, prepared.settings, results, prepared.bound, prepared.bound_gb_s, prepared.starts)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedTrace:
    """A trace laid out for the engine, with its bound; runs only read it, so that threads may share it.

    Attributes:
        trace: the workload.
        settings: the platform.
        platform: columns of the function table that the simulator and the bound share; starts take their means.
        starts: what starts there are.
        bound: of the whole trace.
        bound_gb_s: float64, the bound's `slot_gb_s` of each function.
    """

    trace: Trace | StoredTrace
    settings: SimulationSettings
    platform: dict[str, Any]
    starts: StartTable
    bound: Bound
    bound_gb_s: NDArray[np.float64]


def prepare(trace: Trace | StoredTrace, settings: SimulationSettings | None = None) -> PreparedTrace:
    """Lay a trace out and compute its bound, once for all policies; None takes the default platform."""
    settings = SimulationSettings() if settings is None else settings
    create_ns = trace.functions.create_ns_or(round(settings.create_ms * NS_PER_MS))
    starts = start_table(settings.start, trace.functions, create_ns, settings.seed)
    platform: dict[str, Any] = {
        "memory_mb": trace.functions.memory_mb,
        "create_ns": starts.mean_create_ns,
        "init_ns": starts.mean_init_ns,
    }
    best = _core.clairvoyant(**requests_of(trace), **platform)
    bound = _bound(trace, float(best["slot_gb_s"]))
    return PreparedTrace(trace, settings, platform, starts, bound, best["functions"])


def requests_of(trace: Trace | StoredTrace) -> dict[str, Any]:
    """Hand the requests over as the simulator and the bound both want them: in place, or block by block."""
    if isinstance(trace, Trace):
        return {
            "arrival_ns": trace.arrival_ns,
            "function": trace.function,
            "duration_ns": trace.duration_ns,
            "bad": trace.bad,
        }
    return {"blocks": ((block.arrival_ns, block.function, block.duration_ns, block.bad) for block in trace.blocks())}


def _bound(trace: Trace | StoredTrace, slot_gb_s: float) -> Bound:
    """Score the clairvoyant; with nobody waiting its cold term is full."""
    statistics = ContestStatistics.truncated(
        execution_s=trace.execution_s, execution_gb_s=trace.execution_gb_s, schedule_s=0, slot_gb_s=slot_gb_s
    )
    resource = contest_score(**statistics._asdict()).resource
    return Bound(score=resource + HALF, resource=resource, cold=HALF, slot_gb_s=slot_gb_s)


def run_policy(
    prepared: PreparedTrace,
    policy: str,
    progress: Callable[[str, int], None] | None = None,
    explain: int | None = None,
    *,
    spans: int = 0,
) -> PolicyResult:
    """Simulate one policy; see `run_policies`."""
    trace, settings, bound = prepared.trace, prepared.settings, prepared.bound
    tail_ns = round(settings.tail_s * NS_PER_S)
    started = time.perf_counter()
    report = _core.simulate(
        **requests_of(trace),
        **prepared.platform,
        keys=list(trace.functions.keys),
        policy=policy,
        tail_ns=tail_ns,
        starts=prepared.starts,
        create_failure=settings.create_failure,
        init_failure=settings.init_failure,
        seed=settings.seed,
        per_request=isinstance(trace, Trace),
        explain=explain,
        series_ns=max(1, -(-(trace.length_ns + tail_ns) // spans)) if spans else None,
        # Python handles Ctrl-C only where Python code runs, so there is a callback even if nobody watches.
        progress=(lambda _played: None) if progress is None else (lambda played: progress(policy, played)),
    )
    run_s = time.perf_counter() - started
    if progress is not None:
        progress(policy, len(trace))
    ledger = report.ledger
    answered = sum(ledger[outcome] for outcome in ANSWERED)
    wait_s = _wait_ns(report) / NS_PER_S
    slot_gb_s = float(sum(ledger["gb_s"].values()))
    statistics = ContestStatistics.truncated(
        execution_s=_executed_ns(report, trace.functions.memory_gb) / NS_PER_S,
        execution_gb_s=ledger["gb_s"]["busy"],
        schedule_s=wait_s,
        slot_gb_s=slot_gb_s,
    )
    contest = contest_score(**statistics._asdict(), success_rate=answered / len(trace))
    return PolicyResult(
        policy=policy,
        contest=contest,
        statistics=statistics,
        ledger=ledger,
        failed=len(trace) - answered,
        wait_s=wait_s,
        wait_ms={name: value / NS_PER_MS for name, value in report.wait_quantiles_ns.items()},
        slot_gb_s=slot_gb_s,
        peak_instances=report.peak_instances,
        peak_memory_mb=report.peak_memory_mb,
        bound=bound,
        distance=Distance(score=bound.score - contest.score, gb_s=slot_gb_s - bound.slot_gb_s),
        run_s=run_s,
        events=report.events,
        functions=report.functions,
        stage_wait_s=report.stage_wait_s,
        requests={} if report.requests is None else report.requests,
        waits=report.waits,
        series=report.series or {},
        shortages=report.shortages or {},
        explanation=_explanation(trace, explain, report),
    )


def _wait_ns(report: _core.SimReport) -> int:
    """Add up all waiting, also that of requests which still waited when the run ended."""
    over_s = sum(report.functions[f"{cause}_wait_s"] for cause in WAIT_CAUSES)
    return int(np.rint(over_s * NS_PER_S).sum()) + report.unfinished_wait_ns


def _executed_ns(report: _core.SimReport, memory_gb: NDArray[np.float64]) -> int:
    """Add up how long requests executed; what still executes when the run ends has executed until then."""
    return int(np.rint(report.functions["busy_gb_s"] / memory_gb * NS_PER_S).sum())


def _explanation(trace: Trace | StoredTrace, row: int | None, report: _core.SimReport) -> Explanation | None:
    noted = report.explanation
    return None if row is None or noted is None else Explanation(row, trace.functions.keys[row], **noted)
