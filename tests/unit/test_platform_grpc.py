"""The remote platform against a service on a real socket that answers as it is told."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import pytest

from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreateUnansweredError, Function
from pilotlight.platform.grpc import GrpcPlatform
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext

FUNCTION = Function(key="f", runtime="python", timeout_s=60, memory_mb=128)
CREATED = pb.CreateSlotReply(slot=pb.Slot(id="s1"))

_Reply = TypeVar("_Reply")
Answer = Any
"""A reply, a status code to abort with, or a future of a reply."""


class Service(pb_grpc.PlatformServicer):
    """Gives the answers in `script` in order, then those in `otherwise`."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.called = asyncio.Event()
        self.script: deque[Answer] = deque()
        self.in_flight = 0
        self.most_in_flight = 0
        self.pause = 0.0

    async def _answer(self, request: Message, context: Context, otherwise: _Reply) -> _Reply:
        self.requests.append(request)
        self.called.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.pause)
            answer = self.script.popleft() if self.script else otherwise
            if isinstance(answer, grpc.StatusCode):
                await context.abort(answer, "as told")
            return await answer if isinstance(answer, asyncio.Future) else answer
        finally:
            self.in_flight -= 1

    async def CreateSlot(self, request: pb.CreateSlotRequest, context: Context) -> pb.CreateSlotReply:  # noqa: N802 - the wire's
        return await self._answer(request, context, CREATED)

    async def Init(self, request: pb.InitRequest, context: Context) -> pb.InitReply:  # noqa: N802 - the wire's
        return await self._answer(request, context, pb.InitReply())

    async def DestroySlot(self, request: pb.DestroySlotRequest, context: Context) -> pb.DestroySlotReply:  # noqa: N802 - the wire's
        return await self._answer(request, context, pb.DestroySlotReply())


@pytest.fixture
async def service() -> Service:
    return Service()


@asynccontextmanager
async def serving(service: Service, port: int = 0, **settings: float) -> AsyncIterator[GrpcPlatform]:
    server = grpc.aio.server()
    pb_grpc.add_PlatformServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    platform = GrpcPlatform(f"127.0.0.1:{port}", seed=0, **settings)
    script, service.script = service.script, deque()
    await platform.destroy("unknown", "so that the connection is up")
    service.script = script
    service.requests.clear()
    service.called.clear()
    try:
        yield platform
    finally:
        await platform.close()
        await server.stop(None)


async def test_a_start_sends_everything_the_platform_must_know(service: Service) -> None:
    async with serving(service) as platform:
        created = await platform.create_slot(7, 128)
        assert created.platform_id == "s1"
        assert created.create_ns > 0
        assert await platform.init("s1", "i", FUNCTION) > 0
        await platform.destroy("s1", "idle too long")
    create, init, destroy = service.requests
    assert create.resource_config.memory_in_megabytes == 128
    assert (init.slot_id, init.instance_id) == ("s1", "i")
    assert init.meta_data == pb.Meta(key="f", runtime="python", timeout_in_secs=60, memory_in_mb=128)
    assert (destroy.id, destroy.reason) == ("s1", "idle too long")


@pytest.mark.parametrize(
    "refusal", [pb.CreateSlotReply(status=pb.Throttle), grpc.StatusCode.RESOURCE_EXHAUSTED], ids=["Throttle", "code"]
)
async def test_a_throttled_create_is_left_to_the_engine_and_certainly_made_no_slot(
    service: Service, refusal: Answer
) -> None:
    service.script += [refusal]
    async with serving(service) as platform:
        with pytest.raises(
            PlatformError, match=r"CreateSlot of slot 1 .*: (status Throttle|RESOURCE_EXHAUSTED)"
        ) as caught:
            await platform.create_slot(1, 128)
    assert (caught.value.throttled, caught.value.may_exist) == (True, False)
    assert len(service.requests) == 1


async def test_an_unavailable_create_is_not_repeated_and_may_have_made_a_slot(service: Service) -> None:
    service.script += [grpc.StatusCode.UNAVAILABLE]
    async with serving(service, create_timeout=0.02) as platform:
        with pytest.raises(CreateUnansweredError, match="UNAVAILABLE: as told") as caught:
            await platform.create_slot(1, 128)
        assert caught.value.may_exist
        with pytest.raises(PlatformError, match="written off") as written_off:
            await caught.value.late_answer()
        assert written_off.value.may_exist
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [pb.CreateSlotReply(status=pb.InternalError), grpc.StatusCode.INVALID_ARGUMENT],
    ids=["status", "code"],
)
async def test_a_create_answered_with_an_error_is_final(service: Service, answer: Answer) -> None:
    service.script += [answer]
    async with serving(service) as platform:
        with pytest.raises(PlatformError) as caught:
            await platform.create_slot(1, 128)
    assert not caught.value.may_exist
    assert len(service.requests) == 1


async def test_a_create_answered_late_still_names_its_slot(service: Service) -> None:
    late: asyncio.Future[pb.CreateSlotReply] = asyncio.get_running_loop().create_future()
    service.script += [late]
    async with serving(service, create_timeout=0.1) as platform:
        with pytest.raises(CreateUnansweredError, match="no answer within 100ms") as caught:
            await platform.create_slot(1, 128)
        late.set_result(CREATED)
        created = await caught.value.late_answer()
    assert created.platform_id == "s1"
    assert created.create_ns >= 100_000_000


