"""The engine through the extension: encoded requests in, encoded replies out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pilotlight import _core
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

INSTANCES = 1_000
ROUNDS = 100
META = wire.Meta(key="f" * 40, runtime="python", timeout_in_secs=60, memory_in_mb=512)
ASSIGN = wire.AssignRequest(request_id="0" * 36, timestamp=0, meta_data=META).SerializeToString()


class WarmEngine:
    """A scaler with free instances of one function, and the encoded Idle of each."""

    def __init__(self, policy: str, instances: int) -> None:
        self.scaler = _core.Scaler(policy=policy, boot_id=1)
        self.now = 1
        self.idles = [self._started() for _ in range(instances)]
        self.free_all()

    def _started(self) -> bytes:
        outcome = self.scaler.assign(self.now, ASSIGN)
        assert not isinstance(outcome, bytes)
        create = outcome.commands[0]
        assert isinstance(create, _core.CreateSlot)
        self.scaler.slot_created(self.now, create.slot, 1)
        woken = self.scaler.instance_ready(self.now, create.slot, 1)[0]
        assert isinstance(woken, _core.Wake)
        assert woken.reply is not None
        assignment = wire.AssignReply.FromString(woken.reply).assigment
        return wire.IdleRequest(assigment=assignment, result=wire.Result(status_code=200)).SerializeToString()

    def take_all(self) -> None:
        """Assign every instance."""
        assign = self.scaler.assign
        for _ in self.idles:
            self.now += 1_000
            assign(self.now, ASSIGN)

    def free_all(self) -> None:
        """Give every instance back."""
        idle = self.scaler.idle
        for each in self.idles:
            self.now += 1_000
            idle(self.now, each)


@pytest.mark.parametrize("policy", ["fixed", "break_even", "level_gap"])
def test_warm_pair(benchmark: BenchmarkFixture, policy: str) -> None:
    warm = WarmEngine(policy, 1)
    (idle,) = warm.idles
    scaler = warm.scaler

    def pair() -> object:
        warm.now += 1_000
        scaler.assign(warm.now, ASSIGN)
        return scaler.idle(warm.now, idle)

    assert type(benchmark(pair)) is bytes


def test_assign_a_thousand(benchmark: BenchmarkFixture) -> None:
    warm = WarmEngine("fixed", INSTANCES)
    warm.take_all()
    benchmark.pedantic(warm.take_all, setup=warm.free_all, rounds=ROUNDS)
    assert type(warm.scaler.idle(warm.now, warm.idles[0])) is bytes


def test_idle_a_thousand(benchmark: BenchmarkFixture) -> None:
    warm = WarmEngine("fixed", INSTANCES)
    benchmark.pedantic(warm.free_all, setup=warm.take_all, rounds=ROUNDS)
    assert type(warm.scaler.assign(warm.now, ASSIGN)) is bytes
