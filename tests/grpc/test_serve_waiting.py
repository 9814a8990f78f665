"""Requests that wait: what frees them, what ends them, and that nothing of them stays behind."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NoReturn

import grpc
import pytest

from pilotlight import _core
from pilotlight.server.handlers import deadline_ns
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from conftest import Scaler, Starter


async def settled(scaler: Scaler) -> None:
    """Wait until nobody waits and no platform call is under way, then check that no instance is lost as busy."""
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0 and scaler.app.host.calls == 0)
    assert scaler.ledger()["waiting"] == 0
    assert scaler.ledger()["slots"]["busy"] == 0


async def test_a_freed_instance_serves_a_request_that_waits_for_a_start(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="5ms")
    first = await scaler.client.assign("f")
    scaler.platform._create_time = 60.0
    waiting = asyncio.ensure_future(scaler.client.assign("f"))
    await scaler.until(lambda: scaler.ledger()["waiting"] == 1)
    await scaler.client.idle(first)
    assert (await waiting).instance_id == first.instance_id
    assert scaler.ledger()["handoffs"] == 1


async def test_a_cancelled_request_is_forgotten(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    calls = [scaler.client.stub.Assign(_request()) for _ in range(20)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 20)
    for call in calls:
        call.cancel()
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0)
    assert scaler.ledger()["waiting"] == 0
    assert scaler.ledger()["cancelled"] == 20


async def test_requests_cancelled_while_instances_get_ready_wait_no_longer(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="2ms", sim_init_time="2ms")
    for burst in range(10):
        calls = [scaler.client.stub.Assign(_request()) for _ in range(20)]
        await scaler.until(lambda burst=burst: scaler.ledger()["assigns"] > burst * 20)
        for call in calls[:10]:
            call.cancel()
        for done in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(done, pb.AssignReply):
                await scaler.client.idle(done.assigment)
        await scaler.until(lambda: scaler.ledger()["waiting"] == 0)
    assert scaler.ledger()["waiting"] == 0


async def test_a_clients_deadline_ends_its_wait(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    error = await scaler.client.refusal(scaler.client.stub.Assign(_request(), timeout=0.05))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0)
    assert scaler.ledger()["waiting"] == 0


async def test_the_longest_deadline_that_can_be_sent_is_one_the_engine_takes(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    await scaler.client.idle((await scaler.client.stub.Assign(_request())).assigment)
    now_ns = time.monotonic_ns()
    # gRPC's own client cannot wait so long: its timers overflow first.
    deadline = deadline_ns(now_ns, 99_999_999 * 3600.0)
    assert isinstance(scaler.app.scaler.assign(now_ns, _request().SerializeToString(), deadline), bytes)


def test_a_deadline_is_as_far_from_now_as_the_client_said() -> None:
    assert deadline_ns(5, 0.25) == 250_000_005


async def test_a_request_without_a_deadline_gets_the_scalers(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s", assign_deadline="50ms")
    error = await scaler.client.refusal(scaler.client.stub.Assign(_request()))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert scaler.ledger()["expired"] == 1


async def test_a_full_queue_refuses_the_next_request(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s", max_waiting="3")
    calls = [scaler.client.stub.Assign(_request()) for _ in range(3)]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 3)
    error = await scaler.client.refusal(scaler.client.stub.Assign(_request()))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    for call in calls:
        call.cancel()
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0)


async def test_requests_beyond_the_limits_on_slots_and_starts_wait_and_are_served(start_scaler: Starter) -> None:
    scaler = await start_scaler(
        sim_create_time="1ms", sim_init_time="1ms", max_slots="2", max_memory="1GB", max_starts_per_second="100"
    )
    calls = [scaler.client.stub.Assign(_request(f"f{number}")) for number in range(8)]
    served = 0
    for call in asyncio.as_completed(calls):
        reply = await call
        served += 1
        await scaler.client.stub.Idle(pb.IdleRequest(assigment=reply.assigment, result=pb.Result(status_code=200)))
    assert served == 8
    assert scaler.ledger()["peak_slots"] <= 2


async def test_a_request_whose_starts_all_fail_gets_the_reason(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_failure="1", start_attempts="2")
    error = await scaler.client.refusal(scaler.client.stub.Assign(_request()))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "simulated failure" in (error.details() or "")
    assert scaler.ledger()["starts_failed"] == 2
    assert scaler.platform.live == {}


async def test_failed_inits_leave_no_slot(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_init_failure="1", start_attempts="3")
    error = await scaler.client.refusal(scaler.client.stub.Assign(_request()))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    await scaler.until(lambda: scaler.app.scaler.live_slots == 0)
    assert scaler.platform.live == {}


async def test_requests_survive_starts_that_fail_now_and_then(start_scaler: Starter) -> None:
    scaler = await start_scaler(
        sim_create_failure="0.2", sim_init_failure="0.2", sim_seed="7", start_attempts="100", sim_create_time="1ms"
    )
    for assignment in await asyncio.gather(*(scaler.client.assign(f"f{n % 5}") for n in range(40))):
        await scaler.client.idle(assignment)
    assert scaler.ledger()["starts_failed"] > 0
    await settled(scaler)
    assert scaler.app.scaler.live_slots == len(scaler.platform.live)


async def test_a_panic_of_the_engine_is_answered_and_the_ticks_go_on(
    start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    if start_scaler.front["front"] == "native":
        pytest.skip("calls of the native front do not pass through Python, where this engine could fail")

    class Panic(BaseException):
        pass

    class Panicking:
        """An engine whose tick always fails, and whose Assign fails for one function."""

        ticks = 0

        def __init__(self, **settings: object) -> None:
            self._scaler = _core.Scaler(**settings)

        def __getattr__(self, name: str) -> object:
            return getattr(self._scaler, name)

        def assign(self, now_ns: int, request: bytes, deadline_ns: int | None = None) -> bytes | _core.Outcome:
            if b"panic" in request:
                raise Panic
            return self._scaler.assign(now_ns, request, deadline_ns)

        def tick(self, now_ns: int) -> NoReturn:
            del now_ns
            Panicking.ticks += 1
            raise Panic

    monkeypatch.setattr("pilotlight.server.app.Scaler", Panicking)
    scaler = await start_scaler()
    error = await scaler.client.refusal(scaler.client.assign("panic"))
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "the engine failed" in (error.details() or "")
    await scaler.until(lambda: Panicking.ticks > 3)
    assert (await scaler.client.assign("f")).instance_id


def _request(key: str = "f") -> pb.AssignRequest:
    return pb.AssignRequest(request_id="r", meta_data=pb.Meta(key=key, runtime="python", memory_in_mb=128))
