"""The warm pair through the extension: encoded Assign in, encoded reply out, encoded Idle in. Run by `make bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotlight import _core
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def test_warm_pair(benchmark: BenchmarkFixture) -> None:
    scaler = _core.Scaler(policy="fixed", boot_id=1)
    meta = wire.Meta(key="f" * 40, runtime="python", timeout_in_secs=60, memory_in_mb=512)
    assign = wire.AssignRequest(request_id="0" * 36, timestamp=0, meta_data=meta).SerializeToString()
    outcome = scaler.assign(1, assign)
    assert isinstance(outcome, _core.Outcome)
    slot = outcome.commands[0].slot  # type: ignore[union-attr]
    scaler.slot_created(2, slot, 1)
    woken = scaler.instance_ready(3, slot, 1)[0]
    assert isinstance(woken, _core.Wake)
    assert woken.reply is not None
    assignment = wire.AssignReply.FromString(woken.reply).assigment
    idle = wire.IdleRequest(assigment=assignment, result=wire.Result(status_code=200)).SerializeToString()
    scaler.idle(4, idle)

    def pair() -> bytes:
        scaler.assign(5, assign)
        reply = scaler.idle(6, idle)
        assert type(reply) is bytes
        return reply

    benchmark(pair)
