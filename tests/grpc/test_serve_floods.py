"""Clients that open, cancel, ping or send more than anybody needs: what they pin is bounded, and others are served."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import http2_frames as frames
import pytest

from pilotlight.server.grpcio_calls import CallQueue
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Starter

QUEUE_ONLY = pytest.mark.parametrize("front", ["grpcio"], indirect=True)

_MAX_CONCURRENT_STREAMS = 3
_LONG = "x" * 1025


async def test_a_connection_may_have_so_many_calls_open_and_others_are_served(
    start_scaler: Starter, connect: Callable[[str], Client]
) -> None:
    scaler = await start_scaler(max_streams="60", sim_create_time="60s")

    def flood() -> frames.Connection:
        connection = frames.Connection(scaler.app.address)
        assert connection.settings[_MAX_CONCURRENT_STREAMS] == 60
        for stream in range(1, 401, 2):
            connection.send(frames.call(stream, frames.ASSIGN, frames.assign_message()))
        return connection

    connection = await asyncio.to_thread(flood)
    await scaler.until(lambda: scaler.ledger()["waiting"] == 50)
    # What is beyond the limits is refused; the requests that wait go on.
    await asyncio.to_thread(connection.until_ended, 150)
    assert scaler.ledger()["waiting"] == 50
    other = connect(scaler.app.address)
    waiting = [other.stub.Assign(_request()) for _ in range(20)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 70)
    connection.socket.close()
    await scaler.until(lambda: scaler.ledger()["waiting"] == 20)
    for each in waiting:
        each.cancel()


async def test_a_connection_full_of_waiting_requests_still_takes_an_idle(start_scaler: Starter) -> None:
    scaler = await start_scaler(max_streams="60")
    running = await scaler.client.assign("f")
    scaler.platform._create_time = 60.0
    waiting = [asyncio.ensure_future(scaler.client.assign("f")) for _ in range(50)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 50)
    error = await scaler.client.refusal(scaler.client.assign("f"))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "wait on this connection" in (error.details() or "")
    await scaler.client.idle(running)
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [call.result().instance_id for call in done] == [running.instance_id]
    again = asyncio.ensure_future(scaler.client.assign("f"))
    await scaler.until(lambda: scaler.ledger()["waiting"] == 50)
    for call in (*waiting, again):
        call.cancel()


@QUEUE_ONLY
async def test_calls_whose_message_never_comes_are_bounded_and_the_oldest_go_first(
    start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues: list[CallQueue] = []
    attach = CallQueue.attach

    def noted(queue: CallQueue, server: object) -> None:
        queues.append(queue)
        attach(queue, server)

    monkeypatch.setattr(CallQueue, "attach", noted)
    scaler = await start_scaler(max_streams="60")

    def flood() -> frames.Connection:
        connection = frames.Connection(scaler.app.address)
        for stream in range(1, 101, 2):
            connection.send(frames.headers(stream, frames.ASSIGN, [("x-heavy", b"y" * 15_000)]))
        return connection

    connections = [await asyncio.to_thread(flood)]
    await scaler.until(lambda: queues[0].unread == 50)  # all of the first one's calls are older than the others'
    connections += [await asyncio.to_thread(flood) for _ in range(4)]
    await asyncio.to_thread(connections[0].until_ended, 50)
    await scaler.until(lambda: queues[0].unread == 60)
    await scaler.client.idle(await scaler.client.assign("f"))
    for connection in connections:
        connection.socket.close()
    await scaler.until(lambda: queues[0].unread == 0)


async def test_calls_that_are_cancelled_as_they_come_leave_nothing(start_scaler: Starter) -> None:
    scaler = await start_scaler()

    def flood() -> None:
        for _ in range(4):
            with frames.Connection(scaler.app.address) as connection:
                calls = (
                    frames.call(stream, frames.ASSIGN, frames.assign_message()) + frames.reset(stream)
                    for stream in range(1, 501, 2)
                )
                connection.send(b"".join(calls))
                connection.send(frames.frame(frames.PING, 0, 0, b"pilotlit"))
                while connection.next()[0] != frames.PING:
                    pass

    await asyncio.to_thread(flood)
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0 and scaler.app.host.calls == 0)
    await scaler.client.idle(await scaler.client.assign("f"))


async def test_a_client_may_ping_as_often_as_it_likes_while_it_waits(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")

    def ping() -> None:
        with frames.Connection(scaler.app.address) as connection:
            connection.send(frames.call(1, frames.ASSIGN, frames.assign_message()))
            for number in range(100):
                connection.send(frames.frame(frames.PING, 0, 0, number.to_bytes(8, "big")))
                kind, flags, _, payload = connection.next()
                while kind != frames.PING or not flags & frames.ACK:
                    assert kind != frames.GOAWAY, payload
                    kind, flags, _, payload = connection.next()
                assert payload == number.to_bytes(8, "big")

    await asyncio.to_thread(ping)


@pytest.mark.parametrize("size", [8_000, 15_000])
async def test_metadata_of_up_to_16_kib_are_always_taken(start_scaler: Starter, size: int) -> None:
    scaler = await start_scaler()
    for _ in range(20):
        reply = await scaler.client.stub.Assign(_request(), metadata=[("x-heavy", "y" * size)])
        await scaler.client.idle(reply.assigment)


@pytest.mark.parametrize("field", ["request_id", "meta_key", "instance_id"])
async def test_an_idle_with_a_long_name_is_refused_and_not_sent_back(start_scaler: Starter, field: str) -> None:
    scaler = await start_scaler()
    running = await scaler.client.assign("f")
    for length in (1025, 100_000):
        changed = pb.Assignment()
        changed.CopyFrom(running)
        setattr(changed, field, "x" * length)
        error = await scaler.client.refusal(scaler.client.idle(changed))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == f"IdleRequest.assigment.{field} has {length} bytes: allowed are 1024"
    await scaler.client.idle(running)


async def test_an_assign_with_a_long_name_is_refused_and_not_sent_back(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    for request in (
        pb.AssignRequest(request_id=_LONG, meta_data=pb.Meta(key="f", memory_in_mb=1)),
        pb.AssignRequest(request_id="r", meta_data=pb.Meta(key=_LONG, memory_in_mb=1)),
        pb.AssignRequest(request_id="r", meta_data=pb.Meta(key="f", runtime=_LONG, memory_in_mb=1)),
    ):
        error = await scaler.client.refusal(scaler.client.stub.Assign(request))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "has 1025 bytes" in (error.details() or "")


@QUEUE_ONLY  # the public API reads metadata only for interceptors
async def test_bad_headers_by_the_hundred_are_a_line_or_two(
    start_scaler: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    scaler = await start_scaler()

    def flood() -> None:
        with frames.Connection(scaler.app.address) as connection:
            for stream in range(1, 401, 2):
                connection.send(frames.headers(stream, frames.IDLE, [("x-bad", b"\xff" * 10_000)]))
                connection.send(frames.frame(frames.DATA, frames.END_STREAM, stream, bytes(5)))
                connection.until_ended()

    with caplog.at_level(logging.DEBUG, logger="grpc"):
        await asyncio.to_thread(flood)
    lines = [record for record in caplog.records if "Invalid encoding" in record.getMessage()]
    assert 1 <= len(lines) < 100
    assert all(len(record.getMessage()) < 1000 for record in lines)


def _request() -> pb.AssignRequest:
    return pb.AssignRequest(request_id="r", meta_data=pb.Meta(key="f", runtime="python", memory_in_mb=128))
