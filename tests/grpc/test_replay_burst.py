"""A sound scaler under a burst: the replay fails none of its calls."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotlight.replay.session import DataSet, Options, Session
from pilotlight.traces.trace import FunctionTable, Trace

if TYPE_CHECKING:
    from conftest import Starter

MS = 1_000_000
S = 1000 * MS
REQUESTS = 5_000
FUNCTIONS = 50


def burst() -> Trace:
    """All requests within a second; each function starts in 500 ms and runs for 100."""
    return Trace(
        arrival_ns=np.arange(REQUESTS, dtype=np.uint64) * np.uint64(S // REQUESTS),
        function=np.arange(REQUESTS, dtype=np.uint32) % np.uint32(FUNCTIONS),
        duration_ns=np.full(REQUESTS, 100 * MS, dtype=np.uint64),
        status=np.full(REQUESTS, 200, dtype=np.int32),
        functions=FunctionTable(
            keys=tuple(f"f{number}" for number in range(FUNCTIONS)),
            runtimes=("go",) * FUNCTIONS,
            timeout_s=np.full(FUNCTIONS, 60, dtype=np.uint32),
            memory_mb=np.full(FUNCTIONS, 128, dtype=np.uint64),
            init_ns=np.full(FUNCTIONS, 500 * MS, dtype=np.uint64),
        ),
        origin_ms=1_685_980_824_304,
    )


@pytest.mark.parametrize("front", [{"front": "native"}])
async def test_five_thousand_requests_in_a_second_all_succeed(start_scaler: Starter) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        platform_address = f"127.0.0.1:{probe.getsockname()[1]}"
    scaler = await start_scaler(platform="grpc", platform_address=platform_address)
    options = Options(
        scaler=scaler.app.address,
        platform_address=platform_address,
        web_address="127.0.0.1:0",
        speed=1.0,
        create_ns=105 * MS,
        tail_ns=S,
        give_up_s=60.0,
        assign_timeout_ns=None,
        connect_timeout_s=10.0,
        seed=1,
        start_s=0.0,
        length_s=None,
    )
    (result,) = await Session(options, [DataSet("burst", Path("r"), Path("m"), burst())]).run()
    assert (result.finished, result.failed, result.first_failure) == (REQUESTS, 0, {})
    # The scaler and the platform count the same slots, each once.
    assert scaler.ledger()["starts"] == result.slots().created
