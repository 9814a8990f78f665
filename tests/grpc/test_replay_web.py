"""The replay's web side over real sockets: statistics while a data set is played, data sets named by POST /start.

What it refuses is in `test_replay_web_refusals.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp
import grpc.aio
import pytest
from replay_web import S, options, playing, written

from pilotlight.errors import ConfigError
from pilotlight.replay.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
