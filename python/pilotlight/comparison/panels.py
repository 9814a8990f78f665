"""The chart's second and third panel: the score's terms, and who wins which function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from pilotlight.comparison.drawing import (
    BAND,
    BOUND,
    layered,
    legend,
    log_axis,
    log_scale,
    name_axis,
    titled,
    tooltips,
)
from pilotlight.comparison.families import available, short_label
from pilotlight.comparison.functions import function_costs
from pilotlight.comparison.layout import LogAxis
from pilotlight.simulation.runner import CLAIRVOYANT

if TYPE_CHECKING:
    from pilotlight.comparison.comparison import Comparison

ROW_PX = 20
FUNCTIONS = 20
SHOWN = 12
"""How many policies a panel has room for; of more, each family's best is shown."""

RESOURCE, COLD = "#e0a33c", "#3b8ea5"
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")


def score_panel(comparison: Comparison, *, responsive: bool) -> alt.LayerChart:
    """Stack the two terms of each policy's score, the bound first."""
    bound = comparison.simulation.bound
    scores = [(CLAIRVOYANT, bound.resource, bound.cold, bound.score)]
    for standing in comparison.best_scores(SHOWN):
        contest = standing.result.contest
        scores.append((short_label(standing.result.policy), contest.resource, contest.cold, contest.score))
    rows = [
        {"policy": policy, "term": term, "points": points, "order": order, "of 50": f"{points:.2f}"}
        for policy, resource, cold, _ in scores
        for order, (term, points) in enumerate((("resource", resource), ("cold", cold)))
    ]
    totals = [
        {"policy": policy, "points": resource + cold, "text": f"{score:.1f}"}
        for policy, resource, cold, score in scores
    ]
    place_y = alt.Y("policy:N", sort=[policy for policy, *_ in scores], title=None, axis=name_axis())
    place_x = alt.X(
        "points:Q", title="points of 100", scale=alt.Scale(domain=[0, 100]), stack="zero", axis=alt.Axis(tickCount=5)
    )
    colour = alt.Color(
        "term:N",
        scale=alt.Scale(domain=["resource", "cold"], range=[RESOURCE, COLD]),
        legend=legend(),
        title=None,
    )
    bars = alt.Chart(alt.InlineData(values=rows)).mark_bar(height={"band": 0.72})
    text = alt.Chart(alt.InlineData(values=totals)).mark_text(align="left", dx=5, fontSize=11, fontWeight=600)
    layers = [
        bars.encode(y=place_y, x=place_x, color=colour, order="order:Q", tooltip=tooltips("policy", "term", "of 50")),
        text.encode(y=place_y, x=alt.X("points:Q"), text="text:N"),
    ]
    shown = "The best of each family by score." if len(scores) <= len(comparison.standings) else "Every policy."
    subtitle = [f"{shown} resource: memory well used; cold: requests that did not wait."]
    title = titled("Where the score comes from", subtitle, responsive=responsive)
    return layered(layers, ROW_PX * len(scores), title, responsive=responsive)


def functions_panel(comparison: Comparison, *, responsive: bool) -> alt.LayerChart:
    """Lay the policies' costs out in a row for each of the dearest functions."""
    shown = comparison.cheapest(SHOWN)
    costs = function_costs(comparison, shown).dearest(FUNCTIONS)
    wins = costs.wins
    names = [short_label(policy) for policy in costs.policies]
    axis = LogAxis.over([*costs.cost.ravel().tolist(), *costs.bound.tolist()])
    rows = [
        {
            "function": key,
            "policy": name,
            "x": axis.place(float(costs.cost[row, place])),
            "size": 130 if wins[row, place] else 38,
            "shade": 1.0 if wins[row, place] else 0.5,
            "cost GB·s": f"{costs.cost[row, place]:,.1f}",
            "wasted GB·s": f"{costs.waste_gb_s[row, place]:,.1f}",
            "waited s": f"{costs.wait_s[row, place]:,.1f}",
            "requests": f"{costs.requests[place]:,}",
            "MB": f"{costs.memory_mb[place]:,}",
        }
        for place, key in enumerate(costs.keys)
        for row, name in enumerate(names)
    ]
    rows.sort(key=lambda row: row["shade"])  # winners are drawn last, over the others
    spans = [
        {
            "function": key,
            "x": axis.place(float(costs.cost[:, place].min())),
            "x2": axis.place(float(costs.cost[:, place].max())),
            "bound": axis.place(float(costs.bound[place])),
            "clairvoyant GB·s": f"{costs.bound[place]:,.1f}",
        }
        for place, key in enumerate(costs.keys)
    ]
    place_y = alt.Y("function:N", sort=list(costs.keys), title=None, axis=name_axis())
    lambda_ = f"{comparison.lambda_:g}"
    place_x = alt.X("x:Q", scale=log_scale(axis), axis=log_axis(axis, f"cost: GB·s wasted + {lambda_} · s waited"))
    colours = [available()[family].colour for family in costs.families]
    span, dots = alt.Chart(alt.InlineData(values=spans)), alt.Chart(alt.InlineData(values=rows))
    layers = [
        span.mark_rule(color=BAND, opacity=0.5).encode(y=place_y, x=place_x, x2="x2:Q"),
        span.mark_tick(color=BOUND, thickness=2, size=13).encode(
            y=place_y, x=alt.X("bound:Q"), tooltip=tooltips("function", "clairvoyant GB·s")
        ),
        dots.mark_point(filled=True, opacity=1).encode(
            y=place_y,
            x=place_x,
            color=alt.Color("policy:N", scale=alt.Scale(domain=names, range=colours), legend=legend(), title=None),
            shape=alt.Shape(
                "policy:N",
                scale=alt.Scale(domain=names, range=[SHAPES[row % len(SHAPES)] for row in range(len(names))]),
                title=None,
            ),
            size=alt.Size("size:Q", scale=None),
            opacity=alt.Opacity("shade:Q", scale=None),
            tooltip=tooltips("function", "policy", "cost GB·s", "wasted GB·s", "waited s", "requests", "MB"),
        ),
    ]
    chosen = f"Of each family the cheapest at lambda = {lambda_}. " if len(shown) < len(comparison.standings) else ""
    subtitle = [f"The {len(costs.keys)} functions that cost most, the dearest first. {chosen}"]
    subtitle.append("Large: the cheapest policy there. Red tick: what the clairvoyant wastes.")
    title = titled("Who wins which function", subtitle, responsive=responsive)
    return layered(layers, ROW_PX * len(costs.keys), title, responsive=responsive)
