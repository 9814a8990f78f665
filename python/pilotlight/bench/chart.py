"""The chart of a whole run: throughput and latency of every scaler, side by side. Only this module needs Altair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl
import vl_convert

if TYPE_CHECKING:
    from pathlib import Path

_PANELS = (("rps", "calls/s"), ("p50_us", "p50 µs"), ("p99_us", "p99 µs"), ("cpu_us_per_call", "CPU µs a call"))
_WIDTH, _STEP = 150, 14


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw a run's gRPC section as SVG; without one nothing is drawn."""
    rows = results.get("grpc")
    if not rows:
        return
    frame = pl.DataFrame(
        [{name: row[name] for name in ("scenario", "target", *(field for field, _ in _PANELS))} for row in rows],
        infer_schema_length=None,
    )
    panels = [_panel(frame, field, title) for field, title in _PANELS]
    chart = alt.hconcat(*panels).resolve_scale(color="shared")
    path.write_text(vl_convert.vegalite_to_svg(chart.to_dict()), encoding="utf-8")


def _panel(frame: pl.DataFrame, field: str, title: str) -> alt.Chart:
    scale = alt.Scale(type="linear" if field in {"rps", "cpu_us_per_call"} else "log")
    bars = alt.Chart(frame.drop_nulls(field), width=_WIDTH, height=alt.Step(_STEP))
    mark = bars.mark_bar() if scale.type == "linear" else bars.mark_circle(size=70, opacity=1)
    panel: alt.Chart = mark.encode(
        x=alt.X(f"{field}:Q", title=title, scale=scale),
        y=alt.Y("target:N", title=None),
        color=alt.Color("target:N", legend=None),
        row=alt.Row("scenario:N", title=None, sort=None, header=alt.Header(labelOrient="top", labelAnchor="start")),
    ).resolve_scale(y="independent")
    return panel
