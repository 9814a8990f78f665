"""The signals that end `pilotlight serve`, all but those that no process survives to handle."""

from __future__ import annotations

import asyncio
import signal

_DRAIN = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
"""Each of them would end the process where it stands, and leave its slots behind."""

_CUT_SHORT = {"SIGTERM", "SIGINT", "SIGQUIT"}
"""Those that end a drain. The others are sent beside these: a terminal that closes sends several SIGHUPs."""


class Signals:
    """Hears the signals on the running event loop from now on."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for name in _DRAIN:
            number = getattr(signal, name, None)  # Windows has few of them
            # `nohup` has it ignored, and means it.
            if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                loop.add_signal_handler(number, self._heard.put_nowait, name)

    async def drain(self) -> str:
        """Wait for one that begins a drain, and name it."""
        return await self._heard.get()

    async def cut_short(self) -> str:
        """Wait for one that ends a drain that has begun, and name it."""
        while (name := await self._heard.get()) not in _CUT_SHORT:
            pass
        return name
