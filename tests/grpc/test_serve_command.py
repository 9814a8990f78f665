"""The command: where its settings come from, and how it refuses to start."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from pilotlight.config import load
from pilotlight.server import grpcio_versions
from pilotlight.server.command import grpc_variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Client, ServeProcess


async def test_flags_win_over_environment_over_file(
    serve_process: ServeProcess, connect: Callable[[str], Client], tmp_path: Path
) -> None:
    settings = tmp_path / "pilotlight.toml"
    settings.write_text(
        'policy = "fixed:keep_alive=1s"\nplatform = "grpc"\naddress = "127.0.0.1:1"\nmetrics_address = ""\n'
    )
    process = serve_process(
        f"--config={settings}",
        "--address=127.0.0.1:0",
        PILOTLIGHT_PLATFORM="sim",
        PILOTLIGHT_ADDRESS="127.0.0.1:2",
        PILOTLIGHT_SIM_CREATE_TIME="1ms",
    )
    listening = await asyncio.to_thread(process.event, "listening")
    assert (listening["policy"], listening["platform"], listening["metrics"]) == ("fixed:keep_alive=1s", "sim", "off")
    client = connect(listening["address"])
    await client.idle(await client.assign("f"))
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--drain-timeout=5"], ["--drain-timeout", "'5'", "5s"]),
        (["--platform-retries=many"], ["--platform-retries", "'many'"]),
        (["--config=missing.toml"], ["missing.toml"]),
        (["--policy=nonsense", "--address=127.0.0.1:0"], ["nonsense"]),
        (["--address=9001"], ["--address", "host:port"]),
    ],
)
def test_a_bad_setting_ends_the_command_with_2_and_says_which(
    refused_process: ServeProcess, arguments: list[str], words: list[str]
) -> None:
    process = refused_process(*arguments)
    assert process.wait() == 2
    said = " ".join(line["event"] for line in process.log)
    assert all(word in said for word in words), said


async def test_a_misspelt_variable_is_named_and_its_value_is_not(serve_process: ServeProcess) -> None:
    process = serve_process(
        "--platform=sim",
        "--address=127.0.0.1:0",
        "--metrics-address=",
        PILOTLIGHT_DRAIN_TIMEUOT="secret",
        PILOTLIGHT_SERVICE_HOST="10.0.0.1",
    )
    await asyncio.to_thread(process.event, "listening")
    (warning,) = [line for line in process.log if line["level"] == "warning"]
    assert warning["variable"] == "PILOTLIGHT_DRAIN_TIMEUOT"
    assert "PILOTLIGHT_DRAIN_TIMEOUT" in warning["remedy"]
    assert "secret" not in str(process.log)


@pytest.mark.parametrize("setting", ["--address", "--metrics-address"])
def test_a_taken_port_ends_the_command_with_2(serve_process: ServeProcess, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        addresses = {"--address": "127.0.0.1:0", "--metrics-address": "127.0.0.1:0", setting: address}
        process = serve_process("--platform=sim", *(f"{flag}={value}" for flag, value in addresses.items()))
        assert process.wait() == 2
    said = " ".join(line["event"] for line in process.log)
    assert address in said
    assert "cannot listen" in said


def test_a_second_scaler_cannot_share_the_port(serve_process: ServeProcess) -> None:
    first = serve_process("--platform=sim", "--address=127.0.0.1:0", "--metrics-address=")
    second = serve_process("--platform=sim", f"--address={first.event('listening')['address']}", "--metrics-address=")
    assert second.wait() == 2


@pytest.mark.parametrize(
    ("settings", "polls"),
    [
        ({}, True),
        ({"grpcio_mode": "completion_queue"}, True),
        ({"grpcio_mode": "aio"}, False),
        ({"grpcio_interceptors": "audit:interceptors"}, False),
        ({"front": "native"}, False),
    ],
)
def test_only_the_completion_queue_polls_each_connection(settings: dict[str, str], polls: bool) -> None:
    assert ("GRPC_POLL_STRATEGY" in grpc_variables(load(settings))) is polls


def test_a_version_that_was_not_tested_keeps_its_way_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpcio_versions, "TESTED", ("0.1",))
    assert "GRPC_POLL_STRATEGY" not in grpc_variables(load({}))
    assert "GRPC_POLL_STRATEGY" in grpc_variables(load({"grpcio_mode": "completion_queue"}))
