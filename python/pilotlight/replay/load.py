"""The load generator: issues a trace's requests at their moments and follows each to its end.

It is an open loop: a request is issued when the trace says so, however the earlier ones fare. Every moment is computed
from one origin, so lateness of one request never moves the next; what the machine could not keep up with is recorded as
lateness, not hidden. The scaler is believed in nothing: an assigned instance is looked up in the platform's books
before a request runs on it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import grpc.aio

from pilotlight.replay.clock import MS_PER_S
from pilotlight.replay.statistics import FailureKind, Statistics
from pilotlight.traces.trace import NS_PER_MS, STATUS_OK
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilotlight.replay.clock import TraceClock
    from pilotlight.traces.trace import Trace
    from pilotlight.wire.simulator_pb2_grpc import ScalerAsyncStub

ISSUED_AT_A_STRETCH = 64
"""Requests issued without giving way to the replies, when the generator is behind its schedule."""

CHUNK = 8192
"""Rows turned into Python numbers at a time."""


class Request(NamedTuple):
    """One row of the trace. Times are trace time, `arrival_ns` relative to the trace's origin."""

    row: int
    arrival_ns: int
    function: int
    duration_ns: int
    status: int


def requests_of(trace: Trace) -> Iterator[Request]:
    """Yield the trace's rows as Python numbers, without holding all of them."""
    for first in range(0, len(trace.arrival_ns), CHUNK):
        rows = slice(first, first + CHUNK)
        columns = (trace.arrival_ns, trace.function, trace.duration_ns, trace.status)
        for offset, values in enumerate(zip(*(column[rows].tolist() for column in columns), strict=True)):
            yield Request(first + offset, *values)


class Instances(Protocol):
    """What the platform's books say of instances; `_core.ContestPlatform` documents the methods."""

    def begin_execution(self, instance_id: str, key: str) -> tuple[str | None, str]:
        """Begin a function's request on an instance: None and its slot's id, or why not and a text."""

    def end_execution(self, slot_id: str) -> None:
        """End it."""


