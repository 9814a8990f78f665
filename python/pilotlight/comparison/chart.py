"""Draws a comparison into a file: HTML that opens offline, SVG or PNG.

This module and its panels load Altair and the renderer; import it where a chart is asked for. Needs no browser and no
network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import vl_convert

from pilotlight.comparison.frontier_panel import frontier_panel
from pilotlight.comparison.panels import functions_panel, score_panel
from pilotlight.report.page import Page, chart_section, write_page
from pilotlight.report.theme import picture_theme
from pilotlight.starts.catalogue import DEFAULT
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.comparison.comparison import Comparison
    from pilotlight.report.page import Section

SUFFIXES = (".html", ".svg", ".png")
PNG_SCALE = 2

FRONTIER = "Each policy by GB·s wasted and seconds waited, with the frontier and the clairvoyant bound."
SCORES = "The two terms of each policy's score as stacked bars, the best first."
FUNCTIONS = "The functions that cost most, one a row, with what each policy makes them cost."


def write_chart(comparison: Comparison, path: Path) -> None:
    """Draw the comparison in the format that the file's suffix names (`SUFFIXES`).

    Raises:
        OSError: the file cannot be written.
    """
    if path.suffix == ".html":
        write_page(Page("Policies compared", _facts(comparison), comparison_sections(comparison)), path)
        return
    panels = [draw(comparison, responsive=False) for draw in (frontier_panel, score_panel, functions_panel)]
    stacked = alt.vconcat(*panels, spacing=36).resolve_scale(color="independent", shape="independent")
    spec = stacked.to_dict() | {"background": "white", "padding": 20, "config": picture_theme()}
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    else:
        path.write_bytes(vl_convert.vegalite_to_png(spec, scale=PNG_SCALE))


def comparison_sections(comparison: Comparison) -> list[Section]:
    """Draw the frontier, the scores and the functions for a page."""
    return [
        chart_section(frontier_panel(comparison, responsive=True), FRONTIER),
        chart_section(score_panel(comparison, responsive=True), SCORES),
        chart_section(functions_panel(comparison, responsive=True), FUNCTIONS),
    ]


def _facts(comparison: Comparison) -> list[str]:
    trace, settings = comparison.simulation.trace, comparison.simulation.settings
    starts = f"CreateSlot takes {settings.create_ms:g} ms" if settings.start == DEFAULT else f"starts: {settings.start}"
    ran = (
        f"{len(trace):,} requests of {trace.called:,} functions in {trace.length_ns / NS_PER_S:,.0f} s; "
        f"{starts}, the run goes on for {settings.tail_s:g} s after the last one; "
        f"{len(comparison.standings)} policies."
    )
    return [
        ran,
        "Hover or tap a mark for its figures; click a name in the first chart's legend to single it out.",
    ]
