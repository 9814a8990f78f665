"""Writes a comparison as JSON and CSV. docs/compare.md lists every key with its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pilotlight.comparison.functions import costs_frame, function_costs
from pilotlight.simulation.output import document, flat, result_fields, to_json
from pilotlight.simulation.runner import CLAIRVOYANT

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.comparison.comparison import Comparison, Standing


def comparison_json(comparison: Comparison, source: dict[str, Any], *, per_function: bool) -> str:
    """Render everything as one JSON document: `simulate`'s with what the policies are beside each other.

    Args:
        comparison: what to render.
        source: where the trace came from, as the document's `trace.source`.
        per_function: add the costs of every function under every policy.
    """
    results = [_standing_fields(standing) for standing in comparison.standings]
    fields = document(comparison.simulation, source, results)
    fields["clairvoyant"] |= comparison.bound._asdict()
    fields["frontier"] = [one.result.policy for one in comparison.standings if one.dominated_by is None]
    fields["lambda"] = comparison.lambda_
    if per_function:
        frame = costs_frame(function_costs(comparison, comparison.standings))
        # One entry a function; what differs between policies is a list inside it.
        shared = ["key", "memory_mb", "requests", "bound_gb_s"]
        nested = frame.group_by(shared, maintain_order=True).agg(pl.struct(pl.exclude(shared)).alias("policies"))
        fields["functions"] = nested.to_dicts()
    return to_json(fields)


def write_csv(comparison: Comparison, path: Path, *, per_function: bool) -> None:
    """Write one row a policy and one for the clairvoyant; with `per_function` one row a function and policy instead."""
    if per_function:
        costs_frame(function_costs(comparison, comparison.standings)).write_csv(path)
        return
    rows = [flat(_standing_fields(standing)) for standing in comparison.standings]
    rows.append({"policy": CLAIRVOYANT, **comparison.simulation.bound._asdict(), **comparison.bound._asdict()})
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)


def _standing_fields(standing: Standing) -> dict[str, Any]:
    """Lay one policy out: `simulate`'s fields, and where it stands."""
    fields = result_fields(standing.result)
    return {
        "policy": fields.pop("policy"),
        "family": standing.family,
        "waste_gb_s": standing.point.waste_gb_s,
        "above_bound_gb_s": standing.above_bound_gb_s,
        "cold_share": standing.cold_share,
        "dominated_by": standing.dominated_by,
        "against": {name: gain._asdict() for name, gain in standing.against.items()},
        **fields,
    }
