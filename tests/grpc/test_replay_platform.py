"""The replay's Platform service over a real socket: durations, refusals, bursts, calls that overlap or are dropped."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from pilotlight._core import ContestPlatform
from pilotlight.errors import LoadError
from pilotlight.platform.channel import Channel
from pilotlight.replay.clock import TraceClock
from pilotlight.replay.statistics import SlotAccount
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MS = 1_000_000


DIRECT = [("grpc.enable_http_proxy", 0)]


@contextmanager
def listening(*, create_ms: int = 0, init_ms: int = 0, speed: float = 1.0) -> Iterator[ContestPlatform]:
    now_ns = TraceClock(speed).now_ns()
    platform = ContestPlatform(now_ns=now_ns, speed=speed, create_ns=create_ms * MS, seed=1)
    platform.set_functions({"f": (128, init_ms * MS)})
    try:
        yield platform
    finally:
        platform.close()


@asynccontextmanager
async def serving(
    *, create_ms: int = 0, init_ms: int = 0, speed: float = 1.0
) -> AsyncIterator[tuple[services.PlatformAsyncStub, ContestPlatform]]:
    with listening(create_ms=create_ms, init_ms=init_ms, speed=speed) as platform:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{platform.port}", options=DIRECT) as channel:
            yield services.PlatformStub(channel), platform


def live(platform: ContestPlatform) -> int:
    return SlotAccount(*platform.account(0)).live


def known(platform: ContestPlatform, instance_id: str) -> bool:
    return platform.begin_execution(instance_id, "another function")[0] != "unknown_instance"


def create(memory_mb: int = 128) -> wire.CreateSlotRequest:
    return wire.CreateSlotRequest(request_id="any", resource_config=wire.ResourceConfig(memory_in_megabytes=memory_mb))


def init(slot_id: str, instance_id: str = "i", key: str = "f") -> wire.InitRequest:
    # Without memory: scalers are known to leave it out.
    return wire.InitRequest(slot_id=slot_id, instance_id=instance_id, meta_data=wire.Meta(key=key))


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition did not come true within 50 s")


async def test_slot_takes_its_time_and_says_so() -> None:
    async with serving(create_ms=105, init_ms=60) as (stub, _):
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
    async with serving(create_ms=1000, init_ms=4000, speed=100.0) as (stub, _):
        created = await stub.CreateSlot(create())
        ready = await stub.Init(init(created.slot.id))
        assert (created.slot.create_duration_in_ms, ready.init_duration_in_ms) == (10, 40)


async def test_creations_overlap() -> None:
    async with serving(create_ms=200) as (stub, platform):
        before = time.monotonic()
        replies = await asyncio.gather(*(stub.CreateSlot(create()) for _ in range(100)))
        # One after the other they would take 20 s.
        assert time.monotonic() - before < 10
        assert len({reply.slot.id for reply in replies}) == 100
        assert live(platform) == 100


async def test_second_init_is_refused_on_the_wire() -> None:
    async with serving() as (stub, _):
        slot_id = (await stub.CreateSlot(create())).slot.id
        assert (await stub.Init(init(slot_id, "first"))).status == wire.Ok
        refused = await stub.Init(init(slot_id, "second"))
        assert (refused.status, refused.error_message) == (
            wire.InvalidArgument,
            f"slot {slot_id} is already allocated",
        )


async def test_unknown_slot_is_not_found_on_the_wire() -> None:
    async with serving() as (stub, _):
        assert (await stub.DestroySlot(wire.DestroySlotRequest(id="nowhere"))).status == wire.NotFound
        assert (await stub.Init(init("nowhere"))).status == wire.NotFound


async def test_slot_without_memory_is_refused_on_the_wire() -> None:
    async with serving() as (stub, _):
        refused = await stub.CreateSlot(wire.CreateSlotRequest())
        assert refused.status == wire.InvalidArgument
        assert not refused.HasField("slot")


async def test_slot_is_destroyed_while_its_init_is_in_flight() -> None:
    async with serving(init_ms=300) as (stub, platform):
        slot_id = (await stub.CreateSlot(create())).slot.id
        starting = asyncio.ensure_future(stub.Init(init(slot_id)))
        await until(lambda: known(platform, "i"))
        assert (await stub.DestroySlot(wire.DestroySlotRequest(id=slot_id))).status == wire.Ok
        assert live(platform) == 0
        assert not starting.done()
        assert (await starting).status == wire.Ok
        assert not known(platform, "i")


async def test_creation_that_nobody_awaits_leaves_no_slot() -> None:
    async with serving(create_ms=60_000) as (stub, platform):
        call = stub.CreateSlot(create())
        await until(lambda: live(platform) == 1)
        call.cancel()
        await until(lambda: live(platform) == 0)


async def test_creation_whose_callers_connection_ends_leaves_no_slot() -> None:
    with listening(create_ms=60_000) as platform:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{platform.port}", options=DIRECT) as channel:
            calls = [services.PlatformStub(channel).CreateSlot(create()) for _ in range(3)]
            await until(lambda: live(platform) == 3)
        await until(lambda: live(platform) == 0)
        assert {await call.code() for call in calls} == {grpc.StatusCode.CANCELLED}


async def test_as_many_slots_as_the_contest_saw_start_at_once_and_live() -> None:
    with listening(create_ms=105, init_ms=500) as platform:
        channel = Channel(f"127.0.0.1:{platform.port}", "serverless.simulator.Platform", 0.0, 50_000)

        async def start(number: int) -> int:
            reply = wire.CreateSlotReply.FromString(await channel.call("CreateSlot", create().SerializeToString(), 60))
            request = init(reply.slot.id, f"instance-{number}")
            return wire.InitReply.FromString(await channel.call("Init", request.SerializeToString(), 60)).status

        try:
            statuses = await asyncio.gather(*map(start, range(39_013)))
        finally:
            channel.close()
        assert set(statuses) == {wire.Ok}
        account = SlotAccount(*platform.account(0))
        assert (account.live, account.created, account.answered) == (39_013, 39_013, 2 * 39_013)


async def test_callers_that_give_up_a_whole_burst_are_served_again() -> None:
    async with serving(create_ms=60_000) as (stub, platform):
        for _ in range(2):
            calls = [stub.CreateSlot(create()) for _ in range(2_000)]
            await until(lambda: live(platform) > 0)
            for call in calls:
                call.cancel()
            await until(lambda: live(platform) == 0)
        assert (await stub.DestroySlot(wire.DestroySlotRequest(id="nowhere"))).status == wire.NotFound


@pytest.mark.parametrize(
    ("method", "request_bytes", "code"),
    [
        ("CreateSlot", b"\xff", grpc.StatusCode.INTERNAL),
        ("CreateSlot", b"\x0a\x80\x80\x80\x02" + bytes(4 << 20), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("Restart", b"", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_call_that_is_none_of_the_protocols_is_refused(
    method: str, request_bytes: bytes, code: grpc.StatusCode
) -> None:
    with listening() as platform:
        options = [*DIRECT, ("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{platform.port}", options=options) as channel:
            call = channel.unary_unary(f"/serverless.simulator.Platform/{method}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request_bytes)
        assert caught.value.code() is code


async def test_platform_listens_on_every_address_of_its_name() -> None:
    platform = ContestPlatform("localhost:0", now_ns=0, speed=1.0, create_ns=0, seed=1)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{platform.port}", options=DIRECT) as channel:
            assert (await services.PlatformStub(channel).CreateSlot(create())).status == wire.Ok
        with pytest.raises(LoadError, match=r"cannot listen on 127\.0\.0\.1"):
            ContestPlatform(f"127.0.0.1:{platform.port}", now_ns=0, speed=1.0, create_ns=0, seed=1)
    finally:
        platform.close()
    assert live(platform) == 1
