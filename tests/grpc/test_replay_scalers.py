"""A right scaler and wrong ones against the replay, over real sockets: each fault is found and counted."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import numpy as np
import pytest

from pilotlight.replay.report import as_json
from pilotlight.replay.session import DataSet, Options, Session
from pilotlight.traces.trace import FunctionTable, Trace
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Context = grpc.aio.ServicerContext[Any, Any]

MS = 1_000_000
S = 1000 * MS
SPEED = 50.0
DIRECT = [("grpc.enable_http_proxy", 0)]


@dataclass(eq=False)
class Instance:
    slot_id: str
    instance_id: str
    key: str


class Refused(Exception):  # noqa: N818
    """An RPC that ends with a gRPC error."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Reference(services.ScalerServicer):
    """The smallest scaler that is right: a LIFO of free instances a function, a start for who finds none."""

    def __init__(self) -> None:
        self.platform: asyncio.Future[services.PlatformAsyncStub] = asyncio.get_running_loop().create_future()
        self.free: defaultdict[str, list[Instance]] = defaultdict(list)
        self.instances: dict[str, Instance] = {}
        self.tasks: set[asyncio.Future[Any]] = set()

    async def Assign(self, request: wire.AssignRequest, context: Context) -> wire.AssignReply:  # noqa: N802
        try:
            return await self.assign(request)
        except Refused as refused:
            return await context.abort(refused.code, str(refused))

    async def Idle(self, request: wire.IdleRequest, context: Context) -> wire.IdleReply:  # noqa: N802
        try:
            return await self.idle(request)
        except Refused as refused:
            return await context.abort(refused.code, str(refused))

    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        free = self.free[request.meta_data.key]
        instance = free.pop() if free else await self.start(request.meta_data)
        return self.reply(request, instance.instance_id)

    async def idle(self, request: wire.IdleRequest) -> wire.IdleReply:
        instance = self.instances[request.assigment.instance_id]
        if request.result.need_destroy:
            await self.destroy(instance)
        else:
            self.free[instance.key].append(instance)
        return wire.IdleReply(status=wire.Ok)

    def reply(self, request: wire.AssignRequest, instance_id: str) -> wire.AssignReply:
        assignment = wire.Assignment(
            request_id=request.request_id, meta_key=request.meta_data.key, instance_id=instance_id
        )
        return wire.AssignReply(status=wire.Ok, assigment=assignment)

    async def create(self, meta: wire.Meta) -> Instance:
        platform = await self.platform
        memory = wire.ResourceConfig(memory_in_megabytes=meta.memory_in_mb)
        created = await platform.CreateSlot(wire.CreateSlotRequest(request_id="c", resource_config=memory))
        assert created.status == wire.Ok, created
        instance = Instance(created.slot.id, str(uuid.uuid4()), meta.key)
        self.instances[instance.instance_id] = instance
        return instance

    async def init(self, instance: Instance, meta: wire.Meta) -> None:
        request = wire.InitRequest(
            request_id="i", slot_id=instance.slot_id, instance_id=instance.instance_id, meta_data=meta
        )
        reply = await (await self.platform).Init(request)
        assert reply.status == wire.Ok, reply

    async def start(self, meta: wire.Meta) -> Instance:
        instance = await self.create(meta)
        await self.init(instance, meta)
        return instance

    async def destroy(self, instance: Instance) -> None:
        reply = await (await self.platform).DestroySlot(wire.DestroySlotRequest(request_id="d", id=instance.slot_id))
        assert reply.status == wire.Ok, reply


