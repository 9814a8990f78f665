"""The report's charts of the run over time: requests, then memory and instances by what they did, a panel a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from pilotlight.comparison.families import short_label
from pilotlight.report.page import Figure, Grid, Section
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pilotlight.comparison.comparison import Standing

HEIGHT = 130
LOAD_HEIGHT = 110
STATES = ("busy", "starting", "idle")
COLOURS = ("#3b8ea5", "#d6336c", "#e0a33c")
LONGEST_IN_S, LONGEST_IN_MIN = 600, 7200
"""Runs up to this long have axes in seconds, in minutes; longer ones in hours."""

DECIMALS = 4


def load_section(standings: Sequence[Standing], length_s: float) -> Section:
    """Draw the trace's requests a second, and how many seconds each policy made them wait meanwhile."""
    first = standings[0].result.series
    rate = first["assigns"] / _spans_s(first)
    waiting = [(one.result, one.result.series["wait_s"] / _spans_s(one.result.series)) for one in standings]
    most = max(float(column.max()) for _, column in waiting)
    arrivals = _area(first, rate, length_s, colour="#7d8590")
    about = f"Requests that arrived a second over time, at most {float(rate.max()):,.1f}."
    figures = [Figure(arrivals, about, "Requests a second")]
    for result, column in waiting:
        name = short_label(result.policy)
        spec = _area(result.series, column, length_s, colour="#d6336c", most=most)
        about = f"Seconds waited a second over time under {name}, at most {float(column.max()):,.2f}."
        figures.append(Figure(spec, about, f"Seconds waited a second: {name}"))
    text = (
        "Means over equal spans of time. The requests are the same for every policy; a wait is booked when it ends, "
        "and its scale is the same for all."
    )
    return Section("Load and waiting over time", text, [Grid(figures)])


def memory_section(standings: Sequence[Standing], length_s: float) -> Section:
    """Draw the memory that slots held, by what they did."""
    text = "Memory in slots by what they do, means over equal spans of time. The scale is the same for every policy."
    return Section("Memory over time", text, [_stacks(standings, length_s, "gb", "GB")])


def instances_section(standings: Sequence[Standing], length_s: float) -> Section:
    """Draw how many slots there were, by what they did."""
    text = "Slots by what they do, means over equal spans of time. The scale is the same for every policy."
    return Section("Instances over time", text, [_stacks(standings, length_s, "slots", "instances")])


def _stacks(standings: Sequence[Standing], length_s: float, column: str, unit: str) -> Grid:
    """Stack the states of each policy's slots, all on one scale."""
    columns = [[one.result.series[f"{state}_{column}"] for state in STATES] for one in standings]
    most = max(float(np.sum(states, axis=0).max()) for states in columns)
    figures = []
    for standing, states in zip(standings, columns, strict=True):
        series, name = standing.result.series, short_label(standing.result.policy)
        rows = _rows(series, length_s, dict(zip(STATES, states, strict=True)))
        means = [float(np.average(amounts, weights=_spans_s(series))) for amounts in states]
        parts = ", ".join(f"{state} {mean:,.1f}" for state, mean in zip(STATES, means, strict=True))
        peak = float(np.sum(states, axis=0).max())
        about = f"{unit} over time under {name}; on average {parts}; at most {peak:,.1f}."
        figures.append(Figure(_stack(rows, length_s, most, unit), about, name))
    return Grid(figures, list(zip(STATES, COLOURS, strict=True)))


def _stack(rows: list[dict[str, float]], length_s: float, most: float, unit: str) -> dict[str, Any]:
    states = list(STATES)
    amount = alt.Y("amount:Q", stack="zero", title=unit, scale=alt.Scale(domain=[0, most]), axis=alt.Axis(tickCount=4))
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .transform_fold([*states], as_=["state", "amount"])
        .transform_calculate(order=f"indexof({states}, datum.state)")
        .mark_area(interpolate="step-before", line=False)
        .encode(
            x=_time_axis(length_s),
            y=amount,
            color=alt.Color("state:N", scale=alt.Scale(domain=states, range=list(COLOURS)), legend=None),
            order="order:Q",
        )
        .properties(width="container", height=HEIGHT)
    )
    spec: dict[str, Any] = chart.to_dict()
    return spec


def _area(
    series: dict[str, NDArray[Any]],
    column: NDArray[np.float64],
    length_s: float,
    *,
    colour: str,
    most: float | None = None,
) -> dict[str, Any]:
    scale = alt.Scale(domain=[0, most]) if most else alt.Scale()
    height = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4, minExtent=30))
    chart = (
        alt.Chart(alt.InlineData(values=_rows(series, length_s, {"value": column})))
        .mark_area(interpolate="step-before", color=colour, opacity=0.85)
        .encode(x=_time_axis(length_s), y=height)
        .properties(width="container", height=LOAD_HEIGHT)
    )
    spec: dict[str, Any] = chart.to_dict()
    return spec


def _rows(
    series: dict[str, NDArray[Any]], length_s: float, columns: dict[str, NDArray[np.float64]]
) -> list[dict[str, float]]:
    """Make a row a span, at its end; few digits, for a page has many of them."""
    times = np.round(series["end_ns"] / NS_PER_S / _unit(length_s)[1], DECIMALS).tolist()
    values = {name: np.round(column, DECIMALS).tolist() for name, column in columns.items()}
    return [{"t": time, **{name: column[row] for name, column in values.items()}} for row, time in enumerate(times)]


def _time_axis(length_s: float) -> alt.X:
    """Lay time out from the first arrival to the end of the run."""
    unit, seconds = _unit(length_s)
    scale = alt.Scale(nice=False, domain=[0, length_s / seconds])
    return alt.X("t:Q", title=unit, scale=scale, axis=alt.Axis(grid=False, tickCount=6))


def _unit(length_s: float) -> tuple[str, float]:
    if length_s <= LONGEST_IN_S:
        return "seconds", 1.0
    return ("minutes", 60.0) if length_s <= LONGEST_IN_MIN else ("hours", 3600.0)


def _spans_s(series: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Say how long each span is; the last one may be shorter."""
    ends_s = series["end_ns"].astype(np.float64) / NS_PER_S
    spans: NDArray[np.float64] = ends_s - np.concatenate([[0.0], ends_s[:-1]])
    return spans
