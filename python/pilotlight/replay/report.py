"""A finished replay as a table for people and as JSON for programs; docs/contest-kit.md documents the JSON."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.table import Table

from pilotlight.replay.statistics import FailureKind, Statistics
from pilotlight.simulation.score import SUCCESS_FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence


def succeeded(results: Sequence[Statistics]) -> bool:
    """Tell whether every data set's success rate is above the contest's floor."""
    return all(result.success_rate > SUCCESS_FLOOR for result in results)


def mean_score(results: Sequence[Statistics]) -> float:
    """Return the contest's final score: the mean over data sets."""
    return fmean(result.score().score for result in results)


def as_json(results: Sequence[Statistics], *, speed: float, seed: int) -> dict[str, Any]:
    """Return all that was measured, in trace time."""
    return {
        "speed": speed,
        "seed": seed,
        "score": mean_score(results),
        "success": succeeded(results),
        "data_sets": [_data_set_json(result) for result in results],
    }


def as_table(results: Sequence[Statistics]) -> Table:
    """Return the summary: a column a data set."""
    table = Table(title=f"Score {mean_score(results):.3f}", title_justify="left")
    table.add_column("")
    columns = [_figures(result) for result in results]
    for result in results:
        table.add_column(result.run_id, justify="right", overflow="fold")
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "0") for column in columns))
    return table


def _figures(result: Statistics) -> dict[str, str]:
    """Name one data set's figures; a kind of failure is named only when it happened."""
    contest, score, slots = result.contest_json(), result.score(), result.slots()
    assign, idle, lag = *result.latency_ms().values(), result.issue_lag_ms()
    return {
        "score": f"{score.score:.3f}",
        "resource term": f"{score.resource:.3f}",
        "cold term": f"{score.cold:.3f}",
        "requests": f"{result.finished:,}",
        "success": f"{result.success_rate:.4%}",
        **{f"failed: {kind.value}": f"{count:,}" for kind, count in sorted(result.failures.items(), key=_by_name)},
        "execution": f"{contest['invocationExecutionTimeInGBs']:,} GB·s",
        "slots": f"{contest['totalSlotTimeInGBs']:,} GB·s",
        "waited in Assign": f"{contest['invocationScheduleTimeInSecs']:,} s",
        "waited in Idle": f"{contest['invocationIdleTimeInSecs']:,} s",
        "Assign p50 / p99 / max": f"{assign['p50']:,.1f} / {assign['p99']:,.1f} / {assign['max']:,.1f} ms",
        "Idle p50 / p99 / max": f"{idle['p50']:,.1f} / {idle['p99']:,.1f} / {idle['max']:,.1f} ms",
        "slots created": f"{slots.created:,}",
        "slots left": f"{slots.live:,}",
        "slots destroyed while busy": f"{slots.destroyed_busy:,}",
        "issued late, mean / max": f"{lag['mean']:,.1f} / {lag['max']:,.1f} ms",
    }


def _by_name(item: tuple[FailureKind, int]) -> str:
    return item[0].value


def _data_set_json(result: Statistics) -> dict[str, Any]:
    score, slots = result.score(), result.slots()
    return {
        "statistics": result.contest_json(),
        "resource": score.resource,
        "cold": score.cold,
        "latency_ms": result.latency_ms(),
        "issue_lag_ms": result.issue_lag_ms(),
        "failures": {
            kind.value: {"count": result.failures[kind], "first": result.first_failure.get(kind)}
            for kind in FailureKind
        },
        "slots": {"created": slots.created, "live": slots.live, "destroyed_busy": slots.destroyed_busy},
    }
