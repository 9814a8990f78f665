"""A standard output that takes nothing ends a command clearly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIN = [sys.executable, "-c", "from pilotlight.cli import main; main()"]
COMMANDS = [["--help"], ["serve", "--help"], ["policies"], ["policies", "--json"], ["trace", "kinds"]]
NAMES = [" ".join(command) for command in COMMANDS]


def run(command: list[str], stdout: int, **environment: str) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [*MAIN, *command],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )
    return ended.returncode, ended.stderr.splitlines()


@pytest.fixture
def full() -> Iterator[int]:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_a_full_one_is_one_line(command: list[str], full: int) -> None:
    assert run(command, full) == (1, ["pilotlight: cannot write to standard output: No space left on device"])


def test_a_full_one_is_one_line_without_buffers(full: int) -> None:
    assert run(["policies"], full, PYTHONUNBUFFERED="1")[1] == [
        "pilotlight: cannot write to standard output: No space left on device"
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_one_whose_reader_has_gone_is_left_quietly(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(command, writer)
    os.close(writer)
    assert ended == (141, [])


def test_a_closed_one_is_one_line() -> None:
    closed = ["sh", "-c", 'exec "$0" "$@" >&-', *MAIN, "policies"]
    ended = subprocess.run(closed, check=False, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "pilotlight: cannot write to standard output: Bad file descriptor\n"


def test_a_command_that_writes_nothing_does_not_mind(full: int) -> None:
    status, said = run(["simulate", "no/such/folder"], full)
    assert status == 2
    assert said[0].startswith("pilotlight: no/such/folder")
