"""Assign and Idle over a socket of this machine, with the front in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from pilotlight.config import load
from pilotlight.server.app import App
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

PATIENCE_S = 30.0
SERVICE = "/serverless.simulator.Scaler"
META = wire.Meta(key="f" * 40, runtime="python", timeout_in_secs=60, memory_in_mb=512)
ASSIGN = wire.AssignRequest(request_id="0" * 36, timestamp=0, meta_data=META).SerializeToString()


async def started(settings: dict[str, str]) -> App:
    app = App(load(settings))
    await app.start()
    return app


@pytest.fixture(params=["native", "grpcio"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve in a thread of this process."""
    settings = {"front": request.param, "platform": "sim", "sim_create_time": "1ms", "sim_init_time": "1ms"}
    settings |= {"address": "127.0.0.1:0", "metrics_address": "", "policy": "fixed:keep_alive=60s"}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    app = asyncio.run_coroutine_threadsafe(started(settings), loop).result(PATIENCE_S)
    yield app.address
    asyncio.run_coroutine_threadsafe(app.close(), loop).result(PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.benchmark(timer=time.perf_counter)  # what a client waits, not what processors do
def test_front_round_trips_of_a_pair(benchmark: BenchmarkFixture, address: str) -> None:
    benchmark.extra_info["tolerance"] = 0.8  # four threads hand two calls to each other
    with grpc.insecure_channel(address) as channel:
        assign, idle = (channel.unary_unary(f"{SERVICE}/{method}") for method in ("Assign", "Idle"))

        def pair() -> bytes:
            reply = wire.AssignReply.FromString(assign(ASSIGN, timeout=PATIENCE_S))
            done = wire.IdleRequest(assigment=reply.assigment, result=wire.Result(status_code=200))
            answer: bytes = idle(done.SerializeToString(), timeout=PATIENCE_S)
            return answer

        pair()
        assert wire.IdleReply.FromString(benchmark(pair)).status == wire.Ok
