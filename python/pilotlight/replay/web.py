"""The web side of a replay: `GET /` answers the statistics, `POST /start` names a data set to play.

The port is open exactly as long as the replay has work; the contest's container polls it for that.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from pilotlight.config import split_address
from pilotlight.errors import ConfigError, TraceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pilotlight.replay.statistics import Statistics

START_FIELDS = ("id", "requestFilePath", "metaFilePath")


class Player(Protocol):
    """What the web side needs of a session."""

    current: Statistics | None

    async def offer(self, run_id: str, requests: Path, metas: Path) -> bool:
        """Take one more data set; False: no more are awaited."""


@asynccontextmanager
async def serve_web(player: Player, address: str) -> AsyncIterator[int]:
    """Serve until the context ends; yields the port.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    routes = _Routes(player)
    app = web.Application()
    app.add_routes([web.get("/", routes.statistics), web.post("/start", routes.start)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        host, port = split_address(address)
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"--web-address {address}: cannot listen there ({reason}); is it taken?") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


class _Routes:
    def __init__(self, player: Player) -> None:
        self._player = player

    async def statistics(self, request: web.Request) -> web.Response:
        """Answer the statistics of the data set being played, or of the last one; an empty object before the first."""
        del request
        current = self._player.current
        return web.json_response({} if current is None else current.contest_json())

    async def start(self, request: web.Request) -> web.Response:
        """Read the data set named in the body and queue it behind those being played."""
        try:
            body = await request.json()
        except ValueError:
            body = None
        fields = [body.get(field) for field in START_FIELDS] if isinstance(body, dict) else []
        match fields:
            case [str(run_id), str(requests), str(metas)]:
                pass
            case _:
                wanted = ", ".join(f'"{field}": TEXT' for field in START_FIELDS)
                return _refused(400, f"the body must be a JSON object {{{wanted}}}")
        try:
            taken = await self._player.offer(run_id, Path(requests), Path(metas))
        except TraceError as error:
            return _refused(400, str(error))
        if not taken:
            return _refused(409, "no more data sets are awaited; see --wait-for-start")
        return web.json_response({"id": run_id})


def _refused(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
