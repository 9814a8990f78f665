"""The contest's score: half for memory well used, half for requests that did not wait.

The formula reproduces official result files to the last digit when it is given what they print: whole seconds and whole
GB·s, truncated. This module imports nothing but the standard library: the simulator and the real-time replay share it.
"""

from __future__ import annotations

from typing import NamedTuple

HALF = 50.0
"""Points each of the two terms can reach."""

SUCCESS_FLOOR = 0.9995
"""A run whose share of successful requests does not exceed this scores 0."""


class ContestStatistics(NamedTuple):
    """The five sums the score is made of, truncated to whole units as the contest's statistics print them.

    Attributes:
        execution_s: seconds that instances executed requests.
        execution_gb_s: the same, weighted with each function's memory in GB.
        schedule_s: seconds that requests spent inside Assign.
        idle_s: seconds spent inside the Idle call.
        slot_gb_s: GB·s of every slot from its creation to its end.
    """

    execution_s: int
    execution_gb_s: int
    schedule_s: int
    idle_s: int
    slot_gb_s: int

    @classmethod
    def truncated(
        cls, *, execution_s: float, execution_gb_s: float, schedule_s: float, slot_gb_s: float, idle_s: float = 0.0
    ) -> ContestStatistics:
        """Drop the fractions of exact sums, which is what the contest does before it computes the score."""
        return cls(int(execution_s), int(execution_gb_s), int(schedule_s), int(idle_s), int(slot_gb_s))


class ContestScore(NamedTuple):
    """The two terms (0 to 50 each) and the score (0 to 100)."""

    resource: float
    cold: float
    score: float


def contest_score(
    *,
    execution_s: float,
    execution_gb_s: float,
    schedule_s: float,
    idle_s: float,
    slot_gb_s: float,
    success_rate: float = 1.0,
) -> ContestScore:
    """Compute the score of one data set.

    Args:
        execution_s: see `ContestStatistics`; pass truncated integers to get the official digits.
        execution_gb_s: see `ContestStatistics`.
        schedule_s: see `ContestStatistics`.
        idle_s: see `ContestStatistics`.
        slot_gb_s: see `ContestStatistics`.
        success_rate: share of successful requests, 0 to 1. At or under `SUCCESS_FLOOR` the score is 0; the terms still
            say what they would have been.

    Returns:
        The terms and their sum. A term whose denominator is 0 (nothing ran yet) is 0.
    """
    spent_s = execution_s + schedule_s + idle_s
    resource = HALF * execution_gb_s / slot_gb_s if slot_gb_s > 0 else 0.0
    cold = HALF * execution_s / spent_s if spent_s > 0 else 0.0
    return ContestScore(resource, cold, resource + cold if success_rate > SUCCESS_FLOOR else 0.0)
