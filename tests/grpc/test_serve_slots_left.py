"""However it ends, the service waits for slots that may exist, and says in its log and its status which are left."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import grpc

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Process, ServeProcess, Starter
    from scripted_platform import Service

SIM = ("--platform=sim", "--address=127.0.0.1:0", "--metrics-address=", "--policy=fixed:keep_alive=60s")


def on(service: Service, *arguments: str) -> tuple[str, ...]:
    return (*SIM, "--platform=grpc", f"--platform-address={service.address}", "--drain-timeout=60s", *arguments)


def unanswered() -> asyncio.Future[pb.CreateSlotReply]:
    return asyncio.get_running_loop().create_future()


async def ended(process: Process) -> tuple[int, dict[str, Any]]:
    """Wait for the end; return the exit status and the last line that tells how it ended."""
    status = await asyncio.to_thread(process.wait)
    return status, [line for line in process.log if line["event"] in {"drained", "stopped by a second signal"}][-1]


async def test_a_terminal_that_closes_does_not_cut_its_own_drain_short(
    serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    process = serve_process(*SIM, "--drain-timeout=60s")
    client = connect(process.event("listening")["address"])
    running = await client.assign("f")
    for _ in range(3):
        process.signal(signal.SIGHUP)
        await asyncio.to_thread(process.event, "draining")
    await client.idle(running)
    status, last = await ended(process)
    assert process.event("draining")["signal"] == "SIGHUP"
    assert (status, last["event"], last["slots_left"]) == (0, "drained", 0)


async def test_a_hangup_that_is_ignored_stays_ignored(serve_process: ServeProcess) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        process = serve_process(*SIM)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.event("listening")
    process.signal(signal.SIGHUP)
    process.signal(signal.SIGTERM)
    assert (await ended(process))[0] == 0
    assert process.event("draining")["signal"] == "SIGTERM"


async def test_a_drain_waits_for_a_create_without_an_answer(start_scaler: Starter, service: Service) -> None:
    late = unanswered()
    service.script.append(late)
    scaler = await start_scaler(
        platform="grpc",
        platform_address=service.address,
        platform_create_timeout="50ms",
        platform_destroy_timeout="100ms",
        start_attempts="1",
    )
    await scaler.client.refusal(scaler.client.assign("f"))
    draining = asyncio.ensure_future(scaler.app.drain())
    # Longer than the time that destroys get at the end.
    assert await asyncio.wait({draining}, timeout=0.8) == (set(), {draining})
    late.set_result(pb.CreateSlotReply(slot=pb.Slot(id="late")))
    assert await draining == 0
    assert service.live == set()


async def test_a_create_that_outlasts_the_drain_is_named(
    service: Service, serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    service.script += [pb.CreateSlotReply(slot=pb.Slot(id="warm")), pb.InitReply(), unanswered()]
    process = serve_process(*on(service, "--drain-timeout=300ms", "--platform-destroy-timeout=100ms"))
    client = connect(process.event("listening")["address"])
    await client.idle(await client.assign("f"))
    waiting = asyncio.ensure_future(client.refusal(client.assign("g")))
    while service.created < 2:
        await asyncio.sleep(0.01)
    process.signal(signal.SIGTERM)
    await waiting
    status, last = await ended(process)
    assert (status, last["slots_left"], last["requests"], "slots" in last) == (1, 1, [service.requests[-1]], False)
    assert service.destroyed == ["warm"]


async def test_a_slot_written_off_is_left_behind(
    service: Service, serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    service.script.append(pb.CreateSlotReply())
    process = serve_process(*on(service))
    client = connect(process.event("listening")["address"])
    await client.idle(await client.assign("f"))
    process.signal(signal.SIGTERM)
    status, last = await ended(process)
    assert (status, last["slots_left"], last["written_off"]) == (1, 1, 1)
    assert last["requests"] == service.requests[:1]


async def test_slots_that_were_to_be_left_are_named_and_no_failure(
    service: Service, serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    process = serve_process(*on(service, "--drain-leave-slots", "--drain-timeout=200ms"))
    client = connect(process.event("listening")["address"])
    await client.idle(await client.assign("f"))
    await client.assign("g")
    process.signal(signal.SIGTERM)
    status, last = await ended(process)
    assert (status, last["slots_left"], sorted(last["slots"])) == (0, 2, ["s1", "s2"])


async def test_a_slot_without_a_name_is_not_one_that_was_to_be_left(
    service: Service, serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    service.script.append(unanswered())
    process = serve_process(*on(service, "--drain-leave-slots", "--drain-timeout=200ms"))
    client = connect(process.event("listening")["address"])
    waiting = asyncio.ensure_future(client.refusal(client.assign("f")))
    while not service.created:
        await asyncio.sleep(0.01)
    process.signal(signal.SIGTERM)
    await waiting
    status, last = await ended(process)
    assert (status, last["slots_left"], last["requests"]) == (1, 1, service.requests)


async def test_a_platform_that_is_gone_keeps_its_slots_and_they_are_named(
    service: Service, serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    process = serve_process(*on(service, "--drain-timeout=200ms", "--platform-destroy-timeout=100ms"))
    client = connect(process.event("listening")["address"])
    for number in range(25):
        await client.idle(await client.assign(f"f{number}"))
    await service.stop()
    process.signal(signal.SIGTERM)
    status, last = await ended(process)
    assert (status, last["slots_left"], len(last["slots"])) == (1, 25, 20)
    assert set(last["slots"]) < service.live


async def test_a_second_signal_names_what_it_leaves(
    service: Service, serve_process: ServeProcess, connect: Callable[[str], Client]
) -> None:
    process = serve_process(*on(service))
    client = connect(process.event("listening")["address"])
    await client.assign("f")
    process.signal(signal.SIGHUP)
    await asyncio.to_thread(process.event, "draining")
    process.signal(signal.SIGTERM)
    status, last = await ended(process)
    assert (status, last["event"], last["slots"]) == (1, "stopped by a second signal", ["s1"])


async def test_a_drain_waits_for_a_platform_that_comes_back(start_scaler: Starter, service: Service) -> None:
    scaler = await start_scaler(
        platform="grpc", platform_address=service.address, platform_destroy_timeout="100ms", drain_timeout="60s"
    )
    await scaler.client.idle(await scaler.client.assign("f"))
    service.script += [grpc.StatusCode.INTERNAL] * 2  # so that it is repeated after 1 s, and after 2 s more
    assert await scaler.app.drain() == 0
    assert service.live == set()
