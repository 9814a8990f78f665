"""A right scaler and wrong ones, and a replay of traces against one of them over real sockets."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import numpy as np

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


class AssignsWithAStatusOfItsOwn(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        del request
        return wire.AssignReply.FromString(b"\x08\x63")


class IdlesWithAStatusOfItsOwn(Reference):
    async def idle(self, request: wire.IdleRequest) -> wire.IdleReply:
        del request
        return wire.IdleReply.FromString(b"\x08\x63")


class AssignsNothing(Reference):
    async def assign(self, request: wire.AssignRequest) -> wire.AssignReply:
        del request
        return wire.AssignReply(status=wire.Ok)


class NamesAnotherRequest(Reference):
    def reply(self, request: wire.AssignRequest, instance_id: str) -> wire.AssignReply:
        reply = super().reply(request, instance_id)
        reply.assigment.request_id = "another"
        return reply


class NamesAnotherFunction(Reference):
    def reply(self, request: wire.AssignRequest, instance_id: str) -> wire.AssignReply:
        reply = super().reply(request, instance_id)
        reply.assigment.meta_key = "another"
        return reply


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


def options(**changed: object) -> Options:
    settings: dict[str, Any] = {
        "scaler": "127.0.0.1:1",
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
    return Options(**{**settings, **changed})


async def started_for(request: wire.AssignRequest, platform_address: str) -> wire.AssignReply:
    """Start an instance for a request, and give it away."""
    meta = request.meta_data
    memory = wire.ResourceConfig(memory_in_megabytes=meta.memory_in_mb)
    async with grpc.aio.insecure_channel(platform_address, options=DIRECT) as channel:
        platform = services.PlatformStub(channel)
        slot = (await platform.CreateSlot(wire.CreateSlotRequest(resource_config=memory))).slot
        await platform.Init(wire.InitRequest(slot_id=slot.id, instance_id=slot.id, meta_data=meta))
    assignment = wire.Assignment(request_id=request.request_id, meta_key=meta.key, instance_id=slot.id)
    return wire.AssignReply(status=wire.Ok, assigment=assignment)


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
        chosen = options(scaler=address, **changed)
        sets = [DataSet(f"set-{n}", Path("r"), Path("m"), trace) for n, trace in enumerate(traces, 1)]
        session = Session(chosen, sets)
        running = asyncio.ensure_future(session.run())
        for _ in range(2000):
            if session.platform_port is not None or running.done():
                break
            await asyncio.sleep(0.005)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{session.platform_port}", options=DIRECT) as channel:
            scaler.platform.set_result(services.PlatformStub(channel))
            results = await running
    return as_json(results, speed=chosen.speed, seed=chosen.seed)


def failures(report: dict[str, Any]) -> dict[str, int]:
    return {kind: found["count"] for kind, found in report["data_sets"][0]["failures"].items() if found["count"]}
