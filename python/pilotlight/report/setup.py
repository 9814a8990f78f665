"""The report's sections on what was run: policies and their parameters, platform, command, trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotlight import __version__, _core
from pilotlight.comparison.families import family_of
from pilotlight.inspection.inspection import inspect_trace
from pilotlight.inspection.tables import findings, overview
from pilotlight.report.page import Cell, Column, Facts, Section, Table
from pilotlight.traces.trace import NS_PER_S, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilotlight.comparison.comparison import Comparison

COLUMNS = (Column("policy", number=False), Column("as given", number=False), Column("by default", number=False))


def configuration_section(comparison: Comparison, command: str) -> Section:
    """Say what ran: every policy's parameters, the platform, the command that repeats it."""
    settings = comparison.simulation.settings
    pairs = [
        ("command", command),
        *((name.replace("_", " "), _plain(getattr(settings, name))) for name in settings.__slots__),
        ("lambda", f"{comparison.lambda_:g} GB·s for a second of waiting, where costs are added up"),
        ("version", f"Pilotlight {__version__}"),
    ]
    listed = {policy["name"]: policy for policy in _core.policies()}
    rows = [_policy_row(standing.result.policy, listed) for standing in comparison.standings]
    text = "The same trace, policies and settings give the same figures on every machine, to the last digit."
    return Section(
        "Configuration", text, [Facts(pairs, code=["command"]), Table("Policies and their parameters", COLUMNS, rows)]
    )


def trace_section(comparison: Comparison, source: Mapping[str, Any]) -> Section:
    """Sum the trace up as `trace inspect` does, and say where it came from; of one on disk, only the sums."""
    trace = comparison.simulation.trace
    if isinstance(trace, Trace):
        inspection = inspect_trace(trace)
        pairs = [("source", _source(source)), *overview(inspection), ("findings", "; ".join(findings(inspection)))]
        text = "What the trace is, as pilotlight trace inspect measures it; nothing here depends on a policy."
        return Section("Trace", text, [Facts(pairs)])
    pairs = [
        ("source", _source(source)),
        ("requests", f"{len(trace):,}, of which {trace.bad_requests:,} end badly"),
        ("functions", f"{trace.called:,} called, of {len(trace.functions):,}"),
        ("length", f"{trace.length_ns / NS_PER_S:,.0f} s"),
        ("execution", f"{trace.execution_s:,.0f} s, {trace.execution_gb_s:,.0f} GB·s"),
    ]
    return Section("Trace", "Too long to be loaded: its sums.", [Facts(pairs)])


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _policy_row(spec: str, listed: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
    given = dict(part.split("=", 1) for part in spec.partition(":")[2].split(",") if "=" in part)
    defaults = [
        f"{parameter['name']}={parameter['default']}"
        for parameter in listed[family_of(spec)]["parameters"]
        if parameter["name"] not in given
    ]
    return [
        Cell(family_of(spec)),
        Cell(", ".join(f"{name}={value}" for name, value in given.items()) or "-"),
        Cell(", ".join(defaults) or "-"),
    ]


def _source(source: Mapping[str, Any]) -> str:
    shown = [
        f"{name} {value}"
        for name, value in source.items()
        if name not in {"kind", "window"} and value is not None and not isinstance(value, (dict, list))
    ]
    window = source.get("window") or {}
    shown += [f"{name} {value:g}" for name, value in window.items() if value]
    return f"{source['kind']}: {', '.join(shown)}"
