"""An inspection as pictures: HTML that opens offline, SVG or PNG.

This module alone loads Altair and the renderer; import it where pictures are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import vl_convert

from pilotlight.comparison.drawing import layered, titled
from pilotlight.inspection.arrivals import counts
from pilotlight.report.page import Page, chart_section, write_page
from pilotlight.report.theme import picture_theme
from pilotlight.traces.trace import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.inspection.inspection import Inspection

SUFFIXES = (".html", ".svg", ".png")
PNG_SCALE = 2
HEIGHT = 200
BINS = 400
POINTS = 200
HOLE = "#d6336c"


def write_pictures(inspection: Inspection, path: Path) -> None:
    """Draw the inspection in the format that the file's suffix names (`SUFFIXES`).

    Raises:
        OSError: the file cannot be written.
    """
    responsive = path.suffix == ".html"
    panels = [draw(inspection, responsive=responsive) for draw in (_load, _gaps, _popularity, _durations)]
    if len(inspection.periods.correlations) > 1:
        panels.insert(1, _autocorrelation(inspection, responsive=responsive))
    if responsive:
        trace = inspection.trace
        facts = f"{len(trace):,} requests of {trace.called:,} functions in {trace.length_ns / NS_PER_S:,.0f} s."
        sections = [chart_section(panel, str(panel.title.text)) for panel in panels]
        write_page(Page("What the trace is", [facts], sections), path)
        return
    stacked = alt.vconcat(*panels, spacing=36).resolve_scale(color="independent")
    spec = stacked.to_dict() | {"background": "white", "padding": 20, "config": picture_theme()}
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    else:
        path.write_bytes(vl_convert.vegalite_to_png(spec, scale=PNG_SCALE))


def _load(inspection: Inspection, *, responsive: bool) -> alt.LayerChart:
    """Draw requests a second over time, holes marked."""
    trace = inspection.trace
    width_s = max(trace.length_ns / NS_PER_S / BINS, 0.001)
    bins = counts(trace.arrival_ns, width_s) / width_s
    rows = [{"s": place * width_s, "rate": float(rate)} for place, rate in enumerate(bins.tolist())]
    holes = [{"s": hole.start_s, "end": hole.start_s + hole.length_s} for hole in inspection.holes.longest]
    line = alt.Chart(alt.InlineData(values=rows)).mark_area(interpolate="step-after", opacity=0.8, color="#3b8ea5")
    layers = [
        line.encode(x=alt.X("s:Q", title="s after the first request"), y=alt.Y("rate:Q", title="requests a second"))
    ]
    if holes:
        rects = alt.Chart(alt.InlineData(values=holes)).mark_rect(opacity=0.35, color=HOLE)
        layers.append(rects.encode(x="s:Q", x2="end:Q"))
    title = titled("Load over time", ["Red: the longest holes, in which nothing arrives."], responsive=responsive)
    return layered(layers, HEIGHT, title, responsive=responsive)


def _autocorrelation(inspection: Inspection, *, responsive: bool) -> alt.LayerChart:
    """Draw how much the counts resemble themselves, periods marked."""
    width_s, values = inspection.periods.width_s, inspection.periods.correlations[1:]
    step = max(1, len(values) // 1000)
    rows = [{"s": (place + 1) * width_s, "r": float(values[place])} for place in range(0, len(values), step)]
    marks = [{"s": period.period_s} for period in inspection.periods.load]
    line = alt.Chart(alt.InlineData(values=rows)).mark_line(strokeWidth=1, color="#3b8ea5")
    layers = [line.encode(x=alt.X("s:Q", title="lag, s"), y=alt.Y("r:Q", title="autocorrelation"))]
    if marks:
        layers.append(alt.Chart(alt.InlineData(values=marks)).mark_rule(color=HOLE, strokeDash=[4, 3]).encode(x="s:Q"))
    title = titled(
        "Periods", [f"Of counts in bins of {width_s:g} s; dashed: the periods found."], responsive=responsive
    )
    return layered(layers, HEIGHT, title, responsive=responsive)


def _gaps(inspection: Inspection, *, responsive: bool) -> alt.LayerChart:
    """Draw the distribution of the idle gaps of each demand level."""
    rows = [
        {"s": max(float(each.gaps_s[place]), 1e-3), "share": (place + 1) / len(each.gaps_s), "level": str(each.level)}
        for each in inspection.demand.levels
        for place in np.unique(np.linspace(0, len(each.gaps_s) - 1, POINTS).astype(int)).tolist()
    ]
    order = [str(each.level) for each in inspection.demand.levels]
    line = alt.Chart(alt.InlineData(values=rows)).mark_line(interpolate="step-after")
    layer = line.encode(
        x=alt.X("s:Q", scale=alt.Scale(type="log"), title="s"),
        y=alt.Y("share:Q", title="share of gaps"),
        color=alt.Color("level:N", sort=order, scale=alt.Scale(scheme="viridis"), title="level"),
    )
    title = titled("Idle gaps by demand level", ["Share of the gaps that are at most so long."], responsive=responsive)
    return layered([layer], HEIGHT, title, responsive=responsive)


def _popularity(inspection: Inspection, *, responsive: bool) -> alt.LayerChart:
    """Draw how often functions are called, by rank."""
    calls = inspection.popularity.counts
    places = np.unique(np.geomspace(1, len(calls), POINTS).astype(int)) - 1
    rows = [{"rank": place + 1, "calls": int(calls[place])} for place in places.tolist()]
    line = alt.Chart(alt.InlineData(values=rows)).mark_line(point=True, color="#3b8ea5")
    layer = line.encode(
        x=alt.X("rank:Q", scale=alt.Scale(type="log"), title="rank"),
        y=alt.Y("calls:Q", scale=alt.Scale(type="log"), title="requests"),
    )
    title = titled("Popularity", ["Requests of each function, the most called first."], responsive=responsive)
    return layered([layer], HEIGHT, title, responsive=responsive)


def _durations(inspection: Inspection, *, responsive: bool) -> alt.LayerChart:
    """Draw the distribution of durations."""
    levels = np.linspace(0, 1, POINTS)
    values_ms = np.quantile(inspection.trace.duration_ns / NS_PER_MS, levels)
    rows = [
        {"ms": max(value, 0.01), "share": share}
        for value, share in zip(values_ms.tolist(), levels.tolist(), strict=True)
    ]
    line = alt.Chart(alt.InlineData(values=rows)).mark_line(color="#e0a33c")
    layer = line.encode(
        x=alt.X("ms:Q", scale=alt.Scale(type="log"), title="ms"), y=alt.Y("share:Q", title="share of requests")
    )
    title = titled("Durations", ["Share of the requests that execute at most so long."], responsive=responsive)
    return layered([layer], HEIGHT, title, responsive=responsive)
