"""The chart's first panel: wasted memory against waiting, the frontier, every family's curve and the bound."""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import altair as alt

from pilotlight.comparison.drawing import (
    BAND,
    BOUND,
    WIDTH,
    family_colours,
    layered,
    legend,
    log_axis,
    log_scale,
    titled,
    tooltips,
)
from pilotlight.comparison.families import short_label
from pilotlight.comparison.frontier import frontier
from pilotlight.comparison.layout import LogAxis, place_labels
from pilotlight.simulation.runner import CLAIRVOYANT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pilotlight.comparison.comparison import Comparison, Standing

HEIGHT = 440
LINE_SAMPLE_PX = 12.0

NARROW = "narrow"
"""Parameter of the panel: true where there is no room for labels beside the points, and the legend names them."""


def frontier_panel(comparison: Comparison, *, responsive: bool) -> alt.LayerChart:
    """Draw every policy by its waste and waiting; a click on a family in the legend singles it out."""
    points = [standing.point for standing in comparison.standings]
    x = LogAxis.over([comparison.bound.wait_s, *(point.wait_s for point in points)])
    y = LogAxis.over([comparison.bound.waste_gb_s, *(point.waste_gb_s for point in points)])
    families = list(dict.fromkeys(standing.family for standing in comparison.standings))
    chosen = alt.selection_point(name="chosen_family", fields=["family"], bind="legend")
    narrow = alt.param(name=NARROW, value=False)
    lit = alt.condition(chosen, alt.value(1), alt.value(0.15))
    colour = alt.Color("family:N", scale=family_colours(families), legend=legend(), title=None)
    place_x = alt.X("x:Q", scale=log_scale(x), axis=log_axis(x, "s waited by all requests"))
    place_y = alt.Y("y:Q", scale=log_scale(y), axis=log_axis(y, "GB·s wasted"))
    rows = [_point_row(standing, x, y) for standing in comparison.standings]
    best = [rows[index] for index in frontier(points)]
    curves = [
        {"family": standing.family, "x": x.place(standing.point.wait_s), "y": y.place(standing.point.waste_gb_s)}
        for standing in comparison.standings
    ]
    band = alt.Chart(alt.InlineData(values=best)).mark_line(
        interpolate="step-after", strokeWidth=6, strokeJoin="round", strokeCap="round", color=BAND, opacity=0.35
    )
    lines = alt.Chart(alt.InlineData(values=curves)).mark_line(strokeWidth=1.6)
    dots = alt.Chart(alt.InlineData(values=rows)).mark_circle(opacity=1)
    layers = [
        *_bound_layers(comparison, x, y),
        band.encode(x=place_x, y=place_y, order="x:Q"),
        lines.encode(x=place_x, y=place_y, color=colour, order="x:Q", opacity=lit),
        dots.encode(
            x=place_x,
            y=place_y,
            color=colour,
            opacity=lit,
            size=alt.Size("size:Q", scale=None),
            tooltip=tooltips(
                "policy", "wasted GB·s", "waited s", "p99 wait s", "cold starts %", "score", "dominated by"
            ),
        ).add_params(chosen),
        _end_labels(comparison, x, y).encode(x=place_x, y=place_y, color=colour, opacity=lit),
    ]
    subtitle = ["Grey: the frontier, the least waste among policies that wait no longer. Large dots are on it."]
    subtitle.append("Both axes are logarithmic, with a place of its own for zero.")
    title = titled("Wasted memory against waiting", subtitle, responsive=responsive)
    panel: alt.LayerChart = layered(layers, HEIGHT, title, responsive=responsive).add_params(narrow)
    return panel


