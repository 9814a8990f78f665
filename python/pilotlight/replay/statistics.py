"""What one data set's run measured: the contest's statistics, failures by kind, latencies.

`load` reports every request here, `web` and `report` read it at any moment. Sums are exact integers of trace time; only
the contest's figures truncate them to whole units, and the score is computed from those, as the contest does.
"""

from __future__ import annotations

import enum
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from pilotlight.simulation.score import ContestScore, ContestStatistics, contest_score
from pilotlight.traces.trace import MB_PER_GB, NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.replay.clock import TraceClock

MB_NS_PER_GB_S = MB_PER_GB * NS_PER_S

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}

UNMEASURED = -1
"""In a column of times: the request did not get that far."""

NOT_ENDED = "not end yet"
"""The contest's endTime while a data set is played."""


class FailureKind(enum.Enum):
    """Why a request failed; each failed request has one kind."""

    ASSIGN_RPC_ERROR = "assign_rpc_error"
    ASSIGN_REFUSED = "assign_refused"
    UNKNOWN_INSTANCE = "unknown_instance"
    NOT_INITIALISED = "not_initialised"
    OTHER_FUNCTION = "other_function"
    ALREADY_ASSIGNED = "already_assigned"
    IDLE_RPC_ERROR = "idle_rpc_error"
    IDLE_REFUSED = "idle_refused"
    FOREIGN_ASSIGNMENT = "foreign_assignment"
    GAVE_UP = "gave_up"
    UNEXPECTED = "unexpected"


class SlotAccount(NamedTuple):
    """What all slots came to, up to some moment.

    Attributes:
        held_mb_ns: their memory-time, MB·ns of trace time.
        live: slots not destroyed, those being created included.
        created: slots ever asked for.
        destroyed_busy: slots destroyed while a request was executing on them.
        answered: CreateSlot and Init calls that were carried out and answered.
        late_ns: how much later than due they were answered, all together, trace time.
    """

    held_mb_ns: int
    live: int
    created: int
    destroyed_busy: int
    answered: int
    late_ns: int

    def since(self, earlier: SlotAccount) -> SlotAccount:
        """Return what was added; `live` stays, for slots outlive the span."""
        added = (now - then for now, then in zip(self, earlier, strict=True))
        return SlotAccount(*added)._replace(live=self.live)


class SlotBooks(Protocol):
    """Where the account of the slots is kept: `_core.ContestPlatform`."""

    def account(self, now_ns: int) -> tuple[int, int, int, int, int, int]:
        """Return the fields of `SlotAccount` up to a moment."""


