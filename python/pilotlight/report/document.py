"""The report: everything about a comparison on one page that opens offline. docs/report.md shows one.

`write_report` is called by `simulate --report` and `compare --report`. This module loads Altair and the renderer;
import it where a report is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotlight.comparison.chart import FRONTIER, FUNCTIONS, SCORES
from pilotlight.comparison.frontier_panel import frontier_panel
from pilotlight.comparison.panels import functions_panel, score_panel
from pilotlight.report.over_time import instances_section, load_section, memory_section
from pilotlight.report.page import Page, chart_section, write_page
from pilotlight.report.setup import configuration_section, trace_section
from pilotlight.report.starts import starts_section
from pilotlight.report.summary import functions_section, summary_section
from pilotlight.report.waits import waits_section
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pilotlight.comparison.comparison import Comparison, Standing
    from pilotlight.report.page import Section

LINES = 12
"""How many policies a chart of lines or bars has room for."""

PANELS = 6
"""How many policies get panels and tables of their own."""


def write_report(comparison: Comparison, source: Mapping[str, Any], command: str, path: Path) -> None:
    """Write the report of a comparison whose results hold their series.

    Args:
        comparison: the results.
        source: where the trace came from.
        command: the command line, as it can be repeated.
        path: of the HTML file.

    Raises:
        OSError: the file cannot be written.
    """
    trace = comparison.simulation.trace
    policies = len(comparison.standings)
    facts = (
        f"{len(trace):,} requests of {trace.called:,} functions in {trace.length_ns / NS_PER_S:,.0f} s, "
        f"{policies} {'policy' if policies == 1 else 'policies'}, seed {comparison.simulation.settings.seed}. "
        "Hover or tap a mark for its figures."
    )
    write_page(Page("Pilotlight report", [facts], report_sections(comparison, source, command)), path)


def report_sections(comparison: Comparison, source: Mapping[str, Any], command: str) -> list[Section]:
    """Lay the report out."""
    simulation = comparison.simulation
    lines = comparison.cheapest(LINES)
    panels = _panelled(comparison)
    end_s = int(simulation.results[0].series["end_ns"][-1]) / NS_PER_S
    return [
        summary_section(comparison),
        chart_section(frontier_panel(comparison, responsive=True), FRONTIER),
        chart_section(score_panel(comparison, responsive=True), SCORES),
        waits_section(lines, len(simulation.trace)),
        load_section(panels, end_s),
        memory_section(panels, end_s),
        instances_section(panels, end_s),
        starts_section(lines, len(simulation.trace)),
        chart_section(functions_panel(comparison, responsive=True), FUNCTIONS),
        functions_section(comparison, panels),
        configuration_section(comparison, command),
        trace_section(comparison, source),
    ]


def _panelled(comparison: Comparison) -> list[Standing]:
    """Pick who gets panels: the cheapest policies, the cheapest first."""
    return sorted(comparison.cheapest(PANELS), key=comparison.cost)[:PANELS]
