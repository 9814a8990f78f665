"""`pilotlight replay` as a process: exit statuses, the JSON result, slices, signals."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from replay_scalers import started_for

from pilotlight.cli import main
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_S = 100.0
COMMAND = (sys.executable, "-c", "from pilotlight.cli import main; main()", "replay")


class StartsForEach(services.ScalerServicer):
    """Starts an instance for each request and never uses one again."""

    def __init__(self) -> None:
        self.platform = ""
        self.reply: bytes | None = None
        """What every Assign is answered with, if anything."""

    async def Assign(self, request: wire.AssignRequest, context: Any) -> wire.AssignReply:  # noqa: ANN401, N802
        if self.reply is not None:
            return wire.AssignReply.FromString(self.reply)
        if not self.platform:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no platform")
        return await started_for(request, self.platform)

    async def Idle(self, request: wire.IdleRequest, context: Any) -> wire.IdleReply:  # noqa: ANN401, N802
        del request, context
        return wire.IdleReply(status=wire.Ok)


@pytest.fixture
async def scaler() -> AsyncIterator[tuple[StartsForEach, str]]:
    servicer = StartsForEach()
    server = grpc.aio.server()
    services.add_ScalerServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(grace=None)


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Ten requests, one a second."""
    folder = tmp_path / "ten"
    folder.mkdir()
    meta = {"key": "f", "runtime": "go", "timeoutInSecs": 9, "memoryInMb": 1024, "initDurationInMs": 10}
    (folder / "metas").write_text(json.dumps(meta) + "\n", encoding="utf-8")
    lines = [
        {"metaKey": "f", "startTime": 1_685_980_824_304 + 1000 * row, "durationsInMs": 100, "statusCode": 200}
        for row in range(10)
    ]
    (folder / "requests").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run(*arguments: object) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


def loopback(scaler_address: str, platform_port: int = 0) -> list[object]:
    return [
        *("--scaler", scaler_address),
        *("--platform-address", f"127.0.0.1:{platform_port}"),
        *("--web-address", "127.0.0.1:0"),
        *("--speed", 50),
        *("--tail", "1s"),
    ]


async def test_good_run_exits_0_with_a_table_and_json(
    scaler: tuple[StartsForEach, str], data_set: Path, tmp_path: Path
) -> None:
    servicer, address = scaler
    platform_port = free_port()
    servicer.platform = f"127.0.0.1:{platform_port}"
    result = tmp_path / "result.json"
    status, out, err = await run(data_set, *loopback(address, platform_port), "--json", result)
    assert (status, err) == (0, "")
    assert "Score" in out
    report = json.loads(result.read_text(encoding="utf-8"))
    found = report["data_sets"][0]
    assert (report["success"], report["speed"], report["score"]) == (True, 50.0, found["statistics"]["score"])
    assert (found["statistics"]["id"], found["statistics"]["totalRequestsCount"]) == ("ten", 10)
    assert found["statistics"]["invocationExecutionTimeInSecs"] == 1
    assert found["slots"]["created"] == 10


async def test_slice_plays_the_requests_of_its_window_only(scaler: tuple[StartsForEach, str], data_set: Path) -> None:
    servicer, address = scaler
    platform_port = free_port()
    servicer.platform = f"127.0.0.1:{platform_port}"
    arguments = [data_set, *loopback(address, platform_port), "--start", "2s", "--length", "3s", "--json", "-"]
    status, out, err = await run(*arguments)
    assert status == 0
    assert json.loads(out)["data_sets"][0]["statistics"]["totalRequestsCount"] == 3
    assert "Score" in err


async def test_failed_requests_exit_1(scaler: tuple[StartsForEach, str], data_set: Path) -> None:
    status, out, err = await run(data_set, *loopback(scaler[1]))
    assert (status, err) == (1, "")
    assert "assign_rpc_error" in out


async def test_scaler_that_served_nobody_exits_1_and_is_told_why(
    scaler: tuple[StartsForEach, str], data_set: Path
) -> None:
    servicer, address = scaler
    servicer.reply = b"\x08\x63"  # status 99
    status, out, err = await run(data_set, *loopback(address))
    assert (status, err) == (1, "")
    assert "\nten: score 0: only 0.0000% of its requests succeeded, and more than 99.95% must;" in out
    assert "10 failed with assign_refused, the first: unknown status 99: no error_message\n" in out


async def test_silent_scaler_exits_2_and_is_named(data_set: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    status, out, err = await run(data_set, *loopback(address), "--connect-timeout", "300ms")
    assert (status, out) == (2, "")
    assert f"--scaler {address}: no gRPC server answered within 0.3 s" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["--wait-for-start", "0"], "nothing to play"),
        (["--tail", "5"], "--tail"),
        (["--scaler", "here"], "--scaler"),
        (["--speed", "0"], "--speed"),
        (["--speed", "nan"], "--speed"),
        (["--speed", "inf"], "--speed"),
        (["--create-ms", "inf"], "--create-ms"),
        (["--create-ms", "1e30"], "--create-ms"),
        (["--data-root", "no/such/folder"], "--data-root"),
        (["--json", "no/such/folder/x.json"], "no/such/folder"),
    ],
)
def test_bad_input_exits_2_and_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", *arguments])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert said in err


async def test_scaler_may_open_as_many_connections_as_the_system_allows(scaler: tuple[StartsForEach, str]) -> None:
    web_port = free_port()
    arguments = ["--scaler", scaler[1], "--platform-address", "127.0.0.1:0", "--web-address", f"127.0.0.1:{web_port}"]
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'ulimit -Sn 100; exec "$@"', "sh", *COMMAND, *arguments), stderr=asyncio.subprocess.PIPE
    )
    try:
        await asyncio.wait_for(accepts(web_port), PATIENCE_S)
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard > 100
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_a_replay_that_waits(scaler: tuple[StartsForEach, str], number: signal.Signals) -> None:
    web_port = free_port()
    arguments = ["--scaler", scaler[1], "--platform-address", "127.0.0.1:0", "--web-address", f"127.0.0.1:{web_port}"]
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stderr=asyncio.subprocess.PIPE)
    try:
        await asyncio.wait_for(accepts(web_port), PATIENCE_S)
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, err) == (128 + number, b"")


async def accepts(port: int) -> None:
    """Return once the port accepts connections."""
    while not await connects(port):
        await asyncio.sleep(0.02)


async def connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
