"""What is the native front's own: what it refuses, and how its commands reach the host."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from pilotlight.errors import ConfigError
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Client, ServeProcess, Starter

pytestmark = pytest.mark.parametrize("front", ["native"], indirect=True)

CROWD = 10_000
_PATIENCE_S = 60.0


@pytest.mark.parametrize("setting", ["tls_certificate", "tls_key", "tls_client_ca", "grpcio_interceptors"])
async def test_what_it_cannot_do_is_an_error(start_scaler: Starter, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} = 'some'.*set front = grpcio"):
        await start_scaler(**{setting: "some"})


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_request_is_unimplemented(start_scaler: Starter, algorithm: grpc.Compression) -> None:
    scaler = await start_scaler()
    async with grpc.aio.insecure_channel(scaler.app.address, compression=algorithm) as channel:
        meta = pb.Meta(key="f" * 500, runtime="python", memory_in_mb=128)
        request = pb.AssignRequest(request_id="r", meta_data=meta)
        error = await scaler.client.refusal(pb_grpc.ScalerStub(channel).Assign(request, timeout=30))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert scaler.ledger()["assigns"] == 0


@pytest.mark.parametrize("native_threads", ["1", "3"])
async def test_a_crowd_of_cold_starts_is_carried_out(start_scaler: Starter, native_threads: str) -> None:
    scaler = await start_scaler(native_threads=native_threads, sim_create_time="1ms", sim_init_time="1ms")
    assignments = await asyncio.gather(*(scaler.client.assign(f"f{n % 50}") for n in range(500)))
    assert len({assignment.instance_id for assignment in assignments}) == 500
    for reply in await asyncio.gather(*(scaler.client.idle(assignment) for assignment in assignments)):
        assert reply.status == pb.Ok
    ledger = scaler.ledger()
    assert (ledger["waiting"], ledger["slots"]["busy"]) == (0, 0)


async def test_calls_open_at_the_end_are_ended_and_leave_nobody_waiting(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    waiting = asyncio.ensure_future(scaler.client.assign("f"))
    await scaler.until(lambda: scaler.ledger()["waiting"] == 1)
    await scaler.app.close()
    assert (await scaler.client.refusal(waiting)).code() == grpc.StatusCode.UNAVAILABLE
    assert scaler.ledger()["waiting"] == 0


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Raise this process's limit on file descriptors while a test runs; without enough of them it is skipped."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + 1000:
        pytest.skip(f"{CROWD} connections need more file descriptors than the {hard} allowed here (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CROWD + 1000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class IdleConnection:
    """An HTTP/2 connection without calls, written by hand: a client library's would be too heavy by the thousands."""

    _PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    _SETTINGS, _ACK = b"\0\0\0\4\0\0\0\0\0", 1
    _PING, _GOAWAY = 6, 7

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_PATIENCE_S)
        self._socket.sendall(self._PREFACE + self._SETTINGS)

    def ping(self) -> None:
        """Ask whether anybody is there, and wait for the answer."""
        self._socket.sendall(bytes([0, 0, 8, self._PING, 0, 0, 0, 0, 0]) + b"pilotlit")
        assert self._next(self._PING) == (self._ACK, b"pilotlit")

    def goaway(self) -> None:
        """Wait to be sent away."""
        self._next(self._GOAWAY)

    def close(self) -> None:
        self._socket.close()

    def _next(self, kind: int) -> tuple[int, bytes]:
        """Read on until a frame of a kind comes; returns its flags and its payload."""
        while True:
            head = self._read(9)
            payload = self._read(int.from_bytes(head[:3], "big"))
            if head[3] == kind:
                return head[4], payload

    def _read(self, count: int) -> bytes:
        read = b""
        while len(read) < count:
            more = self._socket.recv(count - len(read))
            assert more, "the server closed the connection"
            read += more
        return read


async def test_ten_thousand_idle_connections_cost_nobody_anything(
    serve_process: ServeProcess, connect: Callable[[str], Client], descriptors: None
) -> None:
    del descriptors
    process = serve_process("--platform=sim", "--address=127.0.0.1:0", "--metrics-address=")
    address = process.event("listening")["address"]
    crowd = [IdleConnection(address) for _ in range(CROWD)]
    for connection in crowd:
        connection.ping()
    client = connect(address)
    for _ in range(100):
        assert (await client.idle(await client.assign("f"))).status == pb.Ok
    for connection in crowd:
        connection.ping()
    process.signal(signal.SIGTERM)
    for connection in crowd:
        connection.goaway()
    assert await asyncio.to_thread(process.wait) == 0
    for connection in crowd:
        connection.close()
