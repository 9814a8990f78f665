"""The load generator's schedule, on a clock that the test moves."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pilotlight.replay.clock import TraceClock
from pilotlight.replay.load import CHUNK, LoadGenerator, requests_of, uuids
from pilotlight.replay.statistics import FailureKind, Statistics
from pilotlight.traces.trace import FunctionTable, Trace
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from pilotlight.wire.simulator_pb2_grpc import ScalerAsyncStub

MS = 1_000_000
OVERSHOOT_NS = 700_000
ORIGIN_MS = 1_685_980_824_304


class LateClock(TraceClock):
    """Every wait ends `OVERSHOOT_NS` late, and the one past `stall_at_ns` half a second late on top."""

    def __init__(self, stall_at_ns: int | None = None) -> None:
        super().__init__()
        self.moment_ns = 0
        self._stall_at_ns = stall_at_ns

    def now_ns(self) -> int:
        return self.moment_ns

    async def sleep_until(self, moment_ns: int) -> None:
        if moment_ns <= self.moment_ns:
            return
        await asyncio.sleep(0)
        self.moment_ns = moment_ns + OVERSHOOT_NS
        if self._stall_at_ns is not None and moment_ns >= self._stall_at_ns:
            self._stall_at_ns = None
            self.moment_ns += 500 * MS


class Books:
    """The books of a platform without slots: every instance may execute anything."""

    def begin_execution(self, instance_id: str, key: str) -> tuple[str | None, str]:
        del key
        return None, instance_id

    def end_execution(self, slot_id: str) -> None:
        pass

    def account(self, now_ns: int) -> tuple[int, int, int, int, int, int]:
        del now_ns
        return 0, 0, 0, 0, 0, 0


class ObligingScaler:
    """Answers at once; remembers what it was told."""

    def __init__(self) -> None:
        self.assigns: list[wire.AssignRequest] = []
        self.idles: list[wire.IdleRequest] = []

    async def Assign(self, request: wire.AssignRequest, timeout: float | None) -> wire.AssignReply:  # noqa: N802
        assert timeout is None
        self.assigns.append(request)
        assignment = wire.Assignment(
            request_id=request.request_id, meta_key=request.meta_data.key, instance_id=request.request_id
        )
        return wire.AssignReply(status=wire.Ok, assigment=assignment)

    async def Idle(self, request: wire.IdleRequest) -> wire.IdleReply:  # noqa: N802
        self.idles.append(request)
        return wire.IdleReply(status=wire.Ok)


def trace_of(arrival_ns: list[int], status: list[int] | None = None, duration_ms: int = 0) -> Trace:
    count = len(arrival_ns)
    return Trace(
        arrival_ns=np.array(arrival_ns, dtype=np.uint64),
        function=np.zeros(count, dtype=np.uint32),
        duration_ns=np.full(count, duration_ms * MS, dtype=np.uint64),
        status=np.array(status or [200] * count, dtype=np.int32),
        functions=FunctionTable(
            ("f",), ("go",), np.array([9], np.uint32), np.array([128], np.uint64), np.array([0], np.uint64)
        ),
        origin_ms=ORIGIN_MS,
    )


async def play(
    trace: Trace, clock: LateClock, scaler: ObligingScaler | None = None
) -> tuple[Statistics, ObligingScaler]:
    scaler, books = scaler or ObligingScaler(), Books()
    files = {"requests": Path("r"), "metas": Path("m")}
    statistics = Statistics(run_id="x", **files, planned=len(trace), slots=books, clock=clock)
    load = LoadGenerator(
        trace=trace,
        scaler=cast("ScalerAsyncStub", scaler),
        instances=books,
        statistics=statistics,
        clock=clock,
        ids=uuids("requests"),
    )
    last_ns = await load.issue()
    await load.finish(last_ns, 60.0)
    return statistics, scaler


async def test_lateness_of_one_wait_never_moves_the_next_request() -> None:
    trace = trace_of([row * MS for row in range(10_000)])
    statistics, scaler = await play(trace, LateClock())
    assert statistics.lag_ms()["issue"] == {"mean": 0.7, "max": 0.7}
    assert (statistics.finished, statistics.failed, len(scaler.idles)) == (10_000, 0, 10_000)


async def test_generator_catches_up_after_a_stall_and_reports_it() -> None:
    trace = trace_of([row * 10 * MS for row in range(1_000)])
    statistics, _ = await play(trace, LateClock(stall_at_ns=5_000 * MS))
    lag = statistics.lag_ms()["issue"]
    assert lag["max"] == 500.7
    # Fifty requests fell into the stall; the other 950 were on time.
    assert lag["mean"] < 0.7 + 50 * 500 / 1_000
    assert statistics.finished == 1_000


async def test_executions_that_end_late_are_reported() -> None:
    trace = trace_of([0, 10 * MS], duration_ms=5)
    statistics, _ = await play(trace, LateClock())
    assert statistics.lag_ms()["end"] == {"mean": 0.7, "max": 0.7}


class Breaks(ObligingScaler):
    """A client whose every second Assign raises what no client should."""

    async def Assign(self, request: wire.AssignRequest, timeout: float | None) -> wire.AssignReply:  # noqa: N802
        reply = await super().Assign(request, timeout)
        if len(self.assigns) % 2:
            raise KeyError("broken")
        return reply


async def test_whatever_goes_wrong_a_request_is_counted_as_failed() -> None:
    statistics, _ = await play(trace_of([0, MS, 2 * MS, 3 * MS]), LateClock(), Breaks())
    assert (statistics.finished, statistics.uncounted) == (4, 0)
    assert statistics.failures == {FailureKind.UNEXPECTED: 2}
    assert statistics.first_failure == {FailureKind.UNEXPECTED: "KeyError: 'broken'"}


async def test_requests_carry_the_traces_time_and_random_ids() -> None:
    _, scaler = await play(trace_of([0, 5 * MS, 12 * MS]), LateClock())
    assert [request.timestamp for request in scaler.assigns] == [ORIGIN_MS, ORIGIN_MS + 5, ORIGIN_MS + 12]
    meta = scaler.assigns[0].meta_data
    assert (meta.key, meta.runtime, meta.timeout_in_secs, meta.memory_in_mb) == ("f", "go", 9, 128)
    assert len({request.request_id for request in scaler.assigns}) == 3
    _, again = await play(trace_of([0, 5 * MS, 12 * MS]), LateClock())
    assert again.assigns == scaler.assigns


async def test_bad_status_asks_for_the_instances_end() -> None:
    _, scaler = await play(trace_of([0, MS], status=[200, 500]), LateClock())
    results = [idle.result for idle in scaler.idles]
    assert [(r.status_code, r.need_destroy, r.reason) for r in results] == [
        (200, False, ""),
        (500, True, "status code 500"),
    ]


def test_rows_come_in_order_over_chunk_borders() -> None:
    count = CHUNK * 2 + 3
    rows = list(requests_of(trace_of([row * MS for row in range(count)])))
    assert [request.row for request in rows] == list(range(count))
    assert [request.arrival_ns for request in rows] == [row * MS for row in range(count)]
    assert type(rows[0].arrival_ns) is int
