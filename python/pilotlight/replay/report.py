"""A finished replay as a table for people and as JSON for programs; docs/contest-kit.md documents the JSON."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from pilotlight.replay.statistics import FailureKind, Statistics
from pilotlight.simulation.score import SUCCESS_FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST_LAG_MS = 20.0
"""A mean lag of this program above this makes its figures its own, not the scaler's. Trace time, as the figures are."""

_LAGS = {
    "issue": "requests were issued",
    "end": "executions were ended",
    "platform": "CreateSlot and Init were answered",
}


def succeeded(results: Sequence[Statistics]) -> bool:
    """Tell whether every request of every data set was counted, and each success rate is above the contest's floor."""
    return all(result.uncounted == 0 and result.success_rate > SUCCESS_FLOOR for result in results)


def untrusted_because(result: Statistics) -> list[str]:
    """Say why the figures are not the scaler's; empty: they are."""
    return [
        f"{_LAGS[which]} {lag['mean']:,.1f} ms late on average, more than {MOST_LAG_MS:g} ms;"
        " give this program a faster machine, or lower --speed"
        for which, lag in result.lag_ms().items()
        if lag["mean"] > MOST_LAG_MS
    ]


def zero_because(result: Statistics) -> str | None:
    """Say why a score is 0; None: it is not."""
    if result.score().score > 0:
        return None
    if result.success_rate <= SUCCESS_FLOOR:
        kind, count = result.failures.most_common(1)[0]
        return (
            f"only {result.success_rate:.4%} of its requests succeeded, and more than {SUCCESS_FLOOR:.2%} must;"
            f" {count:,} failed with {kind.value}, the first: {result.first_failure[kind]}"
        )
    return f"its {result.finished:,} requests executed for less than a second in all, and for less than a GB·s"


def notes(results: Sequence[Statistics]) -> list[str]:
    """Say, a line each, what is wrong with the results: requests that were lost, a score of 0, too much lag."""
    lines = []
    for result in results:
        if result.uncounted:
            lines.append(
                f"{result.run_id}: failed: {result.uncounted:,} of {result.planned:,} requests were never over;"
                " this program lost them, please report it"
            )
        if (reason := zero_because(result)) is not None:
            lines.append(f"{result.run_id}: score 0: {reason}")
        lines += [f"{result.run_id}: untrusted: {reason}" for reason in untrusted_because(result)]
    return lines


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
        "trusted": not any(map(untrusted_because, results)),
        "data_sets": [_data_set_json(result) for result in results],
    }


def as_table(results: Sequence[Statistics]) -> Table:
    """Return the summary: a column a data set."""
    mark = " (untrusted)" if any(map(untrusted_because, results)) else ""
    table = Table(title=f"Score {mean_score(results):.3f}{mark}", title_justify="left")
    table.add_column("")
    columns = [_figures(result) for result in results]
    for result in results:
        table.add_column(Text(result.run_id), justify="right", overflow="fold")
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "0") for column in columns))
    return table


def _figures(result: Statistics) -> dict[str, str]:
    """Name one data set's figures; a kind of failure is named only when it happened."""
    contest, score, slots = result.contest_json(), result.score(), result.slots()
    assign, idle, lag = *result.latency_ms().values(), result.lag_ms()
    return {
        "score": f"{score.score:.3f}",
        "resource term": f"{score.resource:.3f}",
        "cold term": f"{score.cold:.3f}",
        "requests": f"{result.finished:,}",
        "success": f"{result.success_rate:.4%}",
        **{f"failed: {kind.value}": f"{count:,}" for kind, count in sorted(result.failures.items(), key=_by_name)},
        **({"foreign assignments": f"{result.foreign_assignments:,}"} if result.foreign_assignments else {}),
        "execution": f"{contest['invocationExecutionTimeInGBs']:,} GB·s",
        "slots": f"{contest['totalSlotTimeInGBs']:,} GB·s",
        "waited in Assign": f"{contest['invocationScheduleTimeInSecs']:,} s",
        "waited in Idle": f"{contest['invocationIdleTimeInSecs']:,} s",
        "Assign p50 / p99 / max": f"{assign['p50']:,.1f} / {assign['p99']:,.1f} / {assign['max']:,.1f} ms",
        "Idle p50 / p99 / max": f"{idle['p50']:,.1f} / {idle['p99']:,.1f} / {idle['max']:,.1f} ms",
        "slots created": f"{slots.created:,}",
        "slots left": f"{slots.live:,}",
        "slots destroyed while busy": f"{slots.destroyed_busy:,}",
        "issued late, mean / max": f"{lag['issue']['mean']:,.1f} / {lag['issue']['max']:,.1f} ms",
        "ended late, mean / max": f"{lag['end']['mean']:,.1f} / {lag['end']['max']:,.1f} ms",
        "platform late, mean": f"{lag['platform']['mean']:,.1f} ms",
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
        **{f"{which}_lag_ms": lag for which, lag in result.lag_ms().items()},
        "untrusted_because": untrusted_because(result),
        "zero_because": zero_because(result),
        "uncounted": result.uncounted,
        "failures": {
            kind.value: {"count": result.failures[kind], "first": result.first_failure.get(kind)}
            for kind in FailureKind
        },
        "foreign_assignments": {"count": result.foreign_assignments, "first": result.first_foreign},
        "slots": {"created": slots.created, "live": slots.live, "destroyed_busy": slots.destroyed_busy},
    }
