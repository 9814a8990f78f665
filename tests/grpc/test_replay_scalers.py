"""A right scaler and wrong ones against the replay, over real sockets: each fault is found and counted."""

from __future__ import annotations

import time

import pytest
from replay_scalers import (
    SPEED,
    AnswersBeforeInitEnded,
    AssignsNothing,
    AssignsWithAStatusOfItsOwn,
    DestroysWhatItHandedOutBefore,
    FailsAssigns,
    FailsIdles,
    HandsOneInstanceToAll,
    IdlesWithAStatusOfItsOwn,
    InventsInstances,
    MixesFunctionsUp,
    NamesAnotherFunction,
    NamesAnotherRequest,
    NeverAnswers,
    Reference,
    RefusesAssigns,
    RefusesIdles,
    S,
    failures,
    replayed,
    workload,
)


async def test_right_scaler_succeeds_with_every_request() -> None:
    report = await replayed(Reference, workload([n * 20 for n in range(300)]))
    assert report["success"] is True
    assert failures(report) == {}
    statistics = report["data_sets"][0]["statistics"]
    assert (statistics["totalRequestsCount"], statistics["failedRequestsCount"]) == (300, 0)
    # 300 executions of 100 ms in 512 MB.
    assert (statistics["invocationExecutionTimeInSecs"], statistics["invocationExecutionTimeInGBs"]) == (30, 15)
    assert report["score"] == statistics["score"] > 0


async def test_slots_cost_from_their_start_to_the_end_of_the_tail() -> None:
    before = time.monotonic()
    report = await replayed(Reference, workload([0, 0, 0], memory_mb=1024 * 100), tail_ns=100 * S)
    elapsed_s = (time.monotonic() - before) * SPEED
    found = report["data_sets"][0]
    assert found["slots"] == {"created": 3, "live": 3, "destroyed_busy": 0}
    assert found["statistics"]["totalLiveSlotCount"] == 3
    # Three slots of 100 GB: over the tail of 100 s but for their way there, and never longer than the test.
    assert 3 * 100 * 50 <= found["statistics"]["totalSlotTimeInGBs"] <= 3 * 100 * elapsed_s


async def test_requests_wait_for_create_and_init_and_no_less() -> None:
    report = await replayed(Reference, workload([0], init_ms=2000))
    assert report["data_sets"][0]["latency_ms"]["assign"]["p50"] >= 2105


async def test_bad_request_costs_its_instance() -> None:
    report = await replayed(Reference, workload([0, 3000, 6000], status=[500, 500, 200]))
    assert failures(report) == {}
    assert report["data_sets"][0]["slots"] == {"created": 3, "live": 1, "destroyed_busy": 0}


async def test_instances_of_one_data_set_serve_the_next() -> None:
    report = await replayed(Reference, workload([0]), workload([0]))
    first, second = report["data_sets"]
    assert (first["slots"]["created"], second["slots"]["created"]) == (1, 0)
    assert second["statistics"]["totalRequestsCount"] == 1
    assert second["statistics"]["failedRequestsCount"] == 0
    assert report["score"] == (first["statistics"]["score"] + second["statistics"]["score"]) / 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (InventsInstances, "unknown_instance"),
        (AssignsNothing, "unknown_instance"),
        (AnswersBeforeInitEnded, "not_initialised"),
        (MixesFunctionsUp, "other_function"),
        (FailsAssigns, "assign_rpc_error"),
        (RefusesAssigns, "assign_refused"),
        (FailsIdles, "idle_rpc_error"),
        (RefusesIdles, "idle_refused"),
        (AssignsWithAStatusOfItsOwn, "assign_refused"),
        (IdlesWithAStatusOfItsOwn, "idle_refused"),
    ],
)
async def test_fault_of_the_scaler_fails_every_request(kind: type[Reference], expected: str) -> None:
    # An Init that must not have ended takes longer than the test may.
    init_ms = 10**7 if kind is AnswersBeforeInitEnded else 500
    trace = workload([0, 100, 200, 300], functions=[0, 1, 0, 1], init_ms=init_ms)
    report = await replayed(kind, trace)
    assert failures(report) == {expected: 4}
    assert report["success"] is False
    assert report["score"] == 0
    assert report["data_sets"][0]["statistics"]["successRate"] == 0


async def test_instance_handed_out_twice_fails_the_second_request() -> None:
    # All three are assigned at once; the first executes for far longer than the others take to arrive.
    report = await replayed(HandsOneInstanceToAll, workload([0, 10, 20], duration_ms=100_000))
    assert failures(report) == {"already_assigned": 2}


async def test_reported_failure_says_what_was_answered() -> None:
    report = await replayed(FailsAssigns, workload([0]))
    assert report["data_sets"][0]["failures"]["assign_rpc_error"]["first"] == "UNAVAILABLE: out of order"


async def test_run_ends_although_the_scaler_never_answers() -> None:
    report = await replayed(NeverAnswers, workload([0, 100]), give_up_s=0.2)
    assert failures(report) == {"gave_up": 2}
    # Two requests that waited for the tail of 5 s and 0.2 s, that is 10 s of trace time, after it.
    assert report["data_sets"][0]["statistics"]["invocationScheduleTimeInSecs"] >= 2 * 15


async def test_execution_longer_than_the_tail_is_no_failure() -> None:
    report = await replayed(Reference, workload([0], duration_ms=70_000), tail_ns=S, speed=200.0)
    assert failures(report) == {}


async def test_assign_timeout_is_a_failure_of_the_assign() -> None:
    report = await replayed(NeverAnswers, workload([0]), assign_timeout_ns=2 * S)
    assert failures(report) == {"assign_rpc_error": 1}
    assert "DEADLINE_EXCEEDED" in report["data_sets"][0]["failures"]["assign_rpc_error"]["first"]


async def test_slot_destroyed_under_its_request_is_reported() -> None:
    report = await replayed(DestroysWhatItHandedOutBefore, workload([0, 50_000], duration_ms=100_000))
    assert failures(report) == {}
    assert report["data_sets"][0]["slots"] == {"created": 2, "live": 1, "destroyed_busy": 1}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(AssignsWithAStatusOfItsOwn, "assign_refused"), (IdlesWithAStatusOfItsOwn, "idle_refused")],
)
async def test_status_that_the_protocol_lacks_is_named(kind: type[Reference], expected: str) -> None:
    report = await replayed(kind, workload([0]))
    assert report["data_sets"][0]["failures"][expected]["first"] == "unknown status 99: no error_message"


@pytest.mark.parametrize(
    ("kind", "named"), [(NamesAnotherRequest, "'another', 'a'"), (NamesAnotherFunction, "', 'another'")]
)
async def test_assignment_of_something_else_is_noted_and_fails_only_if_asked(kind: type[Reference], named: str) -> None:
    report = await replayed(kind, workload([0, 100]))
    found = report["data_sets"][0]
    assert (failures(report), found["foreign_assignments"]["count"]) == ({}, 2)
    assert found["foreign_assignments"]["first"].endswith(named)
    report = await replayed(kind, workload([0, 100]), strict=True)
    assert failures(report) == {"foreign_assignment": 2}
    assert report["success"] is False


@pytest.mark.parametrize("kind", [Reference, AssignsNothing])
async def test_assignments_that_name_what_was_asked_or_nothing_are_not_foreign(kind: type[Reference]) -> None:
    report = await replayed(kind, workload([0, 100]), strict=True)
    assert report["data_sets"][0]["foreign_assignments"] == {"count": 0, "first": None}