class Statistics:
    """The account of one data set.

    Args:
        run_id: names the run in the statistics.
        requests: the data set's file of requests.
        metas: the data set's file of functions.
        planned: how many requests are to be issued.
        slots: the platform's slots; what they cost from now on is this data set's.
        clock: trace time.
    """

    def __init__(
        self, *, run_id: str, requests: Path, metas: Path, planned: int, slots: SlotBooks, clock: TraceClock
    ) -> None:
        self.run_id = run_id
        self.planned = planned
        self.issued = 0
        self.finished = 0
        self.failures: Counter[FailureKind] = Counter()
        self.first_failure: dict[FailureKind, str] = {}
        self.foreign_assignments = 0
        """Assignments that named another request or function than they answered."""
        self.first_foreign: str | None = None
        self._late_ns = np.full(planned, UNMEASURED, dtype=np.int64)
        self._overrun_ns = np.full(planned, UNMEASURED, dtype=np.int64)
        self._assign_ns = np.full(planned, UNMEASURED, dtype=np.int64)
        self._idle_ns = np.full(planned, UNMEASURED, dtype=np.int64)
        self._files = (requests, metas)
        self._slots = slots
        self._clock = clock
        self._schedule_sum_ns = 0
        self._execution_sum_ns = 0
        self._execution_sum_mb_ns = 0
        self._idle_sum_ns = 0
        self._began_at = datetime.now().astimezone()
        self._ended_at: datetime | None = None
        self._began = self._account()
        self._final: SlotAccount | None = None

    def issue(self, row: int, late_ns: int) -> None:
        """Note that a request was issued, and how long after its moment."""
        self.issued += 1
        self._late_ns[row] = late_ns

    def assigned(self, row: int, waited_ns: int) -> None:
        """Note the time a request spent inside Assign, however it ended."""
        self._assign_ns[row] = waited_ns
        self._schedule_sum_ns += waited_ns

    def foreign(self, text: str) -> None:
        """Note an assignment that named another request or function; `text` says which."""
        self.foreign_assignments += 1
        self.first_foreign = self.first_foreign or text

    def overran(self, row: int, late_ns: int) -> None:
        """Note how long after its moment an execution was ended."""
        self._overrun_ns[row] = late_ns

    def executed(self, duration_ns: int, memory_mb: int) -> None:
        """Note an execution by its duration in the data set, so that late timers change no sum."""
        self._execution_sum_ns += duration_ns
        self._execution_sum_mb_ns += duration_ns * memory_mb

    def idled(self, row: int, waited_ns: int) -> None:
        """Note the time a request spent inside the Idle call, however it ended."""
        self._idle_ns[row] = waited_ns
        self._idle_sum_ns += waited_ns

    def finish(self, failure: FailureKind | None = None, text: str = "") -> None:
        """Note that a request is over; `text` explains a failure."""
        self.finished += 1
        if failure is not None:
            self.failures[failure] += 1
            self.first_failure.setdefault(failure, text)

    def end(self) -> None:
        """Freeze the account: slots that are left cost this data set nothing more."""
        self._final = self._account()
        self._ended_at = datetime.now().astimezone()

    @property
    def failed(self) -> int:
        """Count the failed requests."""
        return self.failures.total()

    @property
    def success_rate(self) -> float:
        """Share of the finished requests that did not fail; 1 before any finished."""
        return 1 - self.failed / self.finished if self.finished else 1.0

    @property
    def uncounted(self) -> int:
        """Count the requests of the data set that are not over; 0 once a sound run has ended."""
        return self.planned - self.finished

    def slots(self) -> SlotAccount:
        """Return what the slots came to since this data set's start; `live` counts those of earlier ones too."""
        return (self._final or self._account()).since(self._began)

    def score(self) -> ContestScore:
        """Return the contest's score and its terms."""
        return contest_score(**self._sums()._asdict(), success_rate=self.success_rate)

    def contest_json(self) -> dict[str, Any]:
        """Return the contest's statistics JSON; every "…In…" figure is a truncated integer."""
        sums = self._sums()
        return {
            "id": self.run_id,
            "requestFilePath": str(self._files[0]),
            "metaFilePath": str(self._files[1]),
            "startTime": _shown(self._began_at),
            "endTime": NOT_ENDED if self._ended_at is None else _shown(self._ended_at),
            "totalRequestsCount": self.finished,
            "failedRequestsCount": self.failed,
            "successRate": self.success_rate,
            "invocationLatencyInSecs": (self._schedule_sum_ns + self._execution_sum_ns + self._idle_sum_ns) // NS_PER_S,
            "invocationExecutionTimeInSecs": sums.execution_s,
            "invocationExecutionTimeInGBs": sums.execution_gb_s,
            "invocationScheduleTimeInSecs": sums.schedule_s,
            "invocationIdleTimeInSecs": sums.idle_s,
            "totalSlotTimeInGBs": sums.slot_gb_s,
            "totalLiveSlotCount": self.slots().live,
            "score": self.score().score,
        }

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Return the quantiles of the time inside `assign` and inside `idle`, failed calls included."""
        return {"assign": _quantiles_ms(self._assign_ns), "idle": _quantiles_ms(self._idle_ns)}

    def lag_ms(self) -> dict[str, dict[str, float]]:
        """Return how late this program itself was, as the `mean` and, where every case is kept, the `max`.

        `issue`: requests after their moments; `end`: executions after theirs, which is also how long replies wait for
        the event loop; `platform`: CreateSlot and Init after theirs.
        """
        slots = self.slots()
        platform_ns = slots.late_ns / slots.answered if slots.answered else 0.0
        return {
            "issue": _mean_and_max_ms(self._late_ns),
            "end": _mean_and_max_ms(self._overrun_ns),
            "platform": {"mean": _ms(platform_ns)},
        }

    def _account(self) -> SlotAccount:
        return SlotAccount(*self._slots.account(self._clock.now_ns()))

    def _sums(self) -> ContestStatistics:
        return ContestStatistics(
            execution_s=self._execution_sum_ns // NS_PER_S,
            execution_gb_s=self._execution_sum_mb_ns // MB_NS_PER_GB_S,
            schedule_s=self._schedule_sum_ns // NS_PER_S,
            idle_s=self._idle_sum_ns // NS_PER_S,
            slot_gb_s=self.slots().held_mb_ns // MB_NS_PER_GB_S,
        )


def _quantiles_ms(column_ns: NDArray[np.int64]) -> dict[str, float]:
    """Return `p50`, `p95`, `p99` and `max` of the measured times, in ms; all 0 when there are none.

    A quantile is one of the times (the smallest with at least that share at or under it), never a mean of two.
    """
    times_ns = column_ns[column_ns != UNMEASURED]
    if len(times_ns) == 0:
        return dict.fromkeys(QUANTILES, 0.0)
    quantiles_ns = np.quantile(times_ns, list(QUANTILES.values()), method="inverted_cdf")
    return {name: _ms(time_ns) for name, time_ns in zip(QUANTILES, quantiles_ns.tolist(), strict=True)}


def _mean_and_max_ms(column_ns: NDArray[np.int64]) -> dict[str, float]:
    times_ns = column_ns[column_ns != UNMEASURED]
    if len(times_ns) == 0:
        return {"mean": 0.0, "max": 0.0}
    return {"mean": _ms(float(times_ns.mean())), "max": _ms(int(times_ns.max()))}


def _ms(time_ns: float) -> float:
    return round(time_ns / NS_PER_MS, 3)


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
