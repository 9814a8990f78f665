"""The replay's Platform service over a real socket: durations, refusals, calls that overlap or are dropped."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio

from pilotlight.replay.clock import TraceClock
from pilotlight.replay.platform import PlatformService
from pilotlight.replay.slots import Function, SlotTable, uuids
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MS = 1_000_000


@asynccontextmanager
async def platform(
    *, create_ms: int = 0, init_ms: int = 0, speed: float = 1.0
) -> AsyncIterator[tuple[services.PlatformAsyncStub, SlotTable]]:
    slots = SlotTable(uuids("1"))
    slots.functions = {"f": Function(128, init_ms * MS)}
    server = grpc.aio.server()
    services.add_PlatformServicer_to_server(PlatformService(slots, TraceClock(speed), create_ms * MS), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = [("grpc.enable_http_proxy", 0)]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            yield services.PlatformStub(channel), slots
    finally:
        await server.stop(grace=None)


def create(memory_mb: int = 128) -> wire.CreateSlotRequest:
    return wire.CreateSlotRequest(request_id="any", resource_config=wire.ResourceConfig(memory_in_megabytes=memory_mb))


def init(slot_id: str, instance_id: str = "i", key: str = "f") -> wire.InitRequest:
    # Without memory: scalers are known to leave it out.
    return wire.InitRequest(slot_id=slot_id, instance_id=instance_id, meta_data=wire.Meta(key=key))


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition did not come true within 5 s")


async def test_slot_takes_its_time_and_says_so() -> None:
    async with platform(create_ms=105, init_ms=60) as (stub, _):
        before = time.monotonic()
        created = await stub.CreateSlot(create(128))
        assert time.monotonic() - before >= 0.105
        assert (created.status, created.slot.resource_config.memory_in_megabytes) == (wire.Ok, 128)
        assert created.slot.create_duration_in_ms == 105
        before = time.monotonic()
        ready = await stub.Init(init(created.slot.id))
        assert time.monotonic() - before >= 0.060
        assert (ready.status, ready.init_duration_in_ms) == (wire.Ok, 60)
        assert abs(ready.create_time - time.time() * 1000) < 60_000


async def test_scaler_is_told_durations_of_its_own_clock() -> None:
    async with platform(create_ms=1000, init_ms=4000, speed=100.0) as (stub, _):
        created = await stub.CreateSlot(create())
        ready = await stub.Init(init(created.slot.id))
        assert (created.slot.create_duration_in_ms, ready.init_duration_in_ms) == (10, 40)


async def test_creations_overlap() -> None:
    async with platform(create_ms=200) as (stub, slots):
        before = time.monotonic()
        replies = await asyncio.gather(*(stub.CreateSlot(create()) for _ in range(100)))
        # One after the other they would take 20 s.
        assert time.monotonic() - before < 10
        assert len({reply.slot.id for reply in replies}) == 100
        assert slots.account(0).live == 100


async def test_second_init_is_refused_on_the_wire() -> None:
    async with platform() as (stub, _):
        slot_id = (await stub.CreateSlot(create())).slot.id
        assert (await stub.Init(init(slot_id, "first"))).status == wire.Ok
        refused = await stub.Init(init(slot_id, "second"))
        assert (refused.status, refused.error_message) == (
            wire.InvalidArgument,
            f"slot {slot_id} is already allocated",
        )


async def test_unknown_slot_is_not_found_on_the_wire() -> None:
    async with platform() as (stub, _):
        assert (await stub.DestroySlot(wire.DestroySlotRequest(id="nowhere"))).status == wire.NotFound
        assert (await stub.Init(init("nowhere"))).status == wire.NotFound


async def test_slot_without_memory_is_refused_on_the_wire() -> None:
    async with platform() as (stub, _):
        refused = await stub.CreateSlot(wire.CreateSlotRequest())
        assert refused.status == wire.InvalidArgument
        assert not refused.HasField("slot")


async def test_slot_is_destroyed_while_its_init_is_in_flight() -> None:
    async with platform(init_ms=300) as (stub, slots):
        slot_id = (await stub.CreateSlot(create())).slot.id
        starting = asyncio.ensure_future(stub.Init(init(slot_id)))
        await until(lambda: slots.instance("i"))
        assert (await stub.DestroySlot(wire.DestroySlotRequest(id=slot_id))).status == wire.Ok
        assert slots.account(0).live == 0
        assert not starting.done()
        assert (await starting).status == wire.Ok
        assert slots.instance("i") is None


async def test_creation_that_nobody_awaits_leaves_no_slot() -> None:
    async with platform(create_ms=60_000) as (stub, slots):
        call = stub.CreateSlot(create())
        await until(lambda: slots.account(0).live == 1)
        call.cancel()
        await until(lambda: slots.account(0).live == 0)
