"""The contest's figures: sums, truncation, score."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pilotlight.replay.clock import TraceClock
from pilotlight.replay.report import as_json, as_table, notes, succeeded
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

        self.answered = (0, 0)

    def create(self, memory_mb: int, since_ns: int) -> None:
        self.slots.append((memory_mb, since_ns))

    def account(self, now_ns: int) -> tuple[int, int, int, int, int, int]:
        held = sum(memory_mb * (now_ns - since_ns) for memory_mb, since_ns in self.slots)
        return held, len(self.slots), len(self.slots), 0, *self.answered


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
    assert statistics.lag_ms()["issue"] == {"mean": 99.5, "max": 199.0}


def test_run_that_lost_requests_fails_and_says_so(slots: Books, clock: ManualClock) -> None:
    statistics = new_statistics(slots, clock, planned=3)
    statistics.executed(10 * S, 1024)
    statistics.finish()
    assert statistics.success_rate == 1
    assert not succeeded([statistics])
    (said,) = notes([statistics])
    assert said.startswith("set: failed: 2 of 3 requests were never over")
    assert as_json([statistics], speed=1.0, seed=0)["data_sets"][0]["uncounted"] == 2
    statistics.finish()
    statistics.finish()
    assert succeeded([statistics])
    assert notes([statistics]) == []


def test_score_of_0_says_why(slots: Books, clock: ManualClock) -> None:
    failed = new_statistics(slots, clock, planned=4)
    failed.executed(10 * S, 1024)
    for failure in (FailureKind.GAVE_UP, FailureKind.IDLE_REFUSED, FailureKind.IDLE_REFUSED, None):
        failed.finish(failure, "NotFound: who?")
    empty = new_statistics(slots, clock, planned=1)
    empty.executed(900 * MS, 1024)
    empty.finish()
    assert notes([failed, empty]) == [
        (
            "set: score 0: only 25.0000% of its requests succeeded, and more than 99.95% must;"
            " 2 failed with idle_refused, the first: NotFound: who?"
        ),
        "set: score 0: its 1 requests executed for less than a second in all, and for less than a GB·s",
    ]


@pytest.mark.parametrize(
    ("lag_ms", "said"),
    [
        ((20, 20, 20), []),
        ((21, 0, 0), ["requests were issued 21.0 ms late"]),
        ((0, 21, 0), ["executions were ended 21.0 ms late"]),
        ((0, 0, 21), ["CreateSlot and Init were answered 21.0 ms late"]),
        ((21, 21, 0), ["requests were issued 21.0 ms late", "executions were ended 21.0 ms late"]),
    ],
)
def test_result_that_the_kit_itself_delayed_is_untrusted(
    slots: Books, clock: ManualClock, lag_ms: tuple[int, int, int], said: list[str]
) -> None:
    issue_ms, end_ms, platform_ms = lag_ms
    statistics = new_statistics(slots, clock, planned=2)
    statistics.executed(10 * S, 1024)
    slots.answered = (2, 2 * platform_ms * MS)
    for row in range(2):
        statistics.issue(row, issue_ms * MS)
        statistics.overran(row, end_ms * MS)
        statistics.finish()
    assert [line.partition(" on average")[0] for line in notes([statistics])] == [
        f"set: untrusted: {text}" for text in said
    ]
    report = as_json([statistics], speed=1.0, seed=0)
    assert report["trusted"] is (not said)
    assert len(report["data_sets"][0]["untrusted_because"]) == len(said)
    assert str(as_table([statistics]).title).endswith("(untrusted)") is bool(said)
    assert succeeded([statistics])


def test_name_of_a_run_is_no_markup(slots: Books, clock: ManualClock) -> None:
    statistics = new_statistics(slots, clock)
    statistics.run_id = "[/red]"
    console = Console(file=io.StringIO(), width=80)
    console.print(as_table([statistics]))
    assert "[/red]" in console.file.getvalue()  # type: ignore[attr-defined]
