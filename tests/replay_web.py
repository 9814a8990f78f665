"""A replay that runs with its web side, and a client of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc.aio
from replay_scalers import options as default_options
from replay_scalers import started_for

from pilotlight.replay.session import Options, Session, find_data_set
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MS = 1_000_000
S = 1000 * MS


class KeepsOneSlot(services.ScalerServicer):
    """Serves its first request on a slot that it never gives back."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def Assign(self, request: wire.AssignRequest, context: Any) -> wire.AssignReply:  # noqa: ANN401, N802
        del context
        return await started_for(request, f"127.0.0.1:{self.session.platform_port}")

    async def Idle(self, request: wire.IdleRequest, context: Any) -> wire.IdleReply:  # noqa: ANN401, N802
        del request, context
        return wire.IdleReply(status=wire.Ok)


def written(folder: Path, *, requests: int = 1) -> Path:
    folder.mkdir()
    meta = {"key": "f", "runtime": "go", "timeoutInSecs": 9, "memoryInMb": 102_400, "initDurationInMs": 10}
    (folder / "metas").write_text(json.dumps(meta) + "\n", encoding="utf-8")
    lines = [
        {"metaKey": "f", "startTime": 1_685_980_824_304 + 100 * row, "durationsInMs": 50, "statusCode": 200}
        for row in range(requests)
    ]
    (folder / "requests").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def options(**changed: object) -> Options:
    return default_options(**{"speed": 20.0, "tail_ns": 2 * S, "data_root": Path("/"), **changed})


class Playing:
    """A session that runs, and a client of its web side."""

    def __init__(self, session: Session, client: aiohttp.ClientSession) -> None:
        self.running = asyncio.ensure_future(session.run())
        self._session = session
        self._client = client

    async def listening(self) -> None:
        for _ in range(2000):
            if self._session.web_port is not None or self.running.done():
                return
            await asyncio.sleep(0.005)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._session.web_port}{path}"

    async def statistics(self) -> dict[str, Any]:
        async with self._client.get(self.url("/")) as response:
            assert response.status == 200
            found: dict[str, Any] = await response.json()
            return found

    async def start(self, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
        return await self.send(json.dumps(body).encode(), **headers)

    async def status_of(self, method: str, path: str, **headers: str) -> int:
        async with self._client.request(method, self.url(path), headers=headers) as response:
            return response.status

    async def send(self, data: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send a body with headers, whose `_` are `-`; the type is JSON unless said otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Content-Type": "application/json", **named}
        async with self._client.post(self.url("/start"), data=data, headers=sent) as response:
            return response.status, await response.json()


@asynccontextmanager
async def playing(*folders: Path, posted: int = 0, **changed: object) -> AsyncIterator[Playing]:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    sets = [find_data_set(folder) for folder in folders]
    session = Session(options(scaler=f"127.0.0.1:{port}", **changed), sets, posted)
    services.add_ScalerServicer_to_server(KeepsOneSlot(session), server)
    await server.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client:
            replay = Playing(session, client)
            try:
                await replay.listening()
                yield replay
            finally:
                replay.running.cancel()
                await asyncio.gather(replay.running, return_exceptions=True)
    finally:
        await server.stop(grace=None)
