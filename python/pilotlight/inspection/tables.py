"""An inspection as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotlight.inspection.levels import QUANTILES
from pilotlight.report.table import plain_table
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pilotlight.inspection.inspection import Inspection

TIMERS_SHOWN = 8
UNITS_S = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3))


def print_inspection(console: Console, inspection: Inspection) -> None:
    """Print everything but the pictures."""
    for table in (_overview(inspection), _sizes(inspection), _gaps(inspection)):
        console.print(table)
        console.print()
    for line in findings(inspection):
        console.print(line)


def findings(inspection: Inspection) -> list[str]:
    """Say in sentences which periods and holes there are, and how requests end."""
    return [*_period_lines(inspection), *_hole_lines(inspection), *_bad_lines(inspection)]


def _overview(inspection: Inspection) -> Table:
    table = plain_table("trace", [""])
    for name, value in overview(inspection):
        table.add_row(name, value)
    return table


def overview(inspection: Inspection) -> list[tuple[str, str]]:
    """Name the figures of the whole trace and write them for people."""
    trace, rates, burstiness = inspection.trace, inspection.rates, inspection.burstiness
    minute = burstiness.dispersion_minute
    popularity = inspection.popularity
    return [
        ("requests", f"{len(trace):,}"),
        ("functions: called / in the table", f"{trace.called:,} / {len(trace.functions):,}"),
        ("first to last arrival", _time(trace.length_ns / NS_PER_S)),
        ("requests a second: mean", f"{rates.mean:,.3f}"),
        ("  peak of a second / of a minute", f"{rates.peak_second:,.0f} / {rates.peak_minute:,.1f}"),
        ("dispersion of seconds / of minutes", f"{burstiness.dispersion_second:,.1f} / {_or_dash(minute)}"),
        ("gaps: standard deviation over mean", f"{burstiness.variation:,.2f}"),
        ("gaps: burstiness, -1 to 1", f"{burstiness.goh_barabasi:+.2f}"),
        ("most requests at once, of a function", f"{inspection.demand.peak:,}"),
        ("share of the most called functions", _top(popularity.top)),
        ("Gini coefficient of the calls", f"{popularity.gini:.3f}"),
        ("functions called once", f"{popularity.once:,}"),
        ("execution", f"{trace.execution_s:,.0f} s, {trace.execution_gb_s:,.0f} GB·s"),
    ]


def _sizes(inspection: Inspection) -> Table:
    rows = {
        "duration ms, of requests": inspection.duration_ms,
        "memory MB, of functions": inspection.memory_mb,
        "memory MB, of requests": inspection.request_memory_mb,
    }
    table = plain_table("", list(inspection.duration_ms))
    for name, values in rows.items():
        table.add_row(name, *(f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in values.values()))  # noqa: PLR2004 - four digits
    return table


def _gaps(inspection: Inspection) -> Table:
    table = plain_table("idle gaps s\nof demand level", ["gaps", *(f"p{round(level * 100)}" for level in QUANTILES)])
    for each in inspection.demand.levels:
        table.add_row(str(each.level), f"{len(each.gaps_s):,}", *(f"{value:,.4g}" for value in each.quantiles_s()))
    return table


def _period_lines(inspection: Inspection) -> list[str]:
    periods = inspection.periods
    lines = [
        f"period of the load: {_time(each.period_s)}, explains {each.share:.0%} of the variance of its counts"
        f" (autocorrelation {each.autocorrelation:.2f})"
        for each in periods.load
    ]
    lines = lines or [f"no period of the load of {_time(2 * periods.width_s)} or more"]
    if periods.timer_functions:
        shown = ", ".join(f"{each.functions} of {_time(each.period_s)}" for each in periods.timers[:TIMERS_SHOWN])
        more = ", …" if len(periods.timers) > TIMERS_SHOWN else ""
        share = periods.timer_requests / len(inspection.trace)
        lines.append(f"timers: {periods.timer_functions} functions with {share:.1%} of the requests ({shown}{more})")
    return lines


def _hole_lines(inspection: Inspection) -> list[str]:
    holes = inspection.holes
    if not holes.spans:
        return [f"no hole: no span without arrivals is longer than {_time(holes.longer_than_s)}"]
    longest = max(holes.longest, key=lambda hole: hole.length_s)
    line = (
        f"holes: {holes.spans:,} spans without arrivals longer than {_time(holes.longer_than_s)}, together"
        f" {_time(holes.total_s)}; the longest {_time(longest.length_s)}, from {_time(longest.start_s)} on"
    )
    return [line]


def _bad_lines(inspection: Inspection) -> list[str]:
    bad = sum(inspection.bad.values())
    if not bad:
        return ["all requests end well"]
    by_status = ", ".join(f"{count:,} with {status}" for status, count in inspection.bad.items())
    return [f"{bad:,} requests ({bad / len(inspection.trace):.2%}) end badly: {by_status}"]


def _time(seconds: float) -> str:
    """Write a time for people, to four digits."""
    unit, size = next(((unit, size) for unit, size in UNITS_S if seconds >= size), UNITS_S[-1])
    return f"{seconds / size:.4g} {unit}"


def _top(top: dict[int, float]) -> str:
    return ", ".join(f"{size}: {share:.0%}" for size, share in top.items()) or "-"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
