"""How charts look: everything about them that is not data.

On a page the colours are the page's own variables, so that one drawing follows the reader's light or dark theme, and
paper; a picture that stands alone is drawn in the light ones, which are also what a saved drawing falls back to.
"""

from __future__ import annotations

from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PICTURE_FONT = "Helvetica, Arial, sans-serif"
LIGHT = {"text": "#1f2328", "soft": "#59636e", "line": "#e3e7ea"}


def page_theme() -> dict[str, Any]:
    """Make the renderer's configuration for charts on a page."""
    colours = {name: f"var(--{name}, {colour})" for name, colour in LIGHT.items()}
    return _theme(**colours, font=FONT)


def picture_theme() -> dict[str, Any]:
    """Make the renderer's configuration for a picture on white."""
    return _theme(**LIGHT, font=PICTURE_FONT)


def _theme(*, text: str, soft: str, line: str, font: str) -> dict[str, Any]:
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
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        },
        "axisY": {"labelLimit": 160},
        "legend": {
            "labelColor": text,
            "titleColor": soft,
            "labelFontSize": 11,
            "labelLimit": 170,
            "columns": 6,
            "columnPadding": 18,
        },
    }
