"""The report's charts of why requests found no free instance, and what they waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from pilotlight.comparison.drawing import name_axis, tooltips
from pilotlight.comparison.families import short_label
from pilotlight.report.page import Figure, Grid, Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pilotlight.comparison.comparison import Standing
    from pilotlight.simulation.runner import PolicyResult

ROW_PX = 24
REASONS = {
    "first_request": ("its function's first request", "#7d8590"),
    "new_peak": ("more at once than instances to keep", "#2f7fd6"),
    "let_go": ("an instance was let go", "#d9480f"),
}
STAGE_COLOURS = ("#d9480f", "#e0a33c", "#2b8a3e", "#2f7fd6", "#ae3ec9", "#0c8599", "#b08900", "#e64980")
QUEUED = "queued"
"""What the simulator calls the part of a wait in which its start was in no stage."""


def starts_section(standings: Sequence[Standing], requests: int) -> Section:
    """Draw the queued requests by reason, and the seconds waited by the stage of a start, or what else for."""
    results = {short_label(one.result.policy): one.result for one in standings}
    reasons = {
        name: {reason: float(result.shortages[reason]) for reason in REASONS} for name, result in results.items()
    }
    waits = {name: _waits(result) for name, result in results.items()}
    figures = [
        _bars(reasons, REASONS, "requests", "Requests that found no free instance, by why"),
        _bars(waits, _wait_kinds(waits), "s", "Seconds waited, by stage of the start or what else for"),
    ]
    text = (
        f"Of {requests:,} requests, these found no free instance when they came, whatever served them later. "
        "One that misses an instance that was let go would have found one free, had every instance been kept that was "
        "ever ready and had no bad result. Keeping could not have spared the others; a start ahead of demand could."
    )
    return Section("Why requests waited, and for what", text, [Grid(figures, wide=True)])


def _waits(result: PolicyResult) -> dict[str, float]:
    """Sum the seconds waited for each stage of a start, for another request's end, and in vain."""
    stages = {stage: float(waited_s.sum()) for stage, waited_s in result.stage_wait_s.items()}
    return {**stages, **{cause: float(result.ledger["wait_s"][cause]) for cause in ("handoff", "failed")}}


def _wait_kinds(waits: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[str, str]]:
    """Name and colour what was waited for at all; if nobody waited, everything."""
    everything = list(next(iter(waits.values())))
    met = [kind for kind in everything if any(row[kind] for row in waits.values())] or everything
    others = {
        QUEUED: ("no start under way yet", "#7d8590"),
        "handoff": ("another request's end", "#3b8ea5"),
        "failed": ("in vain", "#868e96"),
    }
    colours = iter(STAGE_COLOURS * len(met))
    return {kind: others[kind] if kind in others else (f"a start: {kind}", next(colours)) for kind in met}


def _bars(
    amounts: Mapping[str, Mapping[str, float]], kinds: Mapping[str, tuple[str, str]], unit: str, caption: str
) -> Figure:
    rows: list[dict[str, Any]] = [
        {"policy": policy, "kind": label, "order": order, "amount": row[kind], unit: f"{row[kind]:,.0f}"}
        for policy, row in amounts.items()
        for order, (kind, (label, _)) in enumerate(kinds.items())
    ]
    key = alt.Legend(orient="bottom", symbolSize=90, columns=1, labelLimit=300)
    labels, colours = zip(*kinds.values(), strict=True)
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(height={"band": 0.7})
        .encode(
            y=alt.Y("policy:N", sort=list(amounts), title=None, axis=name_axis()),
            x=alt.X("amount:Q", title=unit, stack="zero", axis=alt.Axis(tickCount=4, format="~s")),
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=list(labels), range=list(colours)), legend=key, title=None
            ),
            order="order:Q",
            tooltip=tooltips("policy", "kind", unit),
        )
        .properties(width="container", height=ROW_PX * len(amounts))
    )
    description = f"{caption}. " + " ".join(
        f"{policy}: " + ", ".join(f"{label} {row[kind]:,.0f} {unit}" for kind, (label, _) in kinds.items()) + "."
        for policy, row in amounts.items()
    )
    return Figure(chart.to_dict(), description, caption)
