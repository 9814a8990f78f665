"""The web side of a replay: `GET /` answers the statistics, `POST /start` names a data set to play.

The port is open exactly as long as the replay has work; the contest's container polls it for that.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import click
from aiohttp import web

from pilotlight.errors import ConfigError, TraceError
from pilotlight.replay.guard import Names, Refused, confined
from pilotlight.setting_values import split_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from aiohttp.typedefs import Handler, Middleware

    from pilotlight.replay.statistics import Statistics

START_FIELDS = ("id", "requestFilePath", "metaFilePath")

LONGEST_BODY = 64 << 10
LONGEST_ID = 200

_JSON = "application/json"


class Player(Protocol):
    """What the web side needs of a session."""

    current: Statistics | None

    async def offer(self, run_id: str, requests: Path, metas: Path) -> bool:
        """Take one more data set; False: no more are awaited."""


@asynccontextmanager
async def serve_web(player: Player, address: str, *, data_root: Path, names: Sequence[str] = ()) -> AsyncIterator[int]:
    """Serve until the context ends; yields the port.

    Args:
        player: what plays the data sets.
        address: where to listen.
        data_root: the folder whose files may be named.
        names: hosts by which clients may reach it, beside the address itself.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    routes = _Routes(player, data_root)
    host, port = split_address(address)
    app = web.Application(middlewares=[_only_for(Names([host, *names]))], client_max_size=LONGEST_BODY)
    app.add_routes([web.get("/", routes.statistics), web.post("/start", routes.start)])
    # A compressed body stays as it is, which is no JSON: unpacked it could be of any size.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"--web-address {address}: cannot listen there ({reason}); is it taken?") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _only_for(names: Names) -> Middleware:
    """Answer requests that were sent to one of the names only; and say what is refused, here or later."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_sender(request, names)
            return await handler(request)
        except Refused as refused:
            return web.json_response({"error": str(refused)}, status=refused.status)

    return check


def _check_sender(request: web.Request, names: Names) -> None:
    """Pass a request that was sent to one of the names, by no page or by one of them.

    Raises:
        Refused: it was not.
    """
    served = "" if request.transport is None else request.transport.get_extra_info("sockname")[0]
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not names.include(hosts[0], served):
        raise Refused(421, "the Host header names none of the addresses served here; see --web-name")
    origin = request.headers.get("Origin")
    if origin is not None and not names.include(origin.partition("://")[2], served):
        raise Refused(403, "the Origin header names none of the addresses served here; see --web-name")


class _Routes:
    def __init__(self, player: Player, data_root: Path) -> None:
        self._player = player
        self._data_root = data_root

    async def statistics(self, request: web.Request) -> web.Response:
        """Answer the statistics of the data set being played, or of the last one; an empty object before the first."""
        del request
        current = self._player.current
        return web.json_response({} if current is None else current.contest_json())

    async def start(self, request: web.Request) -> web.Response:
        """Read the data set named in the body and queue it behind those being played."""
        run_id, *paths = _fields(await _body(request))
        requests, metas = (confined(path, self._data_root) for path in paths)
        try:
            taken = await self._player.offer(run_id, requests, metas)
        except (TraceError, OSError) as error:
            # It may quote the file, which is for whoever started this program, not for its clients.
            click.echo(f"pilotlight: POST /start: {error}", err=True)
            raise Refused(400, "the files are no data set; what replay writes to stderr says why") from None
        if not taken:
            raise Refused(409, "no more data sets are awaited; see --wait-for-start")
        return web.json_response({"id": run_id})


async def _body(request: web.Request) -> bytes:
    """Return the body of a request that says it is JSON.

    Raises:
        Refused: it says something else, is too long, or ends in the middle.
    """
    if request.content_type != _JSON:
        raise Refused(415, f"the body must be JSON; send it with Content-Type: {_JSON}")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused(413, f"the body is longer than {LONGEST_BODY} bytes") from None
    except web.RequestPayloadError:
        raise Refused(400, "the body's encoding is broken") from None


def _fields(body: bytes) -> list[str]:
    """Read the values of `START_FIELDS`.

    Raises:
        Refused: the body is not of the form, or the id cannot be shown.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    values = [parsed.get(field) for field in START_FIELDS] if isinstance(parsed, dict) else []
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(START_FIELDS):
        wanted = ", ".join(f'"{field}": TEXT' for field in START_FIELDS)
        raise Refused(400, f"the body must be a JSON object {{{wanted}}}")
    if not texts[0].isprintable() or not 0 < len(texts[0]) <= LONGEST_ID:
        raise Refused(400, f"id must be 1 to {LONGEST_ID} characters that can be printed")
    return texts
