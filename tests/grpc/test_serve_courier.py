"""Starts on a platform over gRPC: what goes well is not Python's, what does not goes to the host and is not lost."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import grpc
import grpc.aio
import pytest

from pilotlight._core import Wake
from pilotlight.platform.grpc import GrpcPlatform
from pilotlight.server.host import Host
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Starter
    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext


class Service(pb_grpc.PlatformServicer):
    """A platform that gives the answers in `script` first: a reply, a status to abort with, or a future of a reply."""

    def __init__(self) -> None:
        self.address = ""
        self.script: deque[Any] = deque()
        self.live: set[str] = set()
        self.created = 0

    async def _answer(self, context: Context, otherwise: Message) -> Any:  # noqa: ANN401
        answer = self.script.popleft() if self.script else otherwise
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "as told")
        return await answer if isinstance(answer, asyncio.Future) else answer

    async def CreateSlot(self, request: pb.CreateSlotRequest, context: Context) -> pb.CreateSlotReply:  # noqa: N802 - the wire's
        del request
        self.created += 1
        reply = await self._answer(context, pb.CreateSlotReply(slot=pb.Slot(id=f"s{self.created}")))
        self.live.add(reply.slot.id)
        return reply

    async def Init(self, request: pb.InitRequest, context: Context) -> pb.InitReply:  # noqa: N802 - the wire's
        assert request.slot_id in self.live
        return await self._answer(context, pb.InitReply())

    async def DestroySlot(self, request: pb.DestroySlotRequest, context: Context) -> pb.DestroySlotReply:  # noqa: N802 - the wire's
        reply = await self._answer(context, pb.DestroySlotReply())
        self.live.discard(request.id)
        return reply


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service, server = Service(), grpc.aio.server()
    pb_grpc.add_PlatformServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield service
    await server.stop(None)


def on(service: Service, **settings: str) -> dict[str, str]:
    return {"platform": "grpc", "platform_address": service.address, **settings}


async def test_of_a_start_that_goes_well_the_host_sees_at_most_the_answer(
    start_scaler: Starter, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("create_slot", "init", "destroy"):
        monkeypatch.delattr(GrpcPlatform, method)
    seen: list[Any] = []
    begin = Host._begin
    monkeypatch.setattr(Host, "_begin", lambda host, command: (seen.append(command), begin(host, command)))
    scaler = await start_scaler(**on(service, policy="fixed:keep_alive=10ms"))
    await scaler.client.idle(await scaler.client.assign("f"))
    await scaler.until(lambda: scaler.app.scaler.live_slots == 0 and scaler.app.host.calls == 0)
    assert scaler.ledger()["destroyed"] == 1
    assert not service.live
    assert all(isinstance(command, Wake) for command in seen)


@pytest.mark.parametrize(
    ("script", "throttled"),
    [
        ([pb.CreateSlotReply(status=pb.Throttle)], 1),
        ([grpc.StatusCode.RESOURCE_EXHAUSTED, pb.CreateSlotReply(status=pb.Throttle)], 2),
        ([pb.CreateSlotReply(slot=pb.Slot(id="s0")), pb.InitReply(status=pb.Throttle)], 1),
        ([pb.CreateSlotReply(slot=pb.Slot(id="s0")), grpc.StatusCode.UNAVAILABLE], 0),
    ],
    ids=["create", "create twice", "init", "init unavailable"],
)
async def test_a_throttled_start_is_made_again_and_an_unavailable_init_repeated(
    start_scaler: Starter, service: Service, script: list[Any], throttled: int
) -> None:
    service.script += script
    scaler = await start_scaler(**on(service))
    await scaler.client.idle(await scaler.client.assign("f"))
    await scaler.until(lambda: scaler.app.host.calls == 0)
    ledger = scaler.ledger()
    assert (ledger["starts"], ledger["starts_throttled"], ledger["starts_failed"]) == (1 + throttled, throttled, 0)


async def test_a_slot_created_late_is_destroyed(start_scaler: Starter, service: Service) -> None:
    late: asyncio.Future[pb.CreateSlotReply] = asyncio.get_running_loop().create_future()
    service.script.append(late)
    scaler = await start_scaler(**on(service, platform_create_timeout="100ms"))
    await scaler.client.idle(await scaler.client.assign("f"))
    assert scaler.ledger()["starts_failed"] == 1
    late.set_result(pb.CreateSlotReply(slot=pb.Slot(id="late")))
    await scaler.until(lambda: scaler.ledger()["destroyed"] == 1)
    assert service.live == {"s2"}


async def test_a_failed_init_gives_its_slot_back_and_another_start_serves_the_request(
    start_scaler: Starter, service: Service
) -> None:
    service.script += [pb.CreateSlotReply(slot=pb.Slot(id="s0")), pb.InitReply(status=pb.InternalError)]
    scaler = await start_scaler(**on(service))
    await scaler.client.assign("f")
    await scaler.until(lambda: scaler.ledger()["destroyed"] == 1)
    assert scaler.ledger()["starts_failed"] == 1
    assert service.live == {"s2"}


async def test_a_slot_that_the_platform_forgot_counts_as_destroyed(start_scaler: Starter, service: Service) -> None:
    scaler = await start_scaler(**on(service))
    assignment = await scaler.client.assign("f")
    service.script.append(pb.DestroySlotReply(status=pb.NotFound))
    await scaler.client.idle(assignment, need_destroy=True)
    await scaler.until(lambda: scaler.app.scaler.live_slots == 0)
    assert scaler.ledger()["destroy_failures"] == 0


async def test_slots_left_at_a_drain_stay_on_the_platform(start_scaler: Starter, service: Service) -> None:
    scaler = await start_scaler(**on(service, drain_leave_slots="true", drain_timeout="100ms"))
    await scaler.client.idle(await scaler.client.assign("f"))
    assert await scaler.app.drain() == 1
    assert service.live == {"s1"}


async def test_a_drain_destroys_the_slot_of_an_init_under_way(start_scaler: Starter, service: Service) -> None:
    init: asyncio.Future[pb.InitReply] = asyncio.get_running_loop().create_future()
    service.script += [pb.CreateSlotReply(slot=pb.Slot(id="s1")), init]
    scaler = await start_scaler(**on(service, drain_timeout="100ms"))
    assigning = asyncio.ensure_future(scaler.client.refusal(scaler.client.assign("f")))
    await scaler.until(lambda: service.live == {"s1"} and not service.script)
    draining = asyncio.ensure_future(scaler.app.drain())
    assert (await assigning).code() == grpc.StatusCode.UNAVAILABLE
    init.set_result(pb.InitReply())
    assert await draining == 0
    assert not service.live


async def test_a_failed_call_is_timed_from_its_begin(start_scaler: Starter, service: Service) -> None:
    late: asyncio.Future[pb.CreateSlotReply] = asyncio.get_running_loop().create_future()
    service.script.append(late)
    scaler = await start_scaler(**on(service, platform_create_timeout="150ms", metrics_address="127.0.0.1:0"))
    await scaler.client.assign("f")
    text = await asyncio.to_thread(lambda: urlopen(f"http://{scaler.app.metrics_address}/metrics").read().decode())
    assert 'pilotlight_platform_calls_total{call="create",result="error"} 1.0' in text
    assert 'pilotlight_platform_call_seconds_bucket{call="create",le="0.1"} 1.0' in text, "the good one alone"
    late.set_result(pb.CreateSlotReply(slot=pb.Slot(id="late")))


async def test_a_crowd_of_starts_answers_everybody(start_scaler: Starter, service: Service) -> None:
    scaler = await start_scaler(**on(service, platform_concurrency="50"))
    assignments = await asyncio.gather(*(scaler.client.assign(f"f{number % 40}") for number in range(400)))
    assert len({assignment.instance_id for assignment in assignments}) == len(assignments)
    await asyncio.gather(*map(scaler.client.idle, assignments))
    assert scaler.ledger()["slots"]["busy"] == 0
