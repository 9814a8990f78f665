"""Writes simulation results as JSON, CSV and Parquet. docs/simulate.md lists every key with its unit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from pilotlight import __version__
from pilotlight.simulation.explanation import explanation_fields
from pilotlight.simulation.frames import function_frame, request_frame
from pilotlight.simulation.runner import CLAIRVOYANT
from pilotlight.starts.catalogue import model_named
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.simulation.runner import PolicyResult, Simulation


def simulation_json(simulation: Simulation, source: dict[str, Any], *, per_function: bool) -> str:
    """Render everything as one JSON document; see `document`, whose arguments these are.

    Args:
        simulation: what to render.
        source: where the trace came from.
        per_function: give each result its list of functions.
    """
    results = [result_fields(result) for result in simulation.results]
    if per_function:
        for fields, result in zip(results, simulation.results, strict=True):
            fields["functions"] = function_frame(simulation, result).drop("policy").to_dicts()
    for fields, result in zip(results, simulation.results, strict=True):
        if result.explanation is not None:
            fields["explanation"] = explanation_fields(result, result.explanation)
    return to_json(document(simulation, source, results))


def document(simulation: Simulation, source: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Lay results out beside the bound, the trace and the settings.

    Args:
        simulation: where the figures of the trace come from.
        source: where the trace came from, as the document's `trace.source`.
        results: what to show of each result.
    """
    trace, settings = simulation.trace, simulation.settings
    return {
        "results": results,
        "clairvoyant": simulation.bound._asdict(),
        "trace": {
            "source": source,
            "requests": len(trace),
            "functions": len(trace.functions),
            "called": trace.called,
            "bad": trace.bad_requests,
            "origin_ms": trace.origin_ms,
            "length_s": trace.length_ns / NS_PER_S,
            "execution_s": trace.execution_s,
            "execution_gb_s": trace.execution_gb_s,
        },
        "start": start_fields(simulation),
        "settings": {name: getattr(settings, name) for name in settings.__slots__},
        "version": __version__,
    }


def start_fields(simulation: Simulation) -> dict[str, Any]:
    """Say by which model starts took as long as they did."""
    starts = simulation.starts
    return {
        "model": simulation.settings.start,
        "source": model_named(simulation.settings.start)[0].source,
        "random": starts.is_random,
        "create_stages": starts.stages[: starts.create_stages],
        "init_stages": starts.stages[starts.create_stages :],
    }


def to_json(fields: dict[str, Any]) -> str:
    """Render a document for people and programs."""
    return json.dumps(fields, indent=2, allow_nan=False, ensure_ascii=False)


def result_fields(result: PolicyResult) -> dict[str, Any]:
    """Lay one result out as the JSON document shows it."""
    ledger = result.ledger
    return {
        "policy": result.policy,
        "score": result.contest.score,
        "resource": result.contest.resource,
        "cold": result.contest.cold,
        "warm_starts": ledger["warm_starts"],
        "cold_starts": ledger["cold_starts"],
        "handoffs": ledger["handoffs"],
        "failed": result.failed,
        "wait_s": result.wait_s,
        "wait_ms": result.wait_ms,
        "stage_wait_s": {stage: float(waited_s.sum()) for stage, waited_s in result.stage_wait_s.items()},
        "slot_gb_s": result.slot_gb_s,
        "gb_s": ledger["gb_s"],
        "peak_instances": result.peak_instances,
        "peak_memory_mb": result.peak_memory_mb,
        "statistics": result.statistics._asdict(),
        "bound": result.bound._asdict(),
        "distance": result.distance._asdict(),
        "run_s": result.run_s,
        "events": result.events,
    }


def write_csv(simulation: Simulation, path: Path, *, per_function: bool) -> None:
    """Write one row a policy and one for the clairvoyant; with `per_function` one row a policy and function instead."""
    if per_function:
        pl.concat([function_frame(simulation, result) for result in simulation.results]).write_csv(path)
        return
    rows = [flat(result_fields(result)) for result in simulation.results]
    rows.append({"policy": CLAIRVOYANT, "wait_s": 0.0, **simulation.bound._asdict()})
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)


def write_requests(simulation: Simulation, path: Path) -> None:
    """Write one row a policy and request, as Parquet if the name says so, else as CSV."""
    frame = pl.concat([request_frame(simulation, result) for result in simulation.results])
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn nested groups into columns: `gb_s: {idle}` becomes `gb_s_idle`."""
    columns: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            columns.update({f"{name}_{inner}": amount for inner, amount in flat(value).items()})
        else:
            columns[name] = value
    return columns
