"""Starts as measured: a file of observed ones, of which each start is a row.

A row is drawn whole, so that stages that were long together stay so. A function draws from its own rows, or else from
those of its runtime, or else from all: from the first of these that has `least` rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pilotlight.errors import ConfigError, TraceError
from pilotlight.starts.table import CREATE_STAGES, StartTable
from pilotlight.traces.csv_table import table_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import FunctionTable

UNITS = {"_s": 1.0, "_ms": 1e-3, "_us": 1e-6, "_ns": 1e-9}
FUNCTION, RUNTIME = "function", "runtime"
NO_STAGES = ("queued", "handoff", "failed")
"""Causes of waiting that are told beside the stages."""

MAX_STAGE_S = 10**9


def measured(
    functions: FunctionTable, create_ns: NDArray[np.uint64], seed: int, *, file: str, least: float
) -> StartTable:
    """Make the table.

    Raises:
        ConfigError: the file is missing or wrong, or has fewer rows than `least`.
    """
    del create_ns, seed
    if not file:
        raise ConfigError("measured: name the observed starts, as measured:file=starts.csv")
    path = Path(file)
    table = _read(path)
    stages = _stages(path, table)
    names = list(stages)
    create = [name for name in names if name in CREATE_STAGES]
    if names[: len(create)] != create:
        raise ConfigError(f"{path}: the stages {', '.join(create)} come before the slot is there; put them first")
    rows_s = np.stack(list(stages.values()), axis=1)
    if len(rows_s) < least:
        raise ConfigError(f"{path}: has {len(rows_s)} starts; it must have {least:g} (measured: least)")
    groups: dict[tuple[str, str], int] = {}
    laws = [rows_s]
    for column in (FUNCTION, RUNTIME):
        if column in table.columns:
            for (value,), own in table.select(column).with_row_index("row").group_by(column, maintain_order=True):
                if own.height >= least:
                    groups[column, str(value)] = len(laws)
                    laws.append(rows_s[own["row"].to_numpy()])
    law = [
        groups.get((FUNCTION, key), groups.get((RUNTIME, runtime), 0))
        for key, runtime in zip(functions.keys, functions.runtimes, strict=True)
    ]
    return StartTable.shared(names, len(create), laws, np.array(law, dtype=np.int64))


def _read(path: Path) -> pl.DataFrame:
    """Read the file, CSV or Parquet by its name."""
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(table_bytes(path), infer_schema_length=None)
    except TraceError as error:
        raise ConfigError(str(error)) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ConfigError(f"{path}: cannot be read: {reason}") from error


def _stages(path: Path, table: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Take the columns that are stages: those named for one, with their unit; in seconds."""
    stages: dict[str, NDArray[np.float64]] = {}
    for name in table.columns:
        unit = next((unit for unit in sorted(UNITS, key=len, reverse=True) if name.endswith(unit)), None)
        if unit is None or name in {FUNCTION, RUNTIME}:
            continue
        column = table[name]
        if not column.dtype.is_numeric():
            raise ConfigError(f"{path}: the column {name} must hold numbers; it holds {column.dtype}")
        seconds = column.cast(pl.Float64).to_numpy() * UNITS[unit]
        wrong = np.flatnonzero(~((seconds >= 0) & (seconds <= MAX_STAGE_S)))
        if len(wrong):
            row = int(wrong[0])
            raise ConfigError(f"{path}: {name} is {column[row]} in row {row + 1}; it must be a time of at least 0")
        stage = name.removesuffix(unit)
        if stage in stages or stage in NO_STAGES:
            raise ConfigError(
                f"{path}: the column {name} would be the stage {stage}, which"
                + (" another column is" if stage in stages else " has a meaning of its own")
                + "; rename or remove it"
            )
        stages[stage] = seconds
    if not stages:
        raise ConfigError(
            f"{path}: has no stage; name columns for their stage and unit, such as sandbox_ms and init_ms"
        )
    return stages
