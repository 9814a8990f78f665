"""Cuts traces: some functions with all their requests.

A sample keeps whole functions: taking requests at random would thin every function out and make its gaps longer than
they ever were. What is left keeps its keys; the function table holds the functions kept, in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.trace import NS_PER_MS, FunctionTable, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def keep_functions(trace: Trace, rows: NDArray[np.int64]) -> Trace:
    """Keep these functions, in their order, and their requests.

    Args:
        trace: what to cut.
        rows: of the function table, distinct.

    Returns:
        A trace whose origin is the first request kept.

    Raises:
        TraceError: none of the functions is called.
    """
    rows = np.sort(rows)
    places = np.full(len(trace.functions), -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    kept = np.flatnonzero(places[trace.function] >= 0)
    if not len(kept):
        raise TraceError("none of the functions to keep is called; there would be no request left")
    shift_ms = int(trace.arrival_ns[kept[0]]) // NS_PER_MS
    columns = {
        name: getattr(trace, name)[kept]
        for name in ("duration_ns", "status", "context_tokens", "generated_tokens")
        if getattr(trace, name) is not None
    }
    return replace(
        trace,
        **columns,
        arrival_ns=trace.arrival_ns[kept] - np.uint64(shift_ms * NS_PER_MS),
        function=places[trace.function[kept]].astype(np.uint32),
        functions=_rows_of(trace.functions, rows),
        origin_ms=trace.origin_ms + shift_ms,
    )


def functions_named(trace: Trace, keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the functions with these keys.

    Raises:
        TraceError: there is no such function; the text names it.
    """
    rows = {key: row for row, key in enumerate(trace.functions.keys)}
    missing = next((key for key in keys if key not in rows), None)
    if missing is not None:
        raise TraceError(f"no function of the trace is called {missing!r}; take a key of its function table")
    return np.array(sorted({rows[key] for key in keys}), dtype=np.int64)


def functions_at_random(trace: Trace, count: int, seed: int) -> NDArray[np.int64]:
    """Draw functions among those called, each as likely as any other.

    Raises:
        TraceError: fewer are called.
    """
    called = _called(trace, count)
    return np.random.Generator(np.random.PCG64(seed)).choice(called, size=count, replace=False)


def functions_most_called(trace: Trace, count: int) -> NDArray[np.int64]:
    """Return the functions with the most requests.

    Raises:
        TraceError: fewer are called.
    """
    _called(trace, count)
    return np.argsort(-np.bincount(trace.function), kind="stable")[:count]


def _called(trace: Trace, count: int) -> NDArray[np.int64]:
    called = np.unique(trace.function).astype(np.int64)
    if not 1 <= count <= len(called):
        raise TraceError(f"{count} functions cannot be taken: {len(called)} are called; take from 1 to as many")
    return called


def _rows_of(table: FunctionTable, rows: NDArray[np.int64]) -> FunctionTable:
    """Take some rows of a function table, whatever columns it has."""
    taken: dict[str, object] = {}
    for each in fields(table):
        value = getattr(table, each.name)
        if isinstance(value, np.ndarray):
            taken[each.name] = value[rows]
        elif isinstance(value, tuple):
            taken[each.name] = tuple(value[row] for row in rows.tolist())
        elif isinstance(value, Mapping):
            taken[each.name] = {name: column[rows] for name, column in value.items()}
    return replace(table, **taken)  # type: ignore[arg-type] # columns of the same names and types
