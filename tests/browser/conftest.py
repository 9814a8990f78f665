"""A headless Chromium, driven over its DevTools protocol: pages are loaded offline, at any size, in any theme."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ADDRESS = re.compile(r"DevTools listening on (ws://\S+)")
BOUND_S = 60
# `--no-sandbox`: containers run tests as root, and the page is our own.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Tab:
    """One page of the browser.

    `problems` are the console's errors and warnings, exceptions, and requests for anything but the page's own file.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.session = ""
        self.problems: list[str] = []
        self._last = 0

    async def call(self, method: str, **arguments: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._last += 1
        wanted = self._last
        session = {"sessionId": self.session} if self.session else {}
        await self.socket.send_json({"id": wanted, "method": method, "params": arguments, **session})
        while True:
            message = json.loads(await self.socket.receive_str(timeout=BOUND_S))
            if message.get("id") == wanted:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found
            self._note(message)

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """Return what an expression is on the page; a promise is awaited."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true, with a bound."""

        async def poll() -> None:
            while not await self.evaluate(expression):
                await asyncio.sleep(0.02)

        await asyncio.wait_for(poll(), BOUND_S)

    async def open(self, path: Path, *, width: int, height: int, theme: str, media: str = "screen") -> None:
        """Load a file as a screen of this size in this theme, cut off from the network."""
        self.problems.clear()
        mobile = width < 600
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        await self.call(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": theme}]
        )
        await self.call("Page.navigate", url=path.as_uri())
        await self.until("document.readyState === 'complete' && 'drawn' in document.documentElement.dataset")

    async def screenshot(self) -> bytes:
        """Draw the page, also what is below the fold, as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def _note(self, message: dict[str, Any]) -> None:
        method, given = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled" and given["type"] in {"error", "warning", "assert"}:
            self.problems.append(
                str([argument.get("value", argument.get("description")) for argument in given["args"]])
            )
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(given["exceptionDetails"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] in {"error", "warning"}:
            self.problems.append(given["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not given["request"]["url"].startswith(
            ("file:", "data:", "blob:")
        ):
            self.problems.append(f"asks for {given['request']['url']}")


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """Start Chromium with an empty profile and open a tab; it ends with the block."""
    assert PROGRAM is not None
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        address = await asyncio.wait_for(_address(process), BOUND_S)
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
            yield await _attached(Tab(socket))
    finally:
        process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        if found := ADDRESS.search(line.decode(errors="replace")):
            return found[1]
    raise AssertionError("Chromium ended before it listened")


async def _attached(tab: Tab) -> Tab:
    """Open a page; calls go to the browser itself until the tab has a session."""
    made = await tab.call("Target.createTarget", url="about:blank")
    attached = await tab.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
    tab.session = attached["sessionId"]
    return tab


@pytest_asyncio.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    if PROGRAM is None:
        pytest.skip("no Chromium here; Debian's package is called chromium")
    async with browser(tmp_path / "profile") as opened:
        yield opened
