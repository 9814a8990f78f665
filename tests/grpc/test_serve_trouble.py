"""What goes wrong behind the sockets: starts that keep failing, impatient clients, failing instances, missing Idles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from conftest import Starter

PATIENCE_S = 60.0
META = pb.Meta(key="f", runtime="python", timeout_in_secs=1, memory_in_mb=128)


@pytest.mark.parametrize("policy", ["fixed", "level_gap"])
async def test_everybody_learns_that_starts_fail_and_later_requests_learn_it_at_once(
    start_scaler: Starter, policy: str
) -> None:
    scaler = await start_scaler(sim_init_failure="1", policy=policy)
    calls = [scaler.client.refusal(scaler.client.assign("f")) for _ in range(20)]
    errors = await asyncio.gather(*calls)
    starts = scaler.ledger()["starts"]
    errors += [await scaler.client.refusal(scaler.client.assign("f")) for _ in range(20)]
    for error in errors:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "simulated failure" in (error.details() or "")
    ledger = scaler.ledger()
    assert ledger["starts_exhausted"] == 40
    # A second of real time may pass between the two, after which one start is tried.
    assert ledger["starts"] - starts <= 2


async def test_a_client_less_patient_than_a_start_is_served_by_its_third_try(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="400ms", sim_init_time="100ms", policy="fixed:keep_alive=100ms")
    for tries in (1, 2):
        error = await scaler.client.refusal(scaler.client.assign("f", timeout=0.2))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await scaler.until(lambda: scaler.ledger()["slots"]["starting"] == 0)
        assert scaler.ledger()["starts"] == tries
    assert await scaler.client.assign("f", timeout=0.2)


async def test_an_instance_that_keeps_failing_beside_one_that_does_not_is_replaced(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    both = await asyncio.gather(scaler.client.assign("f"), scaler.client.assign("f"))
    for assignment in both:
        await scaler.client.idle(assignment)
    failing = both[1].instance_id
    for _ in range(3):
        assignment = await scaler.client.assign("f")
        assert assignment.instance_id == failing
        await scaler.client.idle(assignment, status_code=500)
    assert (await scaler.client.assign("f")).instance_id == both[0].instance_id
    assert scaler.ledger()["replaced"] == 1


async def test_a_busy_instance_whose_idle_never_comes_is_destroyed_after_its_lease(start_scaler: Starter) -> None:
    scaler = await start_scaler(lease_factor="1")
    await scaler.client.stub.Assign(pb.AssignRequest(request_id="r", meta_data=META), timeout=PATIENCE_S)
    await scaler.until(lambda: scaler.ledger()["leases_expired"] == 1)
    await scaler.until(lambda: scaler.platform.live == {})
    assert scaler.ledger()["longest_busy_s"] == 0


async def test_an_unfinished_request_within_its_lease_keeps_its_instance(start_scaler: Starter) -> None:
    scaler = await start_scaler(lease_factor="60")
    request = pb.AssignRequest(request_id="r", meta_data=META)
    assignment = (await scaler.client.stub.Assign(request, timeout=PATIENCE_S)).assigment
    await scaler.until(lambda: scaler.ledger()["longest_busy_s"] > 1.5)
    assert (await scaler.client.idle(assignment)).status == pb.Ok
    assert scaler.ledger()["leases_expired"] == 0
