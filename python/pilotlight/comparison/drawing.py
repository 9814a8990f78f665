"""What the chart's panels share. Colours of text and axes are left to the theme: one panel serves light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from pilotlight.comparison.families import available

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotlight.comparison.layout import LogAxis

WIDTH = 760
BOUND, BAND = "#d6336c", "#9aa4ae"


def layered(layers: Sequence[alt.Chart], height: int, title: alt.TitleParams, *, responsive: bool) -> alt.LayerChart:
    """Lay marks over each other, as wide as the page or `WIDTH` pixels."""
    return alt.LayerChart(layer=list(layers), width="container" if responsive else WIDTH, height=height, title=title)


def titled(text: str, subtitle: list[str], *, responsive: bool) -> alt.TitleParams:
    """Write a title and what the marks mean; over the plot, or on a page as far left as possible."""
    return alt.TitleParams(
        text, subtitle=subtitle, anchor="start", frame="bounds" if responsive else "group", offset=12
    )


def log_scale(axis: LogAxis) -> alt.Scale:
    """Scale an axis."""
    return alt.Scale(type="log", domain=[axis.low, axis.high], nice=False)


def log_axis(axis: LogAxis, title: str) -> alt.Axis:
    """Label an axis, the place for zero with 0."""
    number = "datum.value >= 1 ? format(datum.value, '~s') : format(datum.value, '~g')"
    if axis.zero is not None:
        number = f"datum.value < {axis.zero * 1.01} ? '0' : {number}"
    return alt.Axis(values=list(axis.ticks), labelExpr=number, title=title)


def name_axis() -> alt.Axis:
    """Label an axis with names."""
    return alt.Axis(ticks=False, domain=False)


def legend() -> alt.Legend:
    """Put the legend below, where it can be as wide as the plot."""
    return alt.Legend(orient="bottom", symbolOpacity=1, symbolSize=90)


def family_colours(families: list[str]) -> alt.Scale:
    """Give every family the colour it always has."""
    known = available()
    return alt.Scale(domain=families, range=[known[family].colour for family in families])


def tooltips(*fields: str) -> list[alt.Tooltip]:
    """Show these fields as they are written."""
    return [alt.Tooltip(field=field, type="nominal") for field in fields]
