"""What the host does with a Wake, whichever thread was first and whoever has gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from pilotlight._core import Init, Outcome, Scaler, Wake
from pilotlight.platform.sim import SimPlatform
from pilotlight.server.host import Host
from pilotlight.server.metrics import PlatformMetrics
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REQUEST = pb.AssignRequest(
    request_id="r", meta_data=pb.Meta(key="f", runtime="python", timeout_in_secs=60, memory_in_mb=128)
).SerializeToString()


class Setting:
    """A host whose platform takes forever, and an engine whose reports the test makes itself."""

    def __init__(self) -> None:
        self.scaler = Scaler(policy="fixed:keep_alive=60s")
        platform = SimPlatform(create_time=3600.0, init_time=0.0, create_failure=0.0, init_failure=0.0, seed=0)
        self.host = Host(self.scaler, platform, PlatformMetrics(CollectorRegistry()))

    def assign(self) -> Outcome:
        outcome = self.scaler.assign(time.monotonic_ns(), REQUEST)
        assert isinstance(outcome, Outcome)
        return outcome

    def ready(self, outcome: Outcome) -> list[Any]:
        """Let the start that an Assign asked for succeed, and return the last report's commands."""
        slot = outcome.commands[0].slot  # type: ignore[union-attr]
        init = self.scaler.slot_created(time.monotonic_ns(), slot, 1)
        assert isinstance(init[0], Init)
        return self.scaler.instance_ready(time.monotonic_ns(), slot, 1)

    def slots(self) -> dict[str, Any]:
        return self.scaler.snapshot(time.monotonic_ns())["slots"]  # type: ignore[no-any-return]


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    yield made
    await made.host.close()


async def test_a_wake_that_is_here_before_its_request_is_delivered(setting: Setting) -> None:
    outcome = setting.assign()
    setting.host.execute(setting.ready(outcome))
    delivered: list[Wake] = []
    setting.host.enqueue(outcome, delivered.append)
    assert delivered[0].reply is not None
    assert setting.host.waiting == 0


async def test_the_instance_of_a_request_forgotten_while_its_wake_is_on_the_way_is_free_again(setting: Setting) -> None:
    outcome = setting.assign()
    waiter = setting.host.enqueue(outcome, setting.host.undelivered)
    wake = setting.ready(outcome)
    setting.host.forget(waiter)
    setting.host.execute(wake)
    assert setting.slots()["busy"] == 0
    assert setting.slots()["idle"] == 1


async def test_one_instance_passes_through_any_number_of_clients_that_have_gone(setting: Setting) -> None:
    first = setting.assign()
    setting.host.enqueue(first, setting.host.undelivered)
    for _ in range(1000):
        setting.host.enqueue(setting.assign(), setting.host.undelivered)
    setting.host.execute(setting.ready(first))
    assert setting.host.waiting == 0
    assert setting.slots()["busy"] == 0
