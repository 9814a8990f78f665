"""A scaler on a real socket, in this process or its own, and a client of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import grpc.aio
import pytest
from scripted_platform import Service

from pilotlight.config import load
from pilotlight.server.app import App
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from pilotlight.platform.sim import SimPlatform

PATIENCE_S = 60.0
"""Nothing that a test waits for takes longer than this."""

FRONTS = {
    "grpcio": {"front": "grpcio", "grpcio_mode": "completion_queue"},
    "grpcio_aio": {"front": "grpcio", "grpcio_mode": "aio"},
    "native": {"front": "native"},
}
"""The settings of every front; whatever serves runs its tests over each of them."""


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings that choose one front."""
    return FRONTS[request.param]


def assign_request(key: str = "f", memory_mb: int = 128, request_id: str = "r") -> pb.AssignRequest:
    meta = pb.Meta(key=key, runtime="python", timeout_in_secs=60, memory_in_mb=memory_mb)
    return pb.AssignRequest(request_id=request_id, timestamp=0, meta_data=meta)


class Client:
    """The Scaler's methods as a client calls them."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.stub: Any = pb_grpc.ScalerStub(self.channel)

    async def assign(self, key: str = "f", memory_mb: int = 128, timeout: float = PATIENCE_S) -> pb.Assignment:
        reply = await self.stub.Assign(assign_request(key, memory_mb), timeout=timeout)
        assert reply.status == pb.Ok
        return reply.assigment

    @staticmethod
    async def refusal(call: Awaitable[object]) -> grpc.aio.AioRpcError:
        """Return the error that a call ends with."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return caught.value

    async def idle(self, assignment: pb.Assignment, **result: bool | int) -> pb.IdleReply:
        result = {"status_code": 200, "duration_in_ms": 1, **result}
        request = pb.IdleRequest(assigment=assignment, result=pb.Result(**result))
        return await self.stub.Idle(request, timeout=PATIENCE_S)


@dataclass
class Scaler:
    """A scaler in this process."""

    app: App
    client: Client

    @property
    def platform(self) -> SimPlatform:
        return self.app.platform  # type: ignore[return-value]

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Wait for a condition of this process."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "the awaited condition did not come true"
            await asyncio.sleep(0.005)

    def ledger(self) -> dict[str, Any]:
        return self.app.scaler.snapshot(time.monotonic_ns())


@dataclass
class Starter:
    """Starts scalers in this process and closes them after the test."""

    front: dict[str, str]
    started: list[Scaler] = field(default_factory=list)

    async def __call__(self, **settings: str) -> Scaler:
        flags = {
            "address": "127.0.0.1:0",
            "platform": "sim",
            "metrics_address": "",
            "sim_create_time": "5ms",
            "sim_init_time": "5ms",
            "policy": "fixed:keep_alive=60s",
            **self.front,
            **settings,
        }
        app = App(load(flags))
        await app.start()
        self.started.append(Scaler(app, Client(app.address)))
        return self.started[-1]


@pytest.fixture
async def start_scaler(front: dict[str, str]) -> AsyncIterator[Starter]:
    starter = Starter(front)
    yield starter
    for scaler in starter.started:
        await scaler.client.channel.close()
        await scaler.app.close()


class Process:
    """`pilotlight serve` in its own process; its log is read as JSON."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.log: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from pilotlight.cli import main; main()", "serve", "--log-format=json", *arguments],
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(json.loads(line) if line.startswith("{") else {"event": line.rstrip("\n")})

    def event(self, name: str) -> dict[str, Any]:
        """Wait for the line with this event."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = [line for line in self.log if line["event"] == name]
            if found:
                return found[0]
            time.sleep(0.01)
        raise AssertionError(f"no {name!r} in the log: {self.log}")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        status = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return status

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


class ServeProcess(Protocol):
    """Starts a process; it is killed after the test."""

    def __call__(self, *arguments: str, **environment: str) -> Process: ...


@pytest.fixture
def serve_process(front: dict[str, str]) -> Iterator[ServeProcess]:
    """Start processes that listen: one front after the other."""
    with ExitStack() as processes:
        chosen = {f"PILOTLIGHT_{name.upper()}": value for name, value in front.items()}

        def start(*arguments: str, **environment: str) -> Process:
            process = Process(*arguments, **chosen, **environment)
            processes.callback(process.close)
            return process

        yield start


@pytest.fixture
def refused_process() -> Iterator[ServeProcess]:
    """Start processes that end before any front is built."""
    with ExitStack() as processes:

        def start(*arguments: str, **environment: str) -> Process:
            process = Process(*arguments, **environment)
            processes.callback(process.close)
            return process

        yield start


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Start a platform that answers as it is told."""
    service = Service()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str], Client]]:
    """Makes clients of an address; their channels are closed after the test."""
    clients: list[Client] = []

    def client(address: str) -> Client:
        clients.append(Client(address))
        return clients[-1]

    yield client
    for each in clients:
        await each.channel.close()
