"""The scalers that the harness starts itself: each on a free port of the loopback, with one platform behind all."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pilotlight.config import ServeConfig
from pilotlight.errors import LoadError
from pilotlight.setting_values import choices, split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = Path(__file__).resolve().parents[3]
_PEERS = SOURCES / "benches" / "peers"
_CONSTANT = _PEERS / "grpcio_constant.py"
_PILOTLIGHT = "from pilotlight.cli import main; main()"
_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 10.0
_POLL_S = 0.02


class Target(NamedTuple):
    """A scaler to measure; the process id is None when somebody else started it."""

    name: str
    address: str
    pid: int | None = None


class Serving(NamedTuple):
    """What a server is started with."""

    address: str
    platform_address: str
    policy: str


def _pilotlight(front: str) -> Callable[[Serving], list[str]]:
    def command(serving: Serving) -> list[str]:
        words = [sys.executable, "-c", _PILOTLIGHT, "serve", "--front", front, "--address", serving.address]
        words += ["--platform-address", serving.platform_address, "--policy", serving.policy]
        return [*words, "--metrics-address", "", "--log-level", "error"]

    return command


def _go(serving: Serving) -> list[str]:
    return [str(build_go()), "-address", serving.address, "-platform", serving.platform_address]


def _constant(mode: str) -> Callable[[Serving], list[str]]:
    def command(serving: Serving) -> list[str]:
        if not _CONSTANT.exists():
            raise LoadError(f"constant-{mode} needs {_CONSTANT}, which a source checkout has")
        return [sys.executable, str(_CONSTANT), "--address", serving.address, "--mode", mode]

    return command


_FRONTS = ("native", "grpcio")
SERVERS: dict[str, Callable[[Serving], list[str]]] = {
    **{front: _pilotlight(front) for front in _FRONTS},
    "go": _go,
    "constant": _constant("queue"),
    "constant-aio": _constant("aio"),
    "constant-sync": _constant("sync"),
}
"""Name to command line."""


def missing(name: str) -> str | None:
    """Say why a server cannot be started here; None: it can."""
    if name in choices(ServeConfig.model_fields["front"]):
        return None
    try:
        SERVERS[name](Serving("", "", ""))
    except LoadError as error:
        return str(error)
    return f"this build has no front {name}" if name in _FRONTS else None


def build_go() -> Path:
    """Build the Go peer and return the program.

    Raises:
        LoadError: there is no Go, no source checkout, or it does not build.
    """
    go = shutil.which("go")
    folder = _PEERS / "go"
    if go is None or not folder.exists():
        missing = "a Go toolchain (https://go.dev/dl)" if go is None else f"{folder}, which a source checkout has"
        raise LoadError(f"the Go peer needs {missing}")
    program = SOURCES / "target" / "peers" / "go-peer"
    command = [go, "build", "-o", str(program), "."]
    built = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603
    if built.returncode != 0:
        raise LoadError(f"the Go peer does not build:\n{built.stderr.strip()}")
    return program


@contextmanager
def served(name: str, platform_address: str, policy: str) -> Iterator[Target]:
    """Run a server while the context lasts.

    Args:
        name: one of `SERVERS`, or the ``host:port`` of a scaler that runs already.
        platform_address: where it finds its platform.
        policy: what a Pilotlight front keeps; others have their own ways.

    Raises:
        LoadError: it does not start.
    """
    if name not in SERVERS:
        yield Target(name, name)
        return
    address = f"127.0.0.1:{_free_port()}"
    command = SERVERS[name](Serving(address, platform_address, policy))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:  # noqa: S603
        try:
            _await_listening(name, address, process)
            yield Target(name, address, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_listening(name: str, address: str, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while True:
        with socket.socket() as probe:
            # While nobody listens there, a probe may be given that very port for its own end, and meet itself.
            if probe.connect_ex(split_address(address)) == 0 and probe.getsockname() != probe.getpeername():
                return
        if process.poll() is not None:
            raise LoadError(f"{name} ended with status {process.returncode} before it listened on {address}")
        if time.monotonic() > limit:
            raise LoadError(f"{name} does not listen on {address} after {_START_LIMIT_S:.0f} s")
        time.sleep(_POLL_S)
