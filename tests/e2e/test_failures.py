"""A platform dies, hangs; a scaler restarts, drains: nobody is left waiting, nothing grows, no slot is lost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

PATIENCE_S = 60.0
PLATFORM = Path(__file__).with_name("platform_process.py")


class Platform:
    """The platform's process."""

    def __init__(self, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PLATFORM), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self._line()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


class Scaler:
    """`pilotlight serve` in a process."""

    def __init__(self, platform: str, *arguments: str) -> None:
        self.log: list[dict[str, Any]] = []
        command = ["serve", "--log-format=json", "--address=127.0.0.1:0", "--metrics-address=127.0.0.1:0"]
        command += [f"--platform-address={platform}", "--policy=fixed:keep_alive=60s"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from pilotlight.cli import main; main()", *command, *arguments],
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.listening = self.line("listening")
        self.channel = grpc.aio.insecure_channel(
            self.listening["address"], options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.stub: Any = pb_grpc.ScalerStub(self.channel)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(json.loads(line) if line.startswith("{") else {"event": line.rstrip("\n")})

    def line(self, event: str, **fields: str) -> dict[str, Any]:
        """Wait for a log line."""
        found: list[dict[str, Any]] = []

        def logged() -> bool:
            found[:] = [line for line in self.log if line["event"] == event and fields.items() <= line.items()]
            return bool(found)

        wait_for(logged, lambda: f"no {event!r} {fields} in {self.log}")
        return found[0]

    def metric(self, sample: str) -> float:
        with urllib.request.urlopen(f"http://{self.listening['metrics']}/metrics", timeout=PATIENCE_S) as response:
            text = response.read().decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        assert found, f"no {sample} in {text}"
        return float(found[1])

    def idle_at_rest(self) -> None:
        """Wait until nobody waits and no platform call is under way."""
        wait_for(lambda: self.metric("pilotlight_waiting_requests") == 0)
        for call in ("create", "init", "destroy"):
            sample = f'pilotlight_platform_calls_in_flight{{call="{call}"}}'
            wait_for(lambda sample=sample: self.metric(sample) == 0)

    async def assign(self, key: str) -> pb.Assignment:
        meta = pb.Meta(key=key, runtime="python", timeout_in_secs=60, memory_in_mb=128)
        request = pb.AssignRequest(request_id=f"r-{key}-{time.monotonic_ns()}", meta_data=meta)
        return (await self.stub.Assign(request, timeout=PATIENCE_S)).assigment

    async def idle(self, assignment: pb.Assignment) -> pb.IdleReply:
        request = pb.IdleRequest(assigment=assignment, result=pb.Result(status_code=200))
        return await self.stub.Idle(request, timeout=PATIENCE_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


def wait_for(condition: Callable[[], bool], complaint: Callable[[], str] = lambda: "it did not come true") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.02)


@contextmanager
def closing(*things: Platform | Scaler) -> Iterator[None]:
    try:
        yield
    finally:
        for thing in things:
            thing.kill() if isinstance(thing, Platform) else thing.close()


@pytest.fixture
def platform() -> Iterator[Platform]:
    platform = Platform()
    with closing(platform):
        yield platform


@pytest.fixture
async def scaler(platform: Platform) -> AsyncIterator[Scaler]:
    scaler = Scaler(
        platform.address,
        "--platform-create-timeout=3s",
        "--platform-init-timeout=10s",
        "--platform-destroy-timeout=2s",
        "--start-attempts=2",
        "--drain-timeout=3s",
    )
    with closing(scaler):
        yield scaler
        await scaler.channel.close()


async def first_success(call: Callable[[], Awaitable[pb.Assignment]]) -> pb.Assignment:
    """Call again while the scaler has not found the new platform yet."""
    deadline = time.monotonic() + PATIENCE_S
    answer: pb.Assignment | None = None
    while answer is None:
        with suppress(grpc.aio.AioRpcError):
            answer = await call()
        assert time.monotonic() < deadline
    return answer


async def load(scaler: Scaler, stop: asyncio.Event, *errors: grpc.StatusCode) -> int:
    """Keep 20 clients busy until told to stop; return how many requests were served. The others end with `errors`."""
    served = 0

    async def request(key: str) -> grpc.StatusCode | None:
        try:
            await scaler.idle(await scaler.assign(key))
        except grpc.aio.AioRpcError as error:
            return error.code()
        return None

    async def client(number: int) -> None:
        nonlocal served
        while not stop.is_set():
            failed = await request(f"f{number % 4}")
            assert failed is None or failed in errors
            served += failed is None

    await asyncio.gather(*(client(number) for number in range(20)))
    return served


async def test_a_killed_platform_ends_requests_with_errors_and_a_new_one_serves_again(
    platform: Platform, scaler: Scaler
) -> None:
    stop = asyncio.Event()
    clients = asyncio.ensure_future(load(scaler, stop, grpc.StatusCode.UNAVAILABLE))
    await asyncio.to_thread(wait_for, lambda: scaler.metric('pilotlight_slots{state="busy"}') > 0)
    platform.process.kill()
    # Warm instances go on serving; functions that nobody knows yet need the platform.
    errors = [asyncio.ensure_future(scaler.assign(f"new-{n}")) for n in range(50)]
    for error in await asyncio.gather(*errors, return_exceptions=True):
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "CreateSlot" in (error.details() or "")
    stop.set()
    assert await clients > 0
    assert (await asyncio.to_thread(scaler.line, "a platform call failed", call="create"))["error"]
    await asyncio.to_thread(scaler.idle_at_rest)
    assert len(scaler.log) < 100, "failures are logged at a bounded rate"
    successor = Platform(int(platform.address.rpartition(":")[2]))
    with closing(successor):
        assignment = await first_success(lambda: scaler.assign("after"))
        assert (await scaler.idle(assignment)).status == pb.Ok
        status = await asyncio.to_thread(scaler.stop)
        assert successor.ask("live") == "0"
        # Calls that the dead one had begun may have made slots: nobody can tell any more.
        written_off = scaler.line("drained").get("written_off", 0)
        assert (status, scaler.line("drained")["slots_left"]) == (1 if written_off else 0, written_off)


async def test_a_hanging_platform_ends_requests_with_errors_and_loses_no_slot(
    platform: Platform, scaler: Scaler
) -> None:
    await scaler.idle(await scaler.assign("warm"))
    assert platform.ask("hang") == "hanging"
    requests = [asyncio.ensure_future(scaler.assign(f"cold-{n}")) for n in range(50)]
    for error in await asyncio.gather(*requests, return_exceptions=True):
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "no answer within 3s" in (error.details() or "")
    assert (await asyncio.to_thread(scaler.line, "a platform call failed", call="create"))["error"]
    assert int(platform.ask("live")) > 50, "the platform made slots that it did not report"
    assert (await scaler.assign("warm")).instance_id
    assert platform.ask("resume") == "answering"
    await asyncio.to_thread(wait_for, lambda: platform.ask("live") == "1")
    await asyncio.to_thread(scaler.idle_at_rest)
    assert scaler.metric("pilotlight_live_slots") == 1
    assert await asyncio.to_thread(scaler.stop) == 0
    assert platform.ask("live") == "0"


async def test_a_drain_beside_a_hanging_platform_ends_in_bounded_time(platform: Platform, scaler: Scaler) -> None:
    await scaler.idle(await scaler.assign("warm"))
    assert platform.ask("hang") == "hanging"
    started = time.monotonic()
    assert await asyncio.to_thread(scaler.stop) == 1
    assert time.monotonic() - started < 30
    assert scaler.line("drained")["slots_left"] == int(platform.ask("live")) == 1
    assert scaler.line("drained")["slots"] == ["sim-1"]


async def test_instances_of_an_earlier_scaler_are_unknown_to_the_next(platform: Platform, scaler: Scaler) -> None:
    old = [await scaler.assign(f"f{n}") for n in range(5)]
    assert await asyncio.to_thread(scaler.stop, signal.SIGKILL) == -signal.SIGKILL
    successor = Scaler(platform.address)
    with closing(successor):
        unseen = await successor.idle(old[0])
        assert unseen.status == pb.InternalError
        new = [await successor.assign(f"f{n}") for n in range(5)]
        for assignment in old:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await successor.idle(assignment)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert successor.metric('pilotlight_slots{state="busy"}') == 5
        assert not {assignment.instance_id for assignment in old} & {assignment.instance_id for assignment in new}
        for assignment in new:
            assert (await successor.idle(assignment)).status == pb.Ok
        await successor.channel.close()
        assert await asyncio.to_thread(successor.stop) == 0
    assert platform.ask("live") == "5", "only the killed scaler's slots are left"


async def test_a_drained_scaler_leaves_no_slot_and_its_clients_errors(platform: Platform, scaler: Scaler) -> None:
    stop = asyncio.Event()
    # gRPC itself cancels what it has read but not begun to serve when the listener closes.
    errors = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    clients = asyncio.ensure_future(load(scaler, stop, *errors))
    await asyncio.to_thread(wait_for, lambda: scaler.metric('pilotlight_assigns_total{outcome="warm_start"}') > 50)
    assert int(platform.ask("live")) > 0
    assert await asyncio.to_thread(scaler.stop) == 0
    stop.set()
    await clients
    assert platform.ask("live") == "0"
    assert scaler.line("drained")["slots_left"] == 0
