"""Every command on our pages is one that works, typed into a shell as it stands, or is listed with the reason."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from documented_commands import NOT_RUN, PAGES, SMALLER, Block, blocks_of, named_in_passing
from documented_inputs import put_inputs

from pilotlight import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 300.0
AT_ONCE = 2
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
BASH = shutil.which("bash") or "bash"
SCALER = "127.0.0.1:9001"

pytestmark = pytest.mark.timeout(600)  # the first test may wait for blocks that were begun before its own


def environment() -> dict[str, str]:
    """Return what a reader's shell has, with ports that nobody else uses."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PILOTLIGHT_ADDRESS": "127.0.0.1:0",
        "PILOTLIGHT_METRICS_ADDRESS": "",
    }


def shell(command: str, folder: Path) -> None:
    """Run a command to its end."""
    done = subprocess.run(
        [BASH, "-c", command],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}\nended with status {done.returncode}:\n{done.stdout[-2000:]}"


@contextmanager
def served(command: str, folder: Path, ends: tuple[int, ...] = (0,)) -> Iterator[str]:
    """Start a server, yield where it listens, and end it as an operator would, with one of these statuses."""
    process = subprocess.Popen(
        [BASH, "-c", f"exec {command}"],
        cwd=folder,
        env=environment() | {"PILOTLIGHT_LOG_FORMAT": "text", "NO_COLOR": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    try:
        yield listening_address(process, command)
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=PATIENCE_S)
        assert process.returncode in ends, (
            f"{command}\nended with status {process.returncode}:\n{rest.decode()[-2000:]}"
        )
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def listening_address(process: subprocess.Popen[bytes], command: str) -> str:
    """Wait until a server's log names its address."""
    assert process.stderr is not None
    log, deadline = b"", time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not select.select([process.stderr], [], [], 1.0)[0]:
            continue
        read = os.read(process.stderr.fileno(), 65536)
        log += read
        found = re.search(rb"listening .*?address=(\S+)", log)
        if found:
            return found[1].decode()
        assert read, f"{command}\nended before it listened:\n{log.decode()[-2000:]}"
    raise AssertionError(f"{command}\ndoes not listen:\n{log.decode()[-2000:]}")


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def run(command: str, folder: Path) -> None:
    """Run one command of a page."""
    if command in NOT_RUN:
        return
    words = shlex.split(command.removesuffix("&"))
    assert words[0] == "pilotlight", f"{command}\nis neither run nor listed in NOT_RUN of tests/documented_commands.py"
    put_inputs(command, folder)
    if words[1] == "serve":
        with served(command.removesuffix("&"), folder):
            return
    smaller = next((more for begin, more in SMALLER.items() if command.startswith(begin)), "")
    if words[1] != "replay" and SCALER not in command:
        shell(f"{command} {smaller}", folder)
        return
    platform = free_address()
    # Its platform is the command's and ends with it, so slots may be left that nobody can destroy: status 1.
    scaler_command = f"pilotlight serve --platform-address {platform} --drain-timeout 1s"
    with served(scaler_command, folder, ends=(0, 1)) as scaler:
        smaller += f" --platform-address {platform}"
        if words[1] == "replay":
            smaller += f" --scaler {scaler} --web-address 127.0.0.1:0"
        shell(f"{command.replace(SCALER, scaler)} {smaller}", folder)


def run_all(block: Block, folder: Path) -> None:
    for command in block.commands:
        run(command, folder)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Block, Future[None]]]:
    """Run the blocks that were chosen, some at once, ahead of the tests that look at them."""
    tests = (getattr(item, "callspec", None) for item in request.session.items)
    chosen = [test.params["block"] for test in tests if test is not None and "block" in test.params]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {block: pool.submit(run_all, block, tmp_path_factory.mktemp("docs")) for block in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_commands_on_the_page_work_as_they_stand(block: Block, outcomes: dict[Block, Future[None]]) -> None:
    outcomes[block].result()


def test_pages_show_commands_and_no_reason_is_left_over() -> None:
    shown = {command for block in BLOCKS for command in block.commands}
    assert len(shown) > 40
    assert set(NOT_RUN) <= shown
    assert all(any(command.startswith(begin) for command in shown) for begin in SMALLER)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_named_in_passing_are_there(page: Path) -> None:
    for text in named_in_passing(page):
        command: click.Command = cli.cli
        words = text.split()[1:]
        while words and isinstance(command, click.Group):
            name = words.pop(0)
            context = click.Context(command)
            assert name in command.list_commands(context), f"{page.name}: `{text}`: there is no {name}"
            found = command.get_command(context, name)
            assert found is not None
            command = found
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for word in words:
            option = word.partition("=")[0]
            assert not word.startswith("--") or option in options, f"{page.name}: `{text}`: there is no {option}"
