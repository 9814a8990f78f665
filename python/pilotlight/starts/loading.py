"""Starts of functions that load a model: what the trace says, and then bytes over bandwidth.

Weights dominate the start of a large model, and reading them is limited by a link or a disk, not by the processor:
the time is their size divided by the bandwidth. Sizes may differ by function: a CSV file names them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pilotlight.errors import ConfigError, TraceError
from pilotlight.starts.contest import stage_columns
from pilotlight.starts.table import StartTable
from pilotlight.traces.csv_table import table_bytes
from pilotlight.traces.parameters import parse_size
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import FunctionTable

DATA = "data"
MAX_LOAD_S = 10**9


def model(
    functions: FunctionTable,
    create_ns: NDArray[np.uint64],
    seed: int,
    *,
    bytes: float,  # noqa: A002 - as the specification calls it
    bandwidth: float,
    sizes: str,
) -> StartTable:
    """Make the table: the stages of the trace, then `data`.

    Raises:
        ConfigError: the file of sizes is wrong, or a load takes too long to count.
    """
    del seed
    size = np.full(len(functions), bytes)
    if sizes:
        own = _read_sizes(Path(sizes))
        unknown = sorted(own.keys() - set(functions.keys))
        if unknown:
            raise ConfigError(f"{sizes}: {unknown[0]!r} is no function of the trace; take its key, or leave it out")
        size = np.array([own.get(key, bytes) for key in functions.keys])
    load_s = size / bandwidth
    if len(load_s) and load_s.max() > MAX_LOAD_S:
        raise ConfigError(f"model: loading takes {load_s.max():.3g} s; it must be at most {MAX_LOAD_S:g} s")
    columns = stage_columns(functions, create_ns) | {DATA: np.rint(load_s * NS_PER_S).astype(np.uint64)}
    return StartTable.constant(tuple(columns), 1, np.stack(list(columns.values()), axis=1))


def _read_sizes(path: Path) -> dict[str, float]:
    """Read a CSV file with the columns `key` and `bytes`; sizes may have units."""
    try:
        table = pl.read_csv(table_bytes(path), infer_schema=False)
    except TraceError as error:
        raise ConfigError(str(error)) from error
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    if not {"key", "bytes"} <= set(table.columns):
        raise ConfigError(f"{path}:1: needs the columns key and bytes; it has {', '.join(table.columns)}")
    sizes: dict[str, float] = {}
    for line, (key, text) in enumerate(table.select("key", "bytes").iter_rows(), 2):
        try:
            size = float(text) if str(text).replace(".", "", 1).isdecimal() else parse_size(str(text))
        except ValueError as error:
            raise ConfigError(f"{path}:{line}: bytes is {text!r}, {error}") from error
        if key in sizes:
            raise ConfigError(f"{path}:{line}: {key!r} was given in a line above; keep one of them")
        sizes[key] = size
    return sizes
