"""Starts on a platform over gRPC: what goes well is not Python's, what does not goes to the host and is not lost."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import grpc
import pytest

from pilotlight._core import Wake
from pilotlight.platform.grpc import GrpcPlatform
from pilotlight.server.host import Host
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from conftest import Starter
    from scripted_platform import Service


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


@pytest.mark.parametrize(
    "wrong",
    [
        pb.CreateSlotReply(slot=pb.Slot(id="wrong", resource_config=pb.ResourceConfig(memory_in_megabytes=64))),
        pb.CreateSlotReply(slot=pb.Slot(id="wrong"), status=pb.InternalError),
    ],
    ids=["another size", "an error"],
)
async def test_a_slot_that_is_not_what_was_asked_for_is_destroyed_and_another_start_serves(
    start_scaler: Starter, service: Service, wrong: pb.CreateSlotReply
) -> None:
    service.script.append(wrong)
    scaler = await start_scaler(**on(service))
    await scaler.client.assign("f")
    await scaler.until(lambda: scaler.ledger()["destroyed"] == 1)
    ledger = scaler.ledger()
    assert (ledger["starts_failed"], ledger["written_off"], ledger["slots"]["leaked"]) == (1, 0, 0)
    assert service.live == {"s2"}


@pytest.mark.parametrize(
    "lost",
    [pb.CreateSlotReply(), grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN],
    ids=["no slot", "gone", "broke"],
)
async def test_a_slot_that_nobody_can_name_stays_in_the_books_as_written_off(
    start_scaler: Starter, service: Service, lost: pb.CreateSlotReply | grpc.StatusCode
) -> None:
    service.script.append(lost)
    scaler = await start_scaler(**on(service))
    await scaler.client.idle(await scaler.client.assign("f"))
    ledger = scaler.ledger()
    assert (ledger["starts"], ledger["live_slots"], ledger["written_off"], ledger["destroyed"]) == (2, 1, 1, 0)
    assert await scaler.app.drain() == 1
    left = scaler.app.host.left()
    assert (left.live, left.written_off, left.slots) == (0, 1, [])
    assert len(left.requests) == 1


async def test_a_refused_create_is_no_destroyed_slot(start_scaler: Starter, service: Service) -> None:
    service.script += [pb.CreateSlotReply(status=pb.InternalError)] * 2
    scaler = await start_scaler(**on(service))
    await scaler.client.assign("f")
    ledger = scaler.ledger()
    assert (ledger["starts"], ledger["never_created"], ledger["destroyed"], ledger["live_slots"]) == (3, 2, 0, 1)


async def test_a_name_given_out_twice_serves_one_request_and_is_destroyed_when_that_is_over(
    start_scaler: Starter, service: Service
) -> None:
    twin = pb.CreateSlotReply(slot=pb.Slot(id="twin"))
    service.script += [twin, pb.InitReply(), twin]
    scaler = await start_scaler(**on(service))
    first = await scaler.client.assign("f")
    second = await scaler.client.assign("g")
    ledger = scaler.ledger()
    assert (ledger["starts_failed"], ledger["slots"]["busy"], ledger["slots"]["leaked"]) == (1, 2, 1)
    assert service.destroyed == [], "the one that serves a request has the name"
    await service.stop()
    await scaler.until(lambda: not scaler.app.platform.answers)
    await service.start()
    await scaler.until(lambda: scaler.app.platform.answers)
    assert service.destroyed == [], "and keeps it over a new connection"
    await scaler.client.idle(first, need_destroy=True)
    await scaler.until(lambda: scaler.ledger()["destroyed"] == 2)
    assert service.destroyed == ["twin", "twin"]
    await scaler.client.idle(second)
    assert await scaler.app.drain() == 0


async def test_a_platform_that_starts_anew_may_give_out_its_names_once_more(
    start_scaler: Starter, service: Service
) -> None:
    scaler = await start_scaler(**on(service))
    old = await scaler.client.assign("f")
    await scaler.client.idle(old)
    await service.stop()
    service.live.clear()
    service.created = 0
    await scaler.until(lambda: not scaler.app.platform.answers)
    await service.start()
    new = await scaler.client.assign("g")
    assert (service.live, scaler.ledger()["starts_failed"]) == ({"s1"}, 0)
    old = await scaler.client.assign("f")
    await scaler.client.idle(old, need_destroy=True)
    await scaler.until(lambda: scaler.ledger()["destroyed"] == 1)
    assert service.destroyed == [], "the new one has the name, and serves a request"
    await scaler.client.idle(new)
    assert await scaler.app.drain() == 0
    assert service.destroyed == ["s1"]


async def test_a_platform_that_repeats_its_answers_is_survived(
    start_scaler: Starter, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.repeats = True
    scaler = await start_scaler(**on(service, platform_destroy_timeout="1s", start_attempts="2"))
    first = await scaler.client.assign("f0")
    await asyncio.gather(*(scaler.client.refusal(scaler.client.assign(f"f{number}")) for number in range(1, 6)))
    service.script += [pb.DestroySlotReply(status=pb.InternalError)] * 2
    await scaler.client.idle(first)
    assert await scaler.app.drain() == 0
    gc.collect()
    assert "never retrieved" not in caplog.text


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
