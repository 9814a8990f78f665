"""run.sh: the scaler lives exactly as long as the simulator's statistics. Small listeners stand in for both."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN_SH = Path(__file__).resolve().parents[2] / "run.sh"
PATIENCE_S = 60.0

# Stands in for `pilotlight serve`: notes its arguments, listens where it is told, ends with status 7 on SIGTERM.
SCALER = """\
import os, pathlib, signal, socket, sys, time
notes = pathlib.Path(os.environ["NOTES"])
def stop(number, frame):
    (notes / "stopped").touch()
    if os.environ.get("STUBBORN") != "1":
        os._exit(7)
signal.signal(signal.SIGTERM, stop)
(notes / "arguments").write_text("\\n".join(sys.argv[1:]))
(notes / "policy").write_text(os.environ.get("PILOTLIGHT_POLICY", "not set"))
(notes / "pid").write_text(str(os.getpid()))
if os.environ.get("ENDS_WITH"):
    os._exit(int(os.environ["ENDS_WITH"]))
if os.environ.get("DEAF") != "1":
    host, _, port = os.environ["PILOTLIGHT_ADDRESS"].rpartition(":")
    listener = socket.create_server((host, int(port)))
    (notes / "listening").touch()
while True:
    time.sleep(60)
"""


class Container:
    """run.sh with a stand-in for `pilotlight` first on its path."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.notes = folder
        self.statistics_port = free_port()
        command = folder / "pilotlight"
        command.write_text(f"#!{sys.executable}\n{SCALER}", encoding="utf-8")
        command.chmod(0o755)
        self.process = subprocess.Popen(
            [RUN_SH, *arguments],
            env={
                "PATH": f"{folder}:{os.environ['PATH']}",
                "NOTES": str(folder),
                "SCALER_PORT": str(free_port()),
                "STATISTICS_PORT": str(self.statistics_port),
                **environment,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_note(self, name: str) -> None:
        until(lambda: (self.notes / name).exists() or self.process.poll() is not None)
        assert (self.notes / name).exists(), f"run.sh ended with {self.process.returncode}"

    def end(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err

    @property
    def scaler_runs(self) -> bool:
        try:
            os.kill(int((self.notes / "pid").read_text(encoding="utf-8")), 0)
        except ProcessLookupError:
            return False
        return True

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        if (self.notes / "pid").exists() and self.scaler_runs:
            os.kill(int((self.notes / "pid").read_text(encoding="utf-8")), signal.SIGKILL)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Callable[..., Container]]:
    started: list[Container] = []

    def start(*arguments: str, **environment: str) -> Container:
        started.append(Container(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        each.clean_up()


@contextmanager
def statistics_on(port: int) -> Iterator[Callable[[], int]]:
    """Accept connections on the port; yields a function that counts them."""
    count = 0

    def accept() -> None:
        nonlocal count
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            count += 1
            connection.close()

    listener = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield lambda: count
    finally:
        # Closing alone would leave the thread inside accept.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def test_scaler_stops_when_the_statistics_close(container: Callable[..., Container]) -> None:
    run = container("--policy", "fixed:keep_alive=5s", "two words")
    run.await_note("listening")
    with statistics_on(run.statistics_port) as polls:
        until(lambda: polls() >= 3)
        assert run.scaler_runs
        assert not (run.notes / "stopped").exists()
    # The scaler's own exit status is the container's.
    status, err = run.end()
    assert (status, err) == (7, "run.sh: the simulator has finished\n")
    assert (run.notes / "stopped").exists()
    assert not run.scaler_runs
    arguments = (run.notes / "arguments").read_text(encoding="utf-8").split("\n")
    assert arguments == ["serve", "--policy", "fixed:keep_alive=5s", "two words"]


@pytest.mark.parametrize(
    ("arguments", "environment", "policy"),
    [
        ([], {}, "level_gap:lambda=contest"),
        ([], {"PILOTLIGHT_POLICY": "fixed"}, "fixed"),
        (["--config", "settings.toml"], {}, "not set"),
        (["--log-format=json", "--config=settings.toml"], {}, "not set"),
    ],
    ids=["nothing", "environment", "file", "file in one word"],
)
def test_contest_price_is_taken_unless_something_else_sets_the_policy(
    container: Callable[..., Container], arguments: list[str], environment: dict[str, str], policy: str
) -> None:
    run = container(*arguments, **environment)
    run.await_note("listening")
    run.process.send_signal(signal.SIGTERM)
    run.end()
    assert (run.notes / "policy").read_text(encoding="utf-8") == policy


def test_scaler_waits_for_a_simulator_that_is_not_there_yet(container: Callable[..., Container]) -> None:
    run = container(START_LIMIT="1")
    assert run.end()[0] == 1
    assert (run.notes / "stopped").exists()


def test_scaler_that_never_listens_is_stopped(container: Callable[..., Container]) -> None:
    run = container(START_LIMIT="1", DEAF="1")
    status, err = run.end()
    assert status == 1
    assert "the scaler does not accept connections" in err
    assert not run.scaler_runs


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_signal_stops_the_scaler(container: Callable[..., Container], number: signal.Signals) -> None:
    run = container()
    run.await_note("listening")
    run.process.send_signal(number)
    assert run.end()[0] == 7
    assert (run.notes / "stopped").exists()
    assert not run.scaler_runs


@pytest.mark.parametrize(("ended_with", "status"), [("5", 5), ("0", 1)])
def test_scaler_that_ends_by_itself_is_a_failure(
    container: Callable[..., Container], ended_with: str, status: int
) -> None:
    run = container(ENDS_WITH=ended_with)
    found, err = run.end()
    assert found == status
    assert f"the scaler ended by itself with status {ended_with}" in err


def test_scaler_that_does_not_stop_is_killed(container: Callable[..., Container]) -> None:
    run = container(STUBBORN="1", STOP_LIMIT="1")
    run.await_note("listening")
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[0] == 128 + signal.SIGKILL
    assert not run.scaler_runs
