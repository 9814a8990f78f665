"""Draws the pictures of docs/level-gap.md: `python -m pilotlight.report.policy_pictures docs/images`.

Everything in them is simulated: seeded load, the level_gap policy on it, the demand it met, and the account it gives of
its windows. The same version draws the same pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import numpy as np
import vl_convert

from pilotlight.report.policy_levels import held_cost, meet, missed_cost, own_cost, shared_cost
from pilotlight.report.theme import picture_theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotlight.report.policy_levels import Level, Met

SHOWN_FROM_S, SHOWN_S = 2785.0, 35.0
"""The part of the run whose demand is drawn: two short bursts after a calm."""

USUAL_S = 300.0
"""A keep-alive that platforms use."""

SHOWN_LEVELS = (1, 3)
"""The levels whose gaps are drawn."""

ORANGE, PALE, GREY, BLUE, OCHRE, BLACK = "#d9480f", "#f6bf9a", "#7d8590", "#2f7fd6", "#b08900", "#1f2328"
BIN_EDGES_S = 2.0 ** (20 + np.arange(60) / 3) / 1e9
"""Three bins to an octave from a millisecond on, as the policy's own; here to a quarter of an hour."""

WIDTH, HALF_WIDTH = 760, 345
SHORTEST_S, LONGEST_S = float(BIN_EDGES_S[0]), float(BIN_EDGES_S[-1])


def levels_picture(met: Met) -> alt.VConcatChart:
    """Draw the demand of half a minute by level, and what one keep-alive for all levels costs."""
    return alt.VConcatChart(
        vconcat=[_demand_panel(met), _shared_panel(met)], spacing=36, resolve=_resolve("independent")
    )


def _demand_panel(met: Met) -> alt.LayerChart:
    spans = []
    for number, level in enumerate(met.levels, start=1):
        from_s, until_s = level.wanted_s[:, 0] - SHOWN_FROM_S, level.wanted_s[:, 1] - SHOWN_FROM_S
        let_go_s = until_s + np.minimum(level.kept_s, np.append(from_s[1:], np.inf) - until_s)
        for state, begin, end in (("wanted", from_s, until_s), ("idle, its instance is kept", until_s, let_go_s)):
            inside = (end > 0) & (begin < SHOWN_S) & (end > begin)
            spans += [
                {"level": number, "state": state, "from": max(0.0, one), "until": min(SHOWN_S, other)}
                for one, other in zip(begin[inside].tolist(), end[inside].tolist(), strict=True)
            ]
    highest = max(span["level"] for span in spans if span["state"] == "wanted")
    spans = [span for span in spans if span["level"] <= highest]
    states = alt.Scale(domain=["wanted", "idle, its instance is kept"], range=[ORANGE, PALE])
    bars = alt.Chart(alt.InlineData(values=spans)).mark_bar(height={"band": 0.8})
    level_axis = alt.Axis(ticks=False, domain=False, grid=True)
    layer = bars.encode(
        x=alt.X("from:Q", title="seconds", scale=alt.Scale(domain=[0, SHOWN_S], nice=False)),
        x2="until:Q",
        y=alt.Y("level:O", sort="descending", title="demand level", axis=level_axis),
        color=alt.Color("state:N", scale=states, legend=_legend(), title=None),
    )
    subtitle = [
        "Level k is wanted while k or more requests execute or wait. Where its row is not dark it has an idle gap.",
        "Pale: an instance is kept for it, as long as the policy found cheapest for gaps of that level.",
    ]
    return alt.LayerChart(
        layer=[layer],
        width=WIDTH,
        height=26 * highest,
        title=_title("Demand of one function, level by level", subtitle),
    )


def _shared_panel(met: Met) -> alt.LayerChart:
    costs = [{"keep": keep_s, "cost": shared_cost(met, keep_s)} for keep_s in BIN_EDGES_S.tolist()]
    best, own = min(costs, key=lambda row: row["cost"]), own_cost(met)
    cost = alt.Y("cost:Q", title="GB·s in an hour", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5, format="~s"))
    keep = _gap_axis("keep", "keep-alive, the same for every level")
    usual = shared_cost(met, USUAL_S)
    marks = [
        {"keep": best["keep"], "cost": best["cost"], "text": f"the best for all: {best['cost']:,.0f} GB·s"},
        {"keep": USUAL_S, "cost": usual, "text": f"{USUAL_S:g} s for all: {usual:,.0f} GB·s"},
    ]
    base = [{"keep": best["keep"], "cost": own, "text": f"its own window for each level: {own:,.0f} GB·s"}]
    mark, rule = alt.Chart(alt.InlineData(values=marks)), alt.Chart(alt.InlineData(values=base))
    layers = [
        alt.Chart(alt.InlineData(values=costs)).mark_line(color=GREY, strokeWidth=2.5).encode(x=keep, y=cost),
        mark.mark_point(color=GREY, filled=True, size=80, opacity=1).encode(x=keep, y=cost),
        mark.mark_text(dy=-22, fontSize=12, align="right").encode(x=keep, y=cost, text="text:N"),
        rule.mark_rule(color=ORANGE, strokeWidth=2.5).encode(y="cost:Q"),
        rule.mark_text(dy=12, fontSize=12, fontWeight=600).encode(x=keep, y=cost, text="text:N"),
    ]
    subtitle = ["Cost of the same function: GB·s held in gaps, and what starting and waiting cost where none was held."]
    return alt.LayerChart(
        layer=layers, width=WIDTH, height=260, title=_title("One keep-alive for every level", subtitle)
    )


