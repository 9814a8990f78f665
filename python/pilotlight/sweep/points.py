"""One setting over one trace: what identifies it, and the row its result becomes. docs/sweep.md lists the columns."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pilotlight import __version__
from pilotlight.comparison.comparison import wasted_gb_s

if TYPE_CHECKING:
    from pilotlight.simulation.runner import PolicyResult, SimulationSettings
    from pilotlight.starts import StartTable
    from pilotlight.traces import Trace

MS_PER_S = 1000

SCHEMA = pl.Schema(
    {
        "point": pl.String,
        "trace": pl.String,
        "fingerprint": pl.String,
        "policy": pl.String,
        "settings": pl.String,
        "version": pl.String,
        "requests": pl.UInt64,
        "score": pl.Float64,
        "resource": pl.Float64,
        "cold": pl.Float64,
        "waste_gb_s": pl.Float64,
        "wait_s": pl.Float64,
        "slot_gb_s": pl.Float64,
        "mean_wait_ms": pl.Float64,
        "p50_ms": pl.Float64,
        "p95_ms": pl.Float64,
        "p99_ms": pl.Float64,
        "max_ms": pl.Float64,
        "warm_starts": pl.UInt64,
        "cold_starts": pl.UInt64,
        "handoffs": pl.UInt64,
        "failed": pl.UInt64,
        "cold_share": pl.Float64,
        "peak_instances": pl.UInt64,
        "peak_memory_mb": pl.UInt64,
        "bound_score": pl.Float64,
        "bound_slot_gb_s": pl.Float64,
        "run_s": pl.Float64,
    }
)


def fingerprint(content: Trace | StartTable) -> str:
    """Hash everything a trace says, or what starts there are; where it was read from does not count."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, content)
    return digest.hexdigest()


def point_id(trace_fingerprint: str, starts: StartTable, policy: str, settings: SimulationSettings) -> str:
    """Name a point: the same trace, starts, policy, platform and version have the same name."""
    text = json.dumps([trace_fingerprint, fingerprint(starts), policy, settings_text(settings), __version__])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def settings_text(settings: SimulationSettings) -> str:
    """Write the platform as JSON."""
    return json.dumps({each.name: getattr(settings, each.name) for each in fields(settings)}, default=str)


def result_row(result: PolicyResult, requests: int, bound_slot_gb_s: float) -> dict[str, Any]:
    """Take out of a result what a row keeps of it; what identifies the point is not in it."""
    ledger = result.ledger
    return {
        "policy": result.policy,
        "requests": requests,
        **result.contest._asdict(),
        "waste_gb_s": wasted_gb_s(result),
        "wait_s": result.wait_s,
        "slot_gb_s": result.slot_gb_s,
        "mean_wait_ms": MS_PER_S * result.wait_s / requests,
        **{f"{name}_ms": result.wait_ms[name] for name in ("p50", "p95", "p99", "max")},
        **{name: ledger[name] for name in ("warm_starts", "cold_starts", "handoffs")},
        "failed": result.failed,
        "cold_share": ledger["cold_starts"] / requests,
        "peak_instances": result.peak_instances,
        "peak_memory_mb": result.peak_memory_mb,
        "bound_score": result.bound.score,
        "bound_slot_gb_s": bound_slot_gb_s,
        "run_s": result.run_s,
    }


def _feed(digest: hashlib.blake2b, value: object) -> None:
    """Hash a value with its type and size, so that no two different values feed the same bytes."""
    if is_dataclass(value):
        for each in fields(value):
            digest.update(each.name.encode())
            _feed(digest, getattr(value, each.name))
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, (tuple, list)):
        digest.update(f"list{len(value)}".encode())
        for each in value:
            _feed(digest, each)
    else:
        text = str(value).encode()
        digest.update(f"{type(value).__name__}{len(text)}:".encode())
        digest.update(text)
