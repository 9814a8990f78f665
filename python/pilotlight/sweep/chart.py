"""Draws a sweep: how the objective answers to each parameter, and waste against waiting of all settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import altair as alt
import vl_convert

from pilotlight.comparison.chart import PNG_SCALE
from pilotlight.comparison.drawing import BAND, layered, log_axis, log_scale, titled, tooltips
from pilotlight.comparison.frontier import Point, frontier
from pilotlight.comparison.layout import LogAxis
from pilotlight.report.page import Page, chart_section, write_page
from pilotlight.report.theme import picture_theme
from pilotlight.sweep.objective import OBJECTIVES
from pilotlight.sweep.space import parameters_of

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

RESPONSE_HEIGHT, FRONTIER_HEIGHT = 260, 360
BEST, OTHER, BROKEN = "#d9480f", "#2f7fd6", "#9aa4ae"
KINDS = ("best", "other", "breaks a limit")
WIDE_RANGE = 20
"""From this ratio of largest to smallest value on, an axis is logarithmic."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def write_chart(best: pl.DataFrame, objective: str, path: Path) -> None:
    """Draw the settings in the format that the file's suffix names: .html, .svg or .png.

    Raises:
        OSError: the file cannot be written.
    """
    rows = _rows(best)
    varied = [name for name in parameters_of(best["policy"][0]) if len({row.get(name) for row in rows}) > 1]
    responsive = path.suffix == ".html"
    panels = [
        *(_response(rows, name, objective, responsive=responsive) for name in varied),
        _frontier(rows, responsive=responsive),
    ]
    if responsive:
        about = f"{len(best)} settings by {objective}: {OBJECTIVES[objective]}. The best is {best['policy'][0]}."
        write_page(Page("Sweep", [about], [chart_section(panel, about) for panel in panels]), path)
        return
    spec = alt.vconcat(*panels, spacing=36).to_dict() | {"background": "white", "padding": 20}
    spec["config"] = picture_theme()
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    else:
        path.write_bytes(vl_convert.vegalite_to_png(spec, scale=PNG_SCALE))


def _rows(best: pl.DataFrame) -> list[dict[str, Any]]:
    """Make a row a setting, its parameters beside its figures; the best is the first that keeps the limits."""
    rows = []
    for place, row in enumerate(best.iter_rows(named=True)):
        kind = KINDS[2] if not row["kept"] else KINDS[0] if place == 0 else KINDS[1]
        shown = {
            "wasted GB·s": f"{row['waste_gb_s']:,.0f}",
            "waited s": f"{row['wait_s']:,.1f}",
            "p99 ms": f"{row['p99_ms']:,.0f}",
            "score of 100": f"{row['score']:.2f}",
        }
        rows.append({**row, **shown, "kind": kind, **parameters_of(row["policy"])})
    return rows


def _response(rows: list[dict[str, Any]], name: str, objective: str, *, responsive: bool) -> alt.LayerChart:
    numbers = [_NUMBER.match(str(row[name])) for row in rows]
    units = {str(row[name])[found.end() :] for row, found in zip(rows, numbers, strict=True) if found}
    if None in numbers or len(units) != 1:
        place_x = alt.X("at:N", title=name, sort=list(dict.fromkeys(str(row[name]) for row in rows)))
        values: list[Any] = [str(row[name]) for row in rows]
    else:
        values = [float(found[0]) for found in numbers if found]
        (unit,) = units
        positive = min(values) > 0 and max(values) / min(values) >= WIDE_RANGE
        scale = alt.Scale(type="log" if positive else "linear", nice=False, zero=False, padding=12)
        place_x = alt.X("at:Q", title=f"{name}, {unit}" if unit else name, scale=scale, axis=alt.Axis(tickCount=8))
    placed = [{**row, "at": value} for row, value in zip(rows, values, strict=True)]
    place_y = alt.Y(
        "objective:Q", title=objective, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6, format="~s")
    )
    dots = alt.Chart(alt.InlineData(values=placed)).mark_circle(size=70, opacity=0.9)
    layer = dots.encode(x=place_x, y=place_y, color=_colour(rows), tooltip=_tooltip())
    title = titled(f"How {objective} answers to {name}", [OBJECTIVES[objective] + "."], responsive=responsive)
    return layered([layer], RESPONSE_HEIGHT, title, responsive=responsive)


def _frontier(rows: list[dict[str, Any]], *, responsive: bool) -> alt.LayerChart:
    points = [Point(row["wait_s"], row["waste_gb_s"]) for row in rows]
    x, y = LogAxis.over(point.wait_s for point in points), LogAxis.over(point.waste_gb_s for point in points)
    placed = [{**row, "x": x.place(row["wait_s"]), "y": y.place(row["waste_gb_s"])} for row in rows]
    band = alt.Chart(alt.InlineData(values=[placed[index] for index in frontier(points)]))
    place_x = alt.X("x:Q", scale=log_scale(x), axis=log_axis(x, "s waited by all requests"))
    place_y = alt.Y("y:Q", scale=log_scale(y), axis=log_axis(y, "GB·s wasted"))
    line = band.mark_line(interpolate="step-after", strokeWidth=6, strokeJoin="round", color=BAND, opacity=0.35)
    dots = alt.Chart(alt.InlineData(values=placed)).mark_circle(size=70, opacity=0.9)
    layers = [
        line.encode(x=place_x, y=place_y, order="x:Q"),
        dots.encode(x=place_x, y=place_y, color=_colour(rows), tooltip=_tooltip()),
    ]
    subtitle = ["Grey: the least waste among settings that wait no longer. Both axes are logarithmic."]
    title = titled("Wasted memory against waiting", subtitle, responsive=responsive)
    return layered(layers, FRONTIER_HEIGHT, title, responsive=responsive)


def _colour(rows: list[dict[str, Any]]) -> alt.Color:
    """Colour settings by kind; the legend names those there are."""
    kinds = {row["kind"] for row in rows}
    met = [(kind, colour) for kind, colour in zip(KINDS, (BEST, OTHER, BROKEN), strict=True) if kind in kinds]
    scale = alt.Scale(domain=[kind for kind, _ in met], range=[colour for _, colour in met])
    return alt.Color("kind:N", scale=scale, legend=alt.Legend(orient="bottom", symbolSize=90), title=None)


def _tooltip() -> list[alt.Tooltip]:
    return tooltips("policy", "wasted GB·s", "waited s", "p99 ms", "score of 100")