async def test_a_create_that_is_never_answered_is_written_off(service: Service) -> None:
    service.script += [asyncio.get_running_loop().create_future()]
    async with serving(service, create_timeout=0.02, create_awaited=0.1) as platform:
        with pytest.raises(CreateUnansweredError) as caught:
            await platform.create_slot(1, 128)
        with pytest.raises(PlatformError, match="still no slot: DEADLINE_EXCEEDED") as written_off:
            await caught.value.late_answer()
    assert written_off.value.may_exist


async def test_a_platform_that_is_not_there_certainly_made_no_slot() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    platform = GrpcPlatform(address, create_timeout=0.2)
    with pytest.raises(PlatformError, match=f"not sent, no connection to the platform at {address}") as caught:
        await platform.create_slot(1, 128)
    assert not caught.value.may_exist
    await platform.close()


async def test_a_start_waits_for_a_platform_that_comes_up(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    platform = GrpcPlatform(f"127.0.0.1:{port}", create_timeout=30.0)
    creating = asyncio.ensure_future(platform.create_slot(1, 128))
    async with serving(service, port):
        assert (await creating).platform_id == "s1"
        await platform.close()


@pytest.mark.parametrize(
    "refusal", [pb.InitReply(status=pb.Throttle), grpc.StatusCode.RESOURCE_EXHAUSTED], ids=["Throttle", "code"]
)
async def test_a_throttled_init_is_left_to_the_engine(service: Service, refusal: Answer) -> None:
    service.script += [refusal]
    async with serving(service) as platform:
        with pytest.raises(PlatformError, match="Init of s1") as caught:
            await platform.init("s1", "i", FUNCTION)
    assert caught.value.throttled
    assert len(service.requests) == 1


async def test_an_unavailable_init_is_repeated(service: Service) -> None:
    service.script += [grpc.StatusCode.UNAVAILABLE]
    async with serving(service) as platform:
        assert await platform.init("s1", "i", FUNCTION) > 0
    assert len(service.requests) == 2


async def test_an_init_answered_with_an_error_says_which_call_slot_and_status(service: Service) -> None:
    message = "slot s1 is already allocated"
    service.script += [pb.InitReply(status=pb.InvalidArgument, error_message=message)]
    async with serving(service) as platform:
        with pytest.raises(PlatformError, match=f"Init of s1 for function f: status InvalidArgument: {message}"):
            await platform.init("s1", "i", FUNCTION)


async def test_an_init_without_an_answer_ends_at_its_deadline(service: Service) -> None:
    service.script += [asyncio.get_running_loop().create_future()]
    async with serving(service, init_timeout=0.05) as platform:
        with pytest.raises(PlatformError, match=r"Init of s1 .*DEADLINE_EXCEEDED"):
            await platform.init("s1", "i", FUNCTION)


@pytest.mark.parametrize(
    "answer", [pb.DestroySlotReply(status=pb.NotFound), grpc.StatusCode.NOT_FOUND], ids=["status", "code"]
)
async def test_destroying_an_unknown_slot_succeeds(service: Service, answer: Answer) -> None:
    service.script += [answer]
    async with serving(service) as platform:
        await platform.destroy("s1", "again")
    assert len(service.requests) == 1


async def test_a_failed_destroy_says_why(service: Service) -> None:
    service.script += [pb.DestroySlotReply(status=pb.InternalError, error_message="disk full")]
    async with serving(service) as platform:
        with pytest.raises(PlatformError, match="DestroySlot of s1: status InternalError: disk full"):
            await platform.destroy("s1", "done")


async def test_calls_in_flight_stay_below_the_limit(service: Service) -> None:
    service.pause = 0.01
    async with serving(service, concurrency=3) as platform:
        await asyncio.gather(*(platform.destroy(f"s{n}", "done") for n in range(20)))
    assert len(service.requests) == 20
    assert service.most_in_flight == 3


async def test_a_create_that_never_got_its_turn_certainly_made_no_slot(service: Service) -> None:
    forever = asyncio.get_running_loop().create_future()
    service.script += [forever]
    async with serving(service, concurrency=1, create_timeout=0.2, init_timeout=5.0) as platform:
        init = asyncio.ensure_future(platform.init("s1", "i", FUNCTION))
        await service.called.wait()
        with pytest.raises(PlatformError, match="not sent, too many platform calls") as caught:
            await platform.create_slot(1, 128)
        assert not caught.value.may_exist
        forever.set_result(pb.InitReply())
        await init
    assert len(service.requests) == 1


async def test_a_call_with_its_repeats_keeps_to_its_deadline(service: Service) -> None:
    service.script += [grpc.StatusCode.UNAVAILABLE] * 100
    async with serving(service, retries=20, destroy_timeout=0.3) as platform:
        started = time.monotonic()
        with pytest.raises(PlatformError):
            await platform.destroy("s1", "done")
    assert time.monotonic() - started < 5
    assert len(service.requests) < 21