class RequestFailed(Exception):  # noqa: N818 (what happened to a request, not a fault of ours)
    """A request ended without success."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class LoadGenerator:
    """Plays one trace against one scaler.

    Args:
        trace: what to play.
        scaler: the scaler's stub.
        instances: the platform's books, which say what an instance may do.
        statistics: takes what happens.
        clock: trace time.
        ids: the requests' ids to come.
        assign_timeout_ns: deadline of each Assign in trace time; None sets none.
        strict: an Assignment that names another request or function fails its request.
    """

    def __init__(
        self,
        *,
        trace: Trace,
        scaler: ScalerAsyncStub,
        instances: Instances,
        statistics: Statistics,
        clock: TraceClock,
        ids: Iterator[str],
        assign_timeout_ns: int | None = None,
        strict: bool = False,
    ) -> None:
        self._trace = trace
        self._scaler = scaler
        self._instances = instances
        self._statistics = statistics
        self._clock = clock
        self._ids = ids
        self._assign_timeout_s = None if assign_timeout_ns is None else clock.wall_s(assign_timeout_ns)
        self._strict = strict
        table = trace.functions
        columns = (table.keys, table.runtimes, table.timeout_s.tolist(), table.memory_mb.tolist())
        self._metas = [
            wire.Meta(key=key, runtime=runtime, timeout_in_secs=timeout_s, memory_in_mb=memory_mb)
            for key, runtime, timeout_s, memory_mb in zip(*columns, strict=True)
        ]
        self._outstanding: set[asyncio.Task[None]] = set()

    async def issue(self) -> int:
        """Issue every request at its moment, the first at once.

        Returns:
            The moment the last one was issued.
        """
        origin_ns = self._clock.now_ns()
        now_ns = origin_ns
        requests = requests_of(self._trace)
        while stretch := list(islice(requests, ISSUED_AT_A_STRETCH)):
            for request in stretch:
                due_ns = origin_ns + request.arrival_ns
                await self._clock.sleep_until(due_ns)
                now_ns = self._clock.now_ns()
                self._statistics.issue(request.row, now_ns - due_ns)
                task = asyncio.create_task(self._follow(request))
                self._outstanding.add(task)
                task.add_done_callback(self._outstanding.discard)
            await asyncio.sleep(0)
        return now_ns

    async def finish(self, end_ns: int, give_up_s: float) -> None:
        """Wait until every issued request is over; those that take too long count as failed.

        Args:
            end_ns: the moment at which they should be over.
            give_up_s: how much longer they are waited for, wall time: a slow scaler is no faster in a fast trace.
        """
        if self._outstanding:
            left_s = self._clock.wall_s(end_ns - self._clock.now_ns())
            await asyncio.wait(self._outstanding, timeout=max(left_s, 0.0) + give_up_s)
        abandoned = list(self._outstanding)
        for task in abandoned:
            task.cancel()
        await asyncio.gather(*abandoned)

    async def _follow(self, request: Request) -> None:
        """See one request to its end and count it, whatever happens."""
        try:
            await self._serve(request)
        except RequestFailed as failure:
            self._statistics.finish(failure.kind, str(failure))
        except asyncio.CancelledError:
            self._statistics.finish(FailureKind.GAVE_UP, "not over when the run ended")
        except Exception as error:  # noqa: BLE001 (whatever it was, the request is over and did not succeed)
            self._statistics.finish(FailureKind.UNEXPECTED, f"{type(error).__name__}: {error}")
        else:
            self._statistics.finish()

    async def _serve(self, request: Request) -> None:
        meta = self._metas[request.function]
        assignment = await self._assign(request, meta)
        begun_ns = self._clock.now_ns()
        refusal, slot_id = self._instances.begin_execution(assignment.instance_id, meta.key)
        if refusal is not None:
            raise RequestFailed(FailureKind(refusal), slot_id)
        try:
            await self._clock.sleep_until(begun_ns + request.duration_ns)
        finally:
            # Before Idle is called: the scaler may hand the instance out again before it has answered.
            self._instances.end_execution(slot_id)
        self._statistics.overran(request.row, self._clock.now_ns() - begun_ns - request.duration_ns)
        self._statistics.executed(request.duration_ns, meta.memory_in_mb)
        await self._idle(request, assignment)

    async def _assign(self, request: Request, meta: wire.Meta) -> wire.Assignment:
        message = wire.AssignRequest(
            request_id=next(self._ids),
            timestamp=self._trace.origin_ms + request.arrival_ns // NS_PER_MS,
            meta_data=meta,
        )
        begun_ns = self._clock.now_ns()
        try:
            reply = await self._scaler.Assign(message, timeout=self._assign_timeout_s)
        except grpc.aio.AioRpcError as error:
            raise RequestFailed(FailureKind.ASSIGN_RPC_ERROR, _rpc_text(error)) from None
        finally:
            self._statistics.assigned(request.row, self._clock.now_ns() - begun_ns)
        if reply.status != wire.Ok:
            raise RequestFailed(FailureKind.ASSIGN_REFUSED, _status_text(reply))
        if not reply.HasField("assigment"):
            raise RequestFailed(FailureKind.UNKNOWN_INSTANCE, "the reply is Ok and names no instance")
        self._compare(message, reply.assigment)
        return reply.assigment

    def _compare(self, request: wire.AssignRequest, assignment: wire.Assignment) -> None:
        """Note an assignment that names another request or another function than it answers."""
        asked, named = (request.request_id, request.meta_data.key), (assignment.request_id, assignment.meta_key)
        if named == asked:
            return
        text = f"request {asked[0]!r} of function {asked[1]!r} was given one of request {named[0]!r}, {named[1]!r}"
        self._statistics.foreign(text)
        if self._strict:
            raise RequestFailed(FailureKind.FOREIGN_ASSIGNMENT, text)

    async def _idle(self, request: Request, assignment: wire.Assignment) -> None:
        bad = request.status != STATUS_OK
        result = wire.Result(
            status_code=request.status,
            duration_in_ms=round(self._clock.wall_s(request.duration_ns) * MS_PER_S),
            need_destroy=bad,
            reason=f"status code {request.status}" if bad else None,
        )
        begun_ns = self._clock.now_ns()
        try:
            reply = await self._scaler.Idle(wire.IdleRequest(assigment=assignment, result=result))
        except grpc.aio.AioRpcError as error:
            raise RequestFailed(FailureKind.IDLE_RPC_ERROR, _rpc_text(error)) from None
        finally:
            self._statistics.idled(request.row, self._clock.now_ns() - begun_ns)
        if reply.status != wire.Ok:
            raise RequestFailed(FailureKind.IDLE_REFUSED, _status_text(reply))


def _rpc_text(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"


def _status_text(reply: wire.AssignReply | wire.IdleReply) -> str:
    known = wire.Status.values()
    name = wire.Status.Name(reply.status) if reply.status in known else f"unknown status {reply.status}"
    return f"{name}: {reply.error_message or 'no error_message'}"


def uuids(seed: str) -> Iterator[str]:
    """Yield random UUIDs for ever; the same seed yields the same ones."""
    bits = random.Random(seed)  # noqa: S311 (names, not secrets)
    while True:
        yield str(uuid.UUID(int=bits.getrandbits(128), version=4))
