"""Calls that end early, are too large, come in crowds or reach nobody: no instance is lost, nobody is forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pilotlight.server import grpcio_calls, grpcio_waits
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conftest import Client, Starter

    from pilotlight._core import Wake

QUEUE_ONLY = pytest.mark.parametrize("front", ["grpcio"], indirect=True)
GRPCIO_ONLY = pytest.mark.parametrize("front", ["grpcio", "grpcio_aio"], indirect=True)


@QUEUE_ONLY
async def test_the_instance_of_a_warm_reply_that_cannot_be_sent_is_free_again(
    start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    await scaler.client.idle(first)
    send = grpcio_calls.reply

    def send_to_nobody(call: grpc.aio.Call, reply: bytes, sent: Callable[[object], None]) -> None:
        call.cancel()  # as gRPC does when the client resets the stream or its connection breaks
        send(call, reply, sent)

    with monkeypatch.context() as broken:
        broken.setattr(grpcio_calls, "reply", send_to_nobody)
        assert (await scaler.client.refusal(scaler.client.assign("f"))).code() == grpc.StatusCode.CANCELLED
        await scaler.until(lambda: scaler.ledger()["abandoned"] == 1)
    assert scaler.ledger()["slots"]["busy"] == 0
    assert (await scaler.client.assign("f")).instance_id == first.instance_id


@QUEUE_ONLY
async def test_the_instance_of_a_waiting_request_whose_reply_cannot_be_sent_is_free_again(
    start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = await start_scaler()
    send = grpcio_waits._send

    def send_to_nobody(call: grpc.aio.Call, wake: Wake) -> None:
        call.cancel()
        send(call, wake)

    with monkeypatch.context() as broken:
        broken.setattr(grpcio_waits, "_send", send_to_nobody)
        assert (await scaler.client.refusal(scaler.client.assign("f"))).code() == grpc.StatusCode.CANCELLED
        await scaler.until(lambda: scaler.ledger()["abandoned"] == 1)
    assert scaler.ledger()["slots"]["busy"] == 0


@QUEUE_ONLY
async def test_a_request_read_after_its_deadline_gets_no_instance(
    start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = await start_scaler()
    await scaler.client.idle(await scaler.client.assign("f"))
    with monkeypatch.context() as late:
        late.setattr(grpcio_calls.time, "time", lambda: 1e12)
        error = await scaler.client.refusal(scaler.client.assign("f"))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert scaler.ledger()["assigns"] == 1


async def test_requests_of_a_connection_that_closes_are_forgotten(
    start_scaler: Starter, connect: Callable[[str], Client]
) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    gone = connect(scaler.app.address)
    calls = [gone.stub.Assign(_request()) for _ in range(10)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 10)
    await gone.channel.close()
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0)
    assert scaler.ledger()["cancelled"] == 10
    assert all(call.cancelled() for call in calls)


async def test_a_message_above_a_megabyte_is_refused_and_the_connection_goes_on(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    for method in (scaler.client.stub.Assign, scaler.client.stub.Idle):
        kind = pb.AssignRequest if method is scaler.client.stub.Assign else pb.IdleRequest
        huge = kind()
        huge.ParseFromString(b"\xfa\x01\x80\x80\x80\x01" + bytes(2 << 20))
        error = await scaler.client.refusal(method(huge))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    await scaler.client.idle(await scaler.client.assign("f"))
    assert scaler.ledger()["assigns"] == 1


@QUEUE_ONLY  # grpc.aio does not answer such a call
async def test_a_call_without_a_message_is_refused(start_scaler: Starter) -> None:
    scaler = await start_scaler()

    async def nothing() -> AsyncIterator[bytes]:
        for message in ():
            yield message

    for method in ("Assign", "Idle"):
        call = scaler.client.channel.stream_unary(f"/serverless.simulator.Scaler/{method}")
        error = await scaler.client.refusal(call(nothing()))
        assert error.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED}


@GRPCIO_ONLY
@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests_are_read(start_scaler: Starter, compression: grpc.Compression) -> None:
    scaler = await start_scaler()
    reply = await scaler.client.stub.Assign(_request("f" * 1000), compression=compression)
    assert reply.assigment.meta_key == "f" * 1000


async def test_an_unknown_service_is_unimplemented(start_scaler: Starter) -> None:
    client = (await start_scaler()).client
    error = await client.refusal(client.channel.unary_unary("/serverless.simulator.Platform/Init")(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_calls_of_many_connections_do_not_mix_up_instances(
    start_scaler: Starter, connect: Callable[[str], Client]
) -> None:
    scaler = await start_scaler()
    clients = [connect(scaler.app.address) for _ in range(16)]

    async def work(client: Client, key: str) -> None:
        for _ in range(10):
            mine = await client.assign(key)
            assert mine.meta_key == key
            assert mine.instance_id not in running
            running.add(mine.instance_id)
            await asyncio.sleep(0)
            running.discard(mine.instance_id)
            await client.idle(mine)

    running: set[str] = set()
    await asyncio.gather(*(work(client, f"f{n % 3}") for client in clients for n in range(6)))
    assert scaler.ledger()["slots"]["busy"] == 0
    assert scaler.ledger()["assigns"] == 16 * 6 * 10


async def test_a_burst_of_requests_waits_without_a_refusal(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    calls = [scaler.client.stub.Assign(_request()) for _ in range(3000)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 3000)
    drain = asyncio.ensure_future(scaler.app.drain())
    refused = await asyncio.gather(*calls, return_exceptions=True)
    assert {error.code() for error in refused if isinstance(error, grpc.aio.AioRpcError)} == {
        grpc.StatusCode.UNAVAILABLE
    }
    drain.cancel()


async def test_who_watches_health_sees_the_drain_begin(start_scaler: Starter) -> None:
    scaler = await start_scaler(drain_timeout="60s")
    running = await scaler.client.assign("f")
    health = health_pb2_grpc.HealthStub(scaler.client.channel)
    watches = [health.Watch(health_pb2.HealthCheckRequest(service="serverless.simulator.Scaler")) for _ in range(20)]
    for watch in watches:
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    drain = asyncio.ensure_future(scaler.app.drain())
    for watch in watches:
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
    await scaler.client.idle(running)
    assert await drain == 0


async def test_closing_ends_the_calls_that_still_wait(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    waiting = scaler.client.stub.Assign(_request())
    await scaler.until(lambda: scaler.ledger()["waiting"] == 1)
    await scaler.app.close()
    error = await scaler.client.refusal(waiting)
    assert error.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def _request(key: str = "f") -> pb.AssignRequest:
    return pb.AssignRequest(request_id="r", meta_data=pb.Meta(key=key, runtime="python", memory_in_mb=128))
