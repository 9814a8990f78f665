"""Shutdown: everybody is answered, no slot stays behind, and it ends in bounded time."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, ServeProcess, Starter

SERVICE = "serverless.simulator.Scaler"


async def test_drain_answers_waiting_requests_and_refuses_new_ones(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="300ms")
    waiting = [asyncio.ensure_future(scaler.client.assign("f")) for _ in range(5)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 5)
    drain = asyncio.ensure_future(scaler.app.drain())
    for call in waiting:
        assert (await scaler.client.refusal(call)).code() == grpc.StatusCode.UNAVAILABLE
    assert (await scaler.client.refusal(scaler.client.assign("f"))).code() == grpc.StatusCode.UNAVAILABLE
    assert await drain == 0
    assert scaler.platform.live == {}


async def test_drain_destroys_free_instances(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    for assignment in [await scaler.client.assign(f"f{n}") for n in range(10)]:
        await scaler.client.idle(assignment)
    assert len(scaler.platform.live) == 10
    assert await scaler.app.drain() == 0
    assert scaler.platform.live == {}


async def test_drain_lets_a_running_request_end(start_scaler: Starter) -> None:
    scaler = await start_scaler(drain_timeout="60s")
    running = await scaler.client.assign("f")
    drain = asyncio.ensure_future(scaler.app.drain())
    await scaler.until(lambda: scaler.ledger()["slots"]["busy"] == 1)
    assert (await scaler.client.idle(running)).status == pb.Ok
    assert await drain == 0
    assert scaler.platform.live == {}


async def test_drain_takes_an_instance_back_from_whoever_connects_anew(
    start_scaler: Starter, connect: Callable[[str], Client]
) -> None:
    scaler = await start_scaler(drain_timeout="60s")
    running = await scaler.client.assign("f")
    drain = asyncio.ensure_future(scaler.app.drain())
    assert (await scaler.client.refusal(scaler.client.assign("f"))).code() == grpc.StatusCode.UNAVAILABLE
    await scaler.client.channel.close()
    assert (await connect(scaler.app.address).idle(running)).status == pb.Ok
    assert await drain == 0
    assert scaler.platform.live == {}


async def test_drain_destroys_what_still_runs_after_its_timeout(start_scaler: Starter) -> None:
    scaler = await start_scaler(drain_timeout="50ms")
    await scaler.client.assign("f")
    assert await scaler.app.drain() == 0
    assert scaler.platform.live == {}


async def test_drain_can_leave_the_slots(start_scaler: Starter) -> None:
    scaler = await start_scaler(drain_leave_slots="true", drain_timeout="50ms")
    for key in ("f", "g"):
        await scaler.client.assign(key)
    await scaler.client.idle(await scaler.client.assign("h"))
    assert await scaler.app.drain() == 3
    assert len(scaler.platform.live) == 3


async def test_health_turns_from_serving_to_not_serving(start_scaler: Starter) -> None:
    scaler = await start_scaler(drain_timeout="60s")
    health = health_pb2_grpc.HealthStub(scaler.client.channel)
    running = await scaler.client.assign("f")
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    for service in ("", SERVICE):
        assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == serving
    drain = asyncio.ensure_future(scaler.app.drain())
    for service in ("", SERVICE):
        watch = health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=10)
        statuses = [(await watch.read()).status]
        while statuses[-1] != not_serving:
            statuses.append((await watch.read()).status)
        watch.cancel()
    await scaler.client.idle(running)
    assert await drain == 0


async def test_sigterm_drains_and_exits_with_0(serve_process: ServeProcess, connect: Callable[[str], Client]) -> None:
    process = serve_process("--platform=sim", "--address=127.0.0.1:0", "--metrics-address=", "--sim-create-time=500ms")
    client = connect(process.event("listening")["address"])
    waiting = asyncio.ensure_future(client.assign("f"))
    health = health_pb2_grpc.HealthStub(client.channel)
    await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
    process.signal(signal.SIGTERM)
    assert (await client.refusal(waiting)).code() == grpc.StatusCode.UNAVAILABLE
    assert await asyncio.to_thread(process.wait) == 0
    assert process.event("drained")["slots_left"] == 0


async def test_a_second_signal_exits_at_once(serve_process: ServeProcess, connect: Callable[[str], Client]) -> None:
    process = serve_process("--platform=sim", "--address=127.0.0.1:0", "--metrics-address=", "--drain-timeout=1h")
    client = connect(process.event("listening")["address"])
    await client.assign("f")
    process.signal(signal.SIGTERM)
    await asyncio.to_thread(process.event, "draining")
    process.signal(signal.SIGINT)
    assert await asyncio.to_thread(process.wait) == 1
    assert process.event("stopped by a second signal")["slots_left"] == 1
