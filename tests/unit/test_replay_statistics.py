"""The contest's figures: sums, truncation, score."""

from pathlib import Path

import pytest

from pilotlight.replay.clock import TraceClock
from pilotlight.replay.report import as_json, succeeded
from pilotlight.replay.statistics import FailureKind, Statistics

MS = 1_000_000
S = 1000 * MS

CONTEST_KEYS = [
    "id",
    "requestFilePath",
    "metaFilePath",
    "startTime",
    "endTime",
    "totalRequestsCount",
    "failedRequestsCount",
    "successRate",
    "invocationLatencyInSecs",
    "invocationExecutionTimeInSecs",
    "invocationExecutionTimeInGBs",
    "invocationScheduleTimeInSecs",
    "invocationIdleTimeInSecs",
    "totalSlotTimeInGBs",
    "totalLiveSlotCount",
    "score",
]


class ManualClock(TraceClock):
    """A clock that the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.moment_ns = 0

    def now_ns(self) -> int:
        return self.moment_ns


class Books:
    """The books of slots that are created and stay."""

    def __init__(self) -> None:
        self.slots: list[tuple[int, int]] = []

    def create(self, memory_mb: int, since_ns: int) -> None:
        self.slots.append((memory_mb, since_ns))

    def account(self, now_ns: int) -> tuple[int, int, int, int, int, int]:
        held = sum(memory_mb * (now_ns - since_ns) for memory_mb, since_ns in self.slots)
        return held, len(self.slots), len(self.slots), 0, 0, 0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def slots() -> Books:
    return Books()


@pytest.fixture
def statistics(slots: Books, clock: ManualClock) -> Statistics:
    return new_statistics(slots, clock)


def new_statistics(slots: Books, clock: ManualClock, planned: int = 10_000) -> Statistics:
    files = {"requests": Path("set/requests"), "metas": Path("set/metas")}
    return Statistics(run_id="set", **files, planned=planned, slots=slots, clock=clock)


def test_statistics_have_the_contests_keys_in_its_order(statistics: Statistics) -> None:
    contest = statistics.contest_json()
    assert list(contest) == CONTEST_KEYS
    assert (contest["id"], contest["requestFilePath"], contest["metaFilePath"]) == ("set", "set/requests", "set/metas")
    assert contest["endTime"] == "not end yet"
    assert (contest["totalRequestsCount"], contest["successRate"], contest["score"]) == (0, 1.0, 0.0)


def test_times_are_whole_seconds_truncated_each_for_itself(
    statistics: Statistics, slots: Books, clock: ManualClock
) -> None:
    slots.create(1024, 0)
    statistics.assigned(0, 1_900 * MS)
    statistics.executed(2_900 * MS, 1024)
    statistics.idled(0, 900 * MS)
    statistics.finish()
    clock.moment_ns = 5_999 * MS
    contest = statistics.contest_json()
    figures = {key: contest[key] for key in CONTEST_KEYS if "In" in key}
    assert figures == {
        "invocationLatencyInSecs": 5,
        "invocationExecutionTimeInSecs": 2,
        "invocationExecutionTimeInGBs": 2,
        "invocationScheduleTimeInSecs": 1,
        "invocationIdleTimeInSecs": 0,
        "totalSlotTimeInGBs": 5,
    }
    assert all(type(value) is int for value in figures.values())
    assert contest["score"] == pytest.approx(50 * 2 / 5 + 50 * 2 / 3)


def test_live_slots_accrue_until_the_end_and_not_after(
    statistics: Statistics, slots: Books, clock: ManualClock
) -> None:
    slots.create(2048, 0)
    for now_s, expected in ((1, 2), (10, 20)):
        clock.moment_ns = now_s * S
        assert statistics.contest_json()["totalSlotTimeInGBs"] == expected
    statistics.end()
    clock.moment_ns = 99 * S
    slots.create(2048, 99 * S)
    contest = statistics.contest_json()
    assert (contest["totalSlotTimeInGBs"], contest["totalLiveSlotCount"]) == (20, 1)
    assert contest["endTime"] != "not end yet"


def test_slot_left_by_one_data_set_costs_the_next_from_its_start(slots: Books, clock: ManualClock) -> None:
    slots.create(1024, 0)
    clock.moment_ns = 100 * S
    following = new_statistics(slots, clock)
    clock.moment_ns = 107 * S
    assert following.contest_json()["totalSlotTimeInGBs"] == 7
    account = following.slots()
    assert (account.live, account.created) == (1, 0)


@pytest.mark.parametrize(("failures", "success"), [(4, True), (5, False), (6, False)])
def test_run_succeeds_above_the_floor_only(statistics: Statistics, failures: int, success: bool) -> None:
    statistics.executed(10 * S, 1024)
    for row in range(10_000):
        statistics.finish(FailureKind.UNKNOWN_INSTANCE if row < failures else None, f"row {row}")
    assert succeeded([statistics]) is success
    assert (statistics.score().score > 0) is success
    assert statistics.score().cold == 50
    report = as_json([statistics], speed=1.0, seed=0)["data_sets"][0]
    assert report["failures"]["unknown_instance"] == {"count": failures, "first": "row 0"}
    assert report["statistics"]["failedRequestsCount"] == failures


def test_quantiles_are_measured_times_and_skip_the_unmeasured(slots: Books, clock: ManualClock) -> None:
    statistics = new_statistics(slots, clock, planned=250)
    for row in range(200):
        statistics.assigned(row, (row + 1) * MS)
        statistics.issue(row, row * MS)
    assert statistics.latency_ms() == {
        "assign": {"p50": 100.0, "p95": 190.0, "p99": 198.0, "max": 200.0},
        "idle": {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0},
    }
    assert statistics.issue_lag_ms() == {"mean": 99.5, "max": 199.0}