def _point_row(standing: Standing, x: LogAxis, y: LogAxis) -> dict[str, Any]:
    result, point = standing.result, standing.point
    return {
        "family": standing.family,
        "x": x.place(point.wait_s),
        "y": y.place(point.waste_gb_s),
        "size": 110 if standing.dominated_by is None else 45,
        "policy": result.policy,
        "wasted GB·s": f"{point.waste_gb_s:,.0f}",
        "waited s": f"{point.wait_s:,.1f}",
        "p99 wait s": f"{result.wait_ms['p99'] / 1000:,.2f}",
        "cold starts %": f"{100 * standing.cold_share:.2f}",
        "score": f"{result.contest.score:.2f}",
        "dominated by": standing.dominated_by or "none: on the frontier",
    }


def _bound_layers(comparison: Comparison, x: LogAxis, y: LogAxis) -> list[alt.Chart]:
    """Mark the bound, and its waste across the plot, by which all others can be read."""
    waste = comparison.bound.waste_gb_s
    row = {
        "x": x.place(0.0),
        "y": y.place(waste),
        "policy": CLAIRVOYANT,
        "wasted GB·s": f"{waste:,.0f}",
        "waited s": "0",
        "score": f"{comparison.simulation.bound.score:.2f}",
        "text": f"{CLAIRVOYANT}: {waste:,.0f} GB·s, nobody waits",
    }
    base = alt.Chart(alt.InlineData(values=[row]))
    rule = base.mark_rule(strokeDash=[2, 4], color=BOUND, opacity=0.7).encode(y="y:Q")
    star = base.mark_point(shape="diamond", size=170, filled=True, color=BOUND, opacity=1)
    text = base.mark_text(
        align="left",
        dx=12,
        dy=-9,
        color=BOUND,
        fontSize=11,
        fontWeight="bold",
        text=alt.ExprRef(f"{NARROW} ? datum.policy : datum.text"),
    )
    return [
        rule,
        star.encode(x="x:Q", y="y:Q", tooltip=tooltips("policy", "wasted GB·s", "waited s", "score")),
        text.encode(x="x:Q", y="y:Q"),
    ]


def _end_labels(comparison: Comparison, x: LogAxis, y: LogAxis) -> alt.Chart:
    """Name the two ends of every family, or its only point."""
    ends: list[Standing] = []
    for _, members in groupby(sorted(comparison.standings, key=lambda one: one.family), key=lambda one: one.family):
        ordered = sorted(members, key=lambda one: one.point)
        ends += dict.fromkeys((ordered[0], ordered[-1]))

    def pixels(standing: Standing) -> tuple[float, float]:
        return WIDTH * x.share(standing.point.wait_s), HEIGHT * (1 - y.share(standing.point.waste_gb_s))

    texts = [short_label(end.result.policy) for end in ends]
    marks = [*map(pixels, comparison.standings), *_along_lines(comparison, pixels)]
    placed = place_labels([pixels(end) for end in ends], texts, marks, (WIDTH, HEIGHT))
    rows = [
        {"text": text, **label._asdict(), **_point_row(end, x, y)}
        for text, label, end in zip(texts, placed, ends, strict=True)
    ]
    named = alt.Chart(alt.InlineData(values=rows)).mark_text(
        align=alt.ExprRef("datum.align"),
        dx=alt.ExprRef("datum.dx"),
        dy=alt.ExprRef("datum.dy"),
        baseline="middle",
        fontSize=alt.ExprRef(f"{NARROW} ? 0 : 11"),
        fontWeight=600,
    )
    labels: alt.Chart = named.encode(text="text:N")
    return labels


def _along_lines(
    comparison: Comparison, pixels: Callable[[Standing], tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    """Sample the lines between a family's points, so that labels keep clear of them too."""
    ordered = sorted(comparison.standings, key=lambda one: (one.family, one.point))
    for one, other in pairwise(ordered):
        if one.family == other.family:
            (x0, y0), (x1, y1) = pixels(one), pixels(other)
            steps = max(1, round(math.hypot(x1 - x0, y1 - y0) / LINE_SAMPLE_PX))
            yield from ((x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps) for step in range(1, steps))