def windows_picture(met: Met) -> alt.VConcatChart:
    """Draw the gaps of two levels with their windows, and the costs the windows come from."""
    shown = [(number, met.levels[number - 1]) for number in SHOWN_LEVELS]
    rows = (
        [_gaps_panel(number, level) for number, level in shown],
        [_cost_panel(level, met.memory_gb) for _, level in shown],
    )
    beside = [alt.HConcatChart(hconcat=row, spacing=40, resolve=_resolve("shared")) for row in rows]
    return alt.VConcatChart(vconcat=beside, spacing=24, resolve=_resolve("independent"))


def _gaps_panel(number: int, level: Level) -> alt.LayerChart:
    counts, _ = np.histogram(level.gaps_s, BIN_EDGES_S)
    bars = [
        {
            "from": low,
            "until": high,
            "share": count / len(level.gaps_s),
            "end": "bridged" if high <= level.kept_s else "not bridged",
        }
        for low, high, count in zip(BIN_EDGES_S[:-1].tolist(), BIN_EDGES_S[1:].tolist(), counts.tolist(), strict=True)
        if count
    ]
    ends = alt.Scale(domain=["bridged", "not bridged"], range=[ORANGE, GREY])
    bar = alt.Chart(alt.InlineData(values=bars)).mark_rect(stroke="white", strokeWidth=0.5)
    layers = [
        bar.encode(
            x=_gap_axis("from", None),
            x2="until:Q",
            y=alt.Y("share:Q", title="share of gaps", axis=alt.Axis(tickCount=4, format="~%", minExtent=30)),
            y2=alt.datum(0),
            color=alt.Color("end:N", scale=ends, legend=_legend(), title=None),
        ),
        *_window_mark(level, text=True),
    ]
    title = _title(
        f"Gaps of level {number}", [f"{len(level.gaps_s)} gaps, median {_seconds(float(np.median(level.gaps_s)))}"]
    )
    return alt.LayerChart(layer=layers, width=HALF_WIDTH, height=150, title=title)


def _cost_panel(level: Level, memory_gb: float) -> alt.LayerChart:
    rows = [
        {"keep": keep_s, "cost": cost / len(level.gaps_s), "part": part}
        for keep_s in BIN_EDGES_S.tolist()
        for part, cost in _parts(level, keep_s, memory_gb).items()
    ]
    # A curve that leaves the panel is cut off: what matters is where the lowest point lies.
    most = 1.4 * level.miss_gb_s
    rows = [row for row in rows if row["cost"] <= most]
    colours = alt.Scale(domain=list(_parts(level, 0.0, 0.0)), range=[BLUE, OCHRE, BLACK])
    line = alt.Chart(alt.InlineData(values=rows)).mark_line(strokeWidth=2)
    layers = [
        line.encode(
            x=_gap_axis("keep", "gap; or window"),
            y=alt.Y("cost:Q", title="GB·s a gap", axis=alt.Axis(tickCount=4, minExtent=30)),
            color=alt.Color("part:N", scale=colours, legend=_legend("stroke"), title=None),
        ),
        *_window_mark(level, text=False),
    ]
    title = _title("What a window costs", [f"a missing instance costs {level.miss_gb_s:.2g} GB·s"])
    return alt.LayerChart(layer=layers, width=HALF_WIDTH, height=150, title=title)


def _parts(level: Level, keep_s: float, memory_gb: float) -> dict[str, float]:
    held, missed = held_cost(level, keep_s, memory_gb), missed_cost(level, keep_s)
    return {"holding": held, "missing": missed, "both": held + missed}


def _window_mark(level: Level, *, text: bool) -> list[alt.Chart]:
    mark = alt.Chart(alt.InlineData(values=[{"keep": level.kept_s, "text": f"kept for {_seconds(level.kept_s)}"}]))
    rule = mark.mark_rule(color=ORANGE, strokeDash=[5, 4], strokeWidth=1.5).encode(x=alt.X("keep:Q"))
    label = mark.mark_text(align="left", dx=5, fontSize=12, fontWeight=600).encode(
        x=alt.X("keep:Q"), y=alt.value(6), text="text:N"
    )
    return [rule, label] if text else [rule]


def _gap_axis(field: str, title: str | None) -> alt.X:
    scale = alt.Scale(type="log", domain=[SHORTEST_S, LONGEST_S], nice=False)
    number = "datum.value < 1 ? format(datum.value * 1000, '~g') + ' ms' : format(datum.value, '~g') + ' s'"
    axis = alt.Axis(values=[10.0**power for power in range(-2, 3)], labelExpr=number, title=title)
    return alt.X(f"{field}:Q", scale=scale, axis=axis)


def _seconds(value_s: float) -> str:
    return f"{1000 * value_s:.0f} ms" if value_s < 1 else f"{value_s:.2g} s"


def _resolve(colour: Literal["independent", "shared"]) -> alt.Resolve:
    return alt.Resolve(scale=alt.ScaleResolveMap(color=colour))


def _legend(symbol: str = "square") -> alt.Legend:
    return alt.Legend(orient="bottom", symbolType=symbol, symbolSize=110)


def _title(text: str, subtitle: Sequence[str]) -> alt.TitleParams:
    return alt.TitleParams(text, subtitle=list(subtitle), anchor="start", frame="group", offset=12)


def write_picture(chart: alt.VConcatChart, path: Path) -> None:
    """Render a picture as SVG; with a background, for pages may be dark.

    Raises:
        OSError: the file cannot be written.
    """
    spec: dict[str, Any] = chart.to_dict() | {"background": "white", "padding": 20}
    spec["config"] = picture_theme()
    path.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    seen = meet()
    write_picture(levels_picture(seen), folder / "levels.svg")
    write_picture(windows_picture(seen), folder / "windows.svg")