class InventsInstances(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        return self.reply(request, "nobody")


class AnswersBeforeInitEnded(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        instance = await self.create(request.meta_data)
        init = wire.InitRequest(slot_id=instance.slot_id, instance_id=instance.instance_id, meta_data=request.meta_data)
        # One of two is refused at once: then the other is in flight.
        calls = [asyncio.ensure_future((await self.platform).Init(init)) for _ in range(2)]
        _, in_flight = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        self.tasks |= in_flight
        return self.reply(request, instance.instance_id)


class MixesFunctionsUp(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        twin = {"a": "twin-of-a", "twin-of-a": "a"}[request.meta_data.key]
        instance = await self.start(wire.Meta(key=twin, memory_in_mb=request.meta_data.memory_in_mb))
        return self.reply(request, instance.instance_id)


class HandsOneInstanceToAll(Reference):
    only: asyncio.Task[Instance] | None = None

    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        self.only = self.only or asyncio.create_task(self.start(request.meta_data))
        return self.reply(request, (await self.only).instance_id)


class NeverAnswers(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        del request
        await asyncio.Event().wait()
        raise AssertionError


class FailsAssigns(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        del request
        raise Refused(grpc.StatusCode.UNAVAILABLE, "out of order")


class RefusesAssigns(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        del request
        return wire.AssignReply(status=wire.Throttle, error_message="too many")


class FailsIdles(Reference):
    async def idle(self, request: wire.IdleRequest) -> wire.IdleReply:
        del request
        raise Refused(grpc.StatusCode.INTERNAL, "lost it")


class RefusesIdles(Reference):
    async def idle(self, request: wire.IdleRequest) -> wire.IdleReply:
        del request
        return wire.IdleReply(status=wire.NotFound, error_message="who?")


class DestroysWhatItHandedOutBefore(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        for instance in list(self.instances.values()):
            await self.destroy(instance)
        return await super().assign(request)

    async def idle(self, request: wire.IdleRequest) -> wire.IdleReply:
        del request
        return wire.IdleReply(status=wire.Ok)


def workload(
    arrival_ms: list[int],
    *,
    duration_ms: int = 100,
    functions: list[int] | None = None,
    status: list[int] | None = None,
    memory_mb: int = 512,
    init_ms: int = 500,
) -> Trace:
    count = len(arrival_ms)
    return Trace(
        arrival_ns=np.array(arrival_ms, dtype=np.uint64) * np.uint64(MS),
        function=np.array(functions or [0] * count, dtype=np.uint32),
        duration_ns=np.full(count, duration_ms * MS, dtype=np.uint64),
        status=np.array(status or [200] * count, dtype=np.int32),
        functions=FunctionTable(
            keys=("a", "twin-of-a"),
            runtimes=("go", "go"),
            timeout_s=np.full(2, 60, dtype=np.uint32),
            memory_mb=np.full(2, memory_mb, dtype=np.uint64),
            init_ns=np.full(2, init_ms * MS, dtype=np.uint64),
        ),
        origin_ms=1_685_980_824_304,
    )


@asynccontextmanager
async def serving(scaler: Reference) -> AsyncIterator[str]:
    server = grpc.aio.server()
    services.add_ScalerServicer_to_server(scaler, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await asyncio.gather(*scaler.tasks, return_exceptions=True)
        await server.stop(grace=None)


async def replayed(kind: type[Reference], *traces: Trace, **changed: object) -> dict[str, Any]:
    """Play the traces against a scaler of the kind; return the report's JSON."""
    scaler = kind()
    async with serving(scaler) as address:
        settings: dict[str, Any] = {
            "scaler": address,
            "platform_address": "127.0.0.1:0",
            "web_address": "127.0.0.1:0",
            "speed": SPEED,
            "create_ns": 105 * MS,
            "tail_ns": 5 * S,
            "give_up_s": 60.0,
            "assign_timeout_ns": None,
            "connect_timeout_s": 10.0,
            "seed": 1,
            "start_s": 0.0,
            "length_s": None,
        }
        options = Options(**{**settings, **changed})
        sets = [DataSet(f"set-{n}", Path("r"), Path("m"), trace) for n, trace in enumerate(traces, 1)]
        session = Session(options, sets)
        running = asyncio.ensure_future(session.run())
        for _ in range(2000):
            if session.platform_port is not None or running.done():
                break
            await asyncio.sleep(0.005)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{session.platform_port}", options=DIRECT) as channel:
            scaler.platform.set_result(services.PlatformStub(channel))
            results = await running
    return as_json(results, speed=options.speed, seed=options.seed)


def failures(report: dict[str, Any]) -> dict[str, int]:
    return {kind: found["count"] for kind, found in report["data_sets"][0]["failures"].items() if found["count"]}


async def test_right_scaler_succeeds_with_every_request() -> None:
    report = await replayed(Reference, workload([n * 20 for n in range(300)]))
    assert report["success"] is True
    assert failures(report) == {}
    statistics = report["data_sets"][0]["statistics"]
    assert (statistics["totalRequestsCount"], statistics["failedRequestsCount"]) == (300, 0)
    # 300 executions of 100 ms in 512 MB.
    assert (statistics["invocationExecutionTimeInSecs"], statistics["invocationExecutionTimeInGBs"]) == (30, 15)
    assert report["score"] == statistics["score"] > 0


async def test_slots_cost_from_their_start_to_the_end_of_the_tail() -> None:
    before = time.monotonic()
    report = await replayed(Reference, workload([0, 0, 0], memory_mb=1024 * 100), tail_ns=100 * S)
    elapsed_s = (time.monotonic() - before) * SPEED
    found = report["data_sets"][0]
    assert found["slots"] == {"created": 3, "live": 3, "destroyed_busy": 0}
    assert found["statistics"]["totalLiveSlotCount"] == 3
    # Three slots of 100 GB: over the tail of 100 s but for their way there, and never longer than the test.
    assert 3 * 100 * 50 <= found["statistics"]["totalSlotTimeInGBs"] <= 3 * 100 * elapsed_s


async def test_requests_wait_for_create_and_init_and_no_less() -> None:
    report = await replayed(Reference, workload([0], init_ms=2000))
    assert report["data_sets"][0]["latency_ms"]["assign"]["p50"] >= 2105


async def test_bad_request_costs_its_instance() -> None:
    report = await replayed(Reference, workload([0, 3000, 6000], status=[500, 500, 200]))
    assert failures(report) == {}
    assert report["data_sets"][0]["slots"] == {"created": 3, "live": 1, "destroyed_busy": 0}


async def test_instances_of_one_data_set_serve_the_next() -> None:
    report = await replayed(Reference, workload([0]), workload([0]))
    first, second = report["data_sets"]
    assert (first["slots"]["created"], second["slots"]["created"]) == (1, 0)
    assert second["statistics"]["totalRequestsCount"] == 1
    assert second["statistics"]["failedRequestsCount"] == 0
    assert report["score"] == (first["statistics"]["score"] + second["statistics"]["score"]) / 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (InventsInstances, "unknown_instance"),
        (AnswersBeforeInitEnded, "not_initialised"),
        (MixesFunctionsUp, "other_function"),
        (FailsAssigns, "assign_rpc_error"),
        (RefusesAssigns, "assign_refused"),
        (FailsIdles, "idle_rpc_error"),
        (RefusesIdles, "idle_refused"),
    ],
)
async def test_fault_of_the_scaler_fails_every_request(kind: type[Reference], expected: str) -> None:
    # An Init that must not have ended takes longer than the test may.
    init_ms = 10**7 if kind is AnswersBeforeInitEnded else 500
    trace = workload([0, 100, 200, 300], functions=[0, 1, 0, 1], init_ms=init_ms)
    report = await replayed(kind, trace)
    assert failures(report) == {expected: 4}
    assert report["success"] is False
    assert report["score"] == 0
    assert report["data_sets"][0]["statistics"]["successRate"] == 0


async def test_instance_handed_out_twice_fails_the_second_request() -> None:
    # All three are assigned at once; the first executes for far longer than the others take to arrive.
    report = await replayed(HandsOneInstanceToAll, workload([0, 10, 20], duration_ms=100_000))
    assert failures(report) == {"already_assigned": 2}


async def test_reported_failure_says_what_was_answered() -> None:
    report = await replayed(FailsAssigns, workload([0]))
    assert report["data_sets"][0]["failures"]["assign_rpc_error"]["first"] == "UNAVAILABLE: out of order"


async def test_run_ends_although_the_scaler_never_answers() -> None:
    report = await replayed(NeverAnswers, workload([0, 100]), give_up_s=0.2)
    assert failures(report) == {"gave_up": 2}
    # Two requests that waited for the tail of 5 s and 0.2 s, that is 10 s of trace time, after it.
    assert report["data_sets"][0]["statistics"]["invocationScheduleTimeInSecs"] >= 2 * 15


async def test_execution_longer_than_the_tail_is_no_failure() -> None:
    report = await replayed(Reference, workload([0], duration_ms=70_000), tail_ns=S, speed=200.0)
    assert failures(report) == {}


async def test_assign_timeout_is_a_failure_of_the_assign() -> None:
    report = await replayed(NeverAnswers, workload([0]), assign_timeout_ns=2 * S)
    assert failures(report) == {"assign_rpc_error": 1}
    assert "DEADLINE_EXCEEDED" in report["data_sets"][0]["failures"]["assign_rpc_error"]["first"]


async def test_slot_destroyed_under_its_request_is_reported() -> None:
    report = await replayed(DestroysWhatItHandedOutBefore, workload([0, 50_000], duration_ms=100_000))
    assert failures(report) == {}
    assert report["data_sets"][0]["slots"] == {"created": 2, "live": 1, "destroyed_busy": 1}
