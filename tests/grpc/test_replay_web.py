"""The replay's web side over real sockets: statistics while a data set is played, data sets named by POST /start."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc.aio
import pytest

from pilotlight.errors import ConfigError
from pilotlight.replay.session import Options, Session, find_data_set
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MS = 1_000_000
S = 1000 * MS


class KeepsOneSlot(services.ScalerServicer):
    """Serves its first request on a slot that it never gives back."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def Assign(self, request: wire.AssignRequest, context: Any) -> wire.AssignReply:  # noqa: ANN401, N802
        del context
        options = [("grpc.enable_http_proxy", 0)]
        meta = request.meta_data
        memory = wire.ResourceConfig(memory_in_megabytes=meta.memory_in_mb)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.session.platform_port}", options=options) as channel:
            platform = services.PlatformStub(channel)
            slot = (await platform.CreateSlot(wire.CreateSlotRequest(resource_config=memory))).slot
            await platform.Init(wire.InitRequest(slot_id=slot.id, instance_id=slot.id, meta_data=meta))
        assignment = wire.Assignment(request_id=request.request_id, meta_key=meta.key, instance_id=slot.id)
        return wire.AssignReply(status=wire.Ok, assigment=assignment)

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
    settings: dict[str, Any] = {
        "scaler": "127.0.0.1:1",
        "platform_address": "127.0.0.1:0",
        "web_address": "127.0.0.1:0",
        "speed": 20.0,
        "create_ns": 105 * MS,
        "tail_ns": 2 * S,
        "give_up_s": 60.0,
        "assign_timeout_ns": None,
        "connect_timeout_s": 10.0,
        "seed": 1,
        "start_s": 0.0,
        "length_s": None,
    }
    return Options(**{**settings, **changed})


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

    async def start(self, body: object) -> tuple[int, dict[str, Any]]:
        async with self._client.post(self.url("/start"), json=body) as response:
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


async def test_statistics_accrue_while_the_data_set_is_played(tmp_path: Path) -> None:
    async with playing(written(tmp_path / "set"), tail_ns=100_000 * S) as replay:
        grown = []
        for _ in range(2000):
            found = await replay.statistics()
            if found.get("totalRequestsCount") == 1:
                grown.append(found)
            if len(grown) > 1 and grown[-1]["totalSlotTimeInGBs"] > grown[0]["totalSlotTimeInGBs"]:
                break
            await asyncio.sleep(0.005)
        last = grown[-1]
        assert last["totalSlotTimeInGBs"] > grown[0]["totalSlotTimeInGBs"]
        assert (last["id"], last["endTime"], last["totalLiveSlotCount"]) == ("set", "not end yet", 1)
        assert last["requestFilePath"] == str(tmp_path / "set" / "requests")
        assert last["metaFilePath"] == str(tmp_path / "set" / "metas")


async def test_posted_data_sets_are_played_in_turn_and_then_the_port_closes(tmp_path: Path) -> None:
    folders = [written(tmp_path / "one", requests=1), written(tmp_path / "two", requests=2)]
    async with playing(posted=2) as replay:
        assert await replay.statistics() == {}
        for folder in folders:
            body = {"requestFilePath": str(folder / "requests"), "metaFilePath": str(folder / "metas")}
            assert await replay.start({"id": f"id-{folder.name}", **body}) == (200, {"id": f"id-{folder.name}"})
        results = await replay.running
        assert [(result.run_id, result.finished) for result in results] == [("id-one", 1), ("id-two", 2)]
        with pytest.raises(aiohttp.ClientConnectionError):
            await replay.statistics()


async def test_data_set_that_cannot_be_read_is_refused_and_another_may_be_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "set")
    async with playing(posted=1) as replay:
        status, answer = await replay.start({"id": "x", "requestFilePath": "/nowhere/r", "metaFilePath": "/nowhere/m"})
        assert status == 400
        assert "/nowhere/" in answer["error"]
        body = {"id": "x", "requestFilePath": str(folder / "requests"), "metaFilePath": str(folder / "metas")}
        assert (await replay.start(body))[0] == 200
        assert (await replay.running)[0].finished == 1


@pytest.mark.parametrize("body", [[], {}, {"id": "x"}, {"id": 1, "requestFilePath": "r", "metaFilePath": "m"}, None])
async def test_start_without_its_fields_is_refused(body: object) -> None:
    async with playing(posted=1) as replay:
        status, answer = await replay.start(body)
        assert status == 400
        assert "requestFilePath" in answer["error"]


async def test_data_set_that_nobody_awaits_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "set")
    async with playing(folder, tail_ns=100_000 * S) as replay:
        body = {"id": "x", "requestFilePath": str(folder / "requests"), "metaFilePath": str(folder / "metas")}
        assert (await replay.start(body))[0] == 409


async def test_replay_that_is_cancelled_as_the_scaler_answers_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    awaited, answered = asyncio.Event(), asyncio.Event()

    async def channel_ready() -> None:
        awaited.set()
        await answered.wait()

    @asynccontextmanager
    async def channel(*_: object, **_options: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(channel_ready=channel_ready)

    monkeypatch.setattr(grpc.aio, "insecure_channel", channel)
    running = asyncio.ensure_future(Session(options(), [], 1).run())
    await awaited.wait()
    answered.set()
    await asyncio.sleep(0)  # the channel is ready, and the session has not heard of it
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=10)
    assert done
    assert running.cancelled()


async def test_taken_port_is_named() -> None:
    async with playing(posted=1) as replay:
        taken = replay.url("").removeprefix("http://")
        with pytest.raises(ConfigError, match=f"--web-address {taken}: cannot listen there"):
            await Session(options(web_address=taken), [], 1).run()
        with pytest.raises(ConfigError, match=f"--platform-address {taken}: cannot listen there"):
            await Session(options(platform_address=taken), [], 1).run()
