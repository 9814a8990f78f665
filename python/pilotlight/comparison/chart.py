"""Draws a comparison into a file: HTML that opens offline, SVG or PNG.

This module and its panels alone load Altair and the renderer; import it where a chart is asked for. Needs no browser
and no network. The HTML file holds its scripts and loads nothing.
"""

from __future__ import annotations

import html
import json
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

import altair as alt
import vl_convert

from pilotlight import __version__
from pilotlight.comparison.frontier_panel import frontier_panel
from pilotlight.comparison.panels import functions_panel, score_panel
from pilotlight.starts.catalogue import DEFAULT
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.comparison.comparison import Comparison

SUFFIXES = (".html", ".svg", ".png")
PNG_SCALE = 2
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def write_chart(comparison: Comparison, path: Path) -> None:
    """Draw the comparison in the format that the file's suffix names (`SUFFIXES`).

    Raises:
        OSError: the file cannot be written.
    """
    if path.suffix == ".html":
        path.write_text(_page(comparison), encoding="utf-8")
        return
    stacked = alt.vconcat(*_panels(comparison, responsive=False), spacing=36).resolve_scale(
        color="independent", shape="independent"
    )
    spec = stacked.to_dict() | {"background": "white", "padding": 20}
    spec["config"] = theme(dark=False, font="Helvetica, Arial, sans-serif")
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    else:
        path.write_bytes(vl_convert.vegalite_to_png(spec, scale=PNG_SCALE))


def _panels(comparison: Comparison, *, responsive: bool) -> list[alt.LayerChart]:
    return [draw(comparison, responsive=responsive) for draw in (frontier_panel, score_panel, functions_panel)]


def _page(comparison: Comparison) -> str:
    """Fill the page's template; scripts, data and styles are all inside."""
    specs = [panel.to_dict() for panel in _panels(comparison, responsive=True)]
    trace, settings = comparison.simulation.trace, comparison.simulation.settings
    starts = f"CreateSlot takes {settings.create_ms:g} ms" if settings.start == DEFAULT else f"starts: {settings.start}"
    facts = (
        f"{len(trace):,} requests of {trace.called:,} functions in {trace.length_ns / NS_PER_S:,.0f} s; "
        f"{starts}, the run goes on for {settings.tail_s:g} s after the last one; "
        f"{len(comparison.standings)} policies, Pilotlight {__version__}"
    )
    template = Template(resources.files("pilotlight.comparison").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        facts=html.escape(facts),
        library=_library(),
        specs=_script_json(specs),
        themes=_script_json({"light": theme(dark=False, font=FONT), "dark": theme(dark=True, font=FONT)}),
    )


def _library() -> str:
    """Bundle the drawing library, which then stands as `vegaEmbed`, so that it can be part of a page."""
    bundle: str = vl_convert.javascript_bundle(None)  # type: ignore[arg-type] # its stub misses that this is the default
    return bundle.replace("</script", "<\\/script")


def _script_json(value: object) -> str:
    """Render JSON that cannot end the script it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def theme(*, dark: bool, font: str) -> dict[str, Any]:
    """Make the renderer's configuration: everything that is not data."""
    text, soft, grid = ("#e6edf3", "#9da7b1", "#2b323b") if dark else ("#1f2328", "#59636e", "#e6e9ec")
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "text": {"fill": text},
        "title": {
            "color": text,
            "subtitleColor": soft,
            "fontSize": 16,
            "subtitleFontSize": 12,
            "subtitlePadding": 5,
            "fontWeight": 600,
        },
        "axis": {
            "labelColor": soft,
            "titleColor": soft,
            "gridColor": grid,
            "domainColor": grid,
            "tickColor": grid,
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        },
        "axisY": {"labelLimit": 160},
        "legend": {"labelColor": text, "labelFontSize": 11, "labelLimit": 170, "columns": 6, "columnPadding": 18},
    }
