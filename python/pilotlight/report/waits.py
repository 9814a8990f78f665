"""The report's chart of how long requests waited: the share that waited longer than a time, by policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from pilotlight.comparison.drawing import layered, titled, tooltips
from pilotlight.report.page import chart_section
from pilotlight.report.policy_style import policy_styles
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pilotlight.comparison.comparison import Standing
    from pilotlight.report.page import Section

HEIGHT = 320
SECONDS = "datum.value >= 1 ? format(datum.value, '~s') + ' s' : format(datum.value * 1000, '~g') + ' ms'"
PERCENT = "format(datum.value, '~g') + ' %'"
DECADES = tuple(10.0**power for power in range(-6, 8))


def waits_section(standings: Sequence[Standing], requests: int) -> Section:
    """Draw the waiting times of some policies, both axes logarithmic.

    Args:
        standings: the policies; their results hold the distribution.
        requests: of the trace, which the shares are of.
    """
    styles = policy_styles(standings)
    rows: list[dict[str, Any]] = []
    for standing, name in zip(standings, styles.names, strict=True):
        waits = standing.result.waits
        rows += [
            {
                "policy": name,
                "wait": wait_ns / NS_PER_S,
                "share": 100 * longer / requests,
                "waited longer than": f"{wait_ns / NS_PER_S:,.3g} s",
                "requests": f"{longer:,} ({100 * longer / requests:.3g} %)",
            }
            for wait_ns, longer in _falling(waits["wait_ns"].tolist(), waits["longer"].tolist())
        ]
    base = alt.Chart(alt.InlineData(values=rows))
    scale = alt.Scale(type="log", nice=False)
    times = alt.Axis(labelExpr=SECONDS, values=list(DECADES))
    place_x = alt.X("wait:Q", scale=scale, axis=times, title="waited longer than")
    shares = alt.Axis(labelExpr=PERCENT, values=list(DECADES))
    place_y = alt.Y("share:Q", scale=scale, axis=shares, title="of all requests")
    line = base.mark_line(strokeWidth=2, interpolate="step-before").encode(
        x=place_x, y=place_y, color=styles.colour(), strokeDash=styles.dash()
    )
    # A line has no place to hover over: wide invisible dots along it do.
    dots = base.mark_point(size=120, opacity=0, filled=True).encode(
        x=place_x, y=place_y, tooltip=tooltips("policy", "waited longer than", "requests")
    )
    subtitle = [
        "The share of requests that waited longer than a time; the lower and the further left, the better.",
        "A line begins at the share that waited at all. Both axes are logarithmic.",
    ]
    title = titled("How long requests waited", subtitle, responsive=True)
    description = "Share of requests that waited longer than a time, one falling line a policy. " + " ".join(
        f"{name}: 99 of 100 waited at most {standing.result.wait_ms['p99']:,.0f} ms, the longest "
        f"{standing.result.wait_ms['max']:,.0f} ms."
        for standing, name in zip(standings, styles.names, strict=True)
    )
    return chart_section(layered([line, dots], HEIGHT, title, responsive=True), description)


def _falling(wait_ns: list[int], longer: list[int]) -> list[tuple[int, int]]:
    """Leave out times that nobody waited longer than, and of those that everybody who waited did all but the last."""
    level = sum(1 for count in longer if count == longer[0])
    return [point for point in list(zip(wait_ns, longer, strict=True))[level - 1 :] if point[1] > 0]
