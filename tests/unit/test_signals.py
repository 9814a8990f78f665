"""Which signals begin a drain, and which end one."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from pilotlight.server.signals import Signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
async def test_a_signal_that_would_end_the_process_begins_a_drain(name: str) -> None:
    signals = Signals()
    os.kill(os.getpid(), signal.Signals[name])
    assert await asyncio.wait_for(signals.drain(), 30) == name


async def test_a_drain_is_cut_short_by_those_alone_that_ask_for_the_end() -> None:
    signals = Signals()
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT"):
        os.kill(os.getpid(), signal.Signals[name])
    assert await asyncio.wait_for(signals.cut_short(), 30) == "SIGINT"
