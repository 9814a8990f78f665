"""Reads Huawei's public cloud trace of 2025: a row a request, and if they are there a row a cold start.

The layout is that of the data set's page (A. Joosen et al., "Serverless Cold Starts and Where to Find Them", EuroSys
2025): https://github.com/sir-lab/data-release/blob/main/README_data_release_2025.md

Given is a file of requests, or a folder: every CSV file in it is told by its header. Requests have `time_worker`, cold
starts `totalCost_cold_start`, the table of functions `triggerType-invocationType`; others are ignored.

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | `funcName---userID---poolName`, as the data set identifies it; the pool is in `podID`               |
| duration | `totalCost_worker`, the time in the function's pod                                                  |
| arrival  | `time_worker` less that. The page does not say what the time is of; the frontend's lies after the   |
|          | worker's, so both are read as ends                                                                  |
| memory   | the pool's limit, `pool22-300-128`: 128 MB                                                          |
| runtime, | of the table of functions, if it is there and has the function                                      |
| trigger  |                                                                                                     |
| start    | of the function's cold starts the one of median total: an event, so that its parts belong together. |
|          | `podAllocationCost` is CreateSlot, the other parts are stages of Init. A function without any gets  |
|          | the median event of all; without the tables: see `assumptions`                                      |
| the rest | app: the user; status 200                                                                           |
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.assumptions import plain_functions
from pilotlight.traces.columns import Real
from pilotlight.traces.csv_table import read_header, read_table, scan_table
from pilotlight.traces.fields import Text, shown
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.trace import MAX_MEMORY_MB, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.csv_table import Rows
    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import FunctionTable, Trace

REQUESTS, COLD_STARTS, FUNCTIONS = "time_worker", "totalCost_cold_start", "triggerType-invocationType"
"""Columns that tell the three kinds of files apart."""

MAX_S = 10**9
POD = r"^(pool[^-]*-\d+-(\d+))-"
NAMES = (
    Text("funcName", may_be_empty=False, meaning="the function's name"),
    Text("userID", may_be_empty=False, meaning="the user's name"),
    Text("podID", may_be_empty=False, meaning="the pod, which begins with its pool"),
)
REQUEST_FIELDS = (
    *NAMES,
    Real(REQUESTS, 0, MAX_S, "seconds from the data set's start"),
    Real("totalCost_worker", 0, MAX_S, "seconds"),
)
ALLOCATION = "podAllocationCost"
STAGES = {
    "deploy_code": "deployCodeCost",
    "deploy_dependency": "deployDependencyCost",
    "scheduling": "schedulingCost",
}
"""Stages of Init, and the columns that hold their seconds."""

START_FIELDS: tuple[Text | Real, ...] = (
    *NAMES,
    *(Real(name, 0, MAX_S, "seconds") for name in (COLD_STARTS, ALLOCATION, *STAGES.values())),
)
FUNCTION_FIELDS = (
    Text("funcID", may_be_empty=False, meaning="funcName---userID---poolName"),
    Text("runtime", may_be_empty=True, meaning="the runtime language"),
    Text(FUNCTIONS, may_be_empty=True, meaning="what calls it"),
)


class HuaweiFiles(NamedTuple):
    """The files of a trace, by what they hold."""

    requests: list[Path]
    cold_starts: list[Path]
    functions: list[Path]


def sort_out(paths: Sequence[Path]) -> HuaweiFiles:
    """Tell the files apart by their headers."""
    files = HuaweiFiles([], [], [])
    for path in paths:
        header = read_header(path)
        for column, kind in zip((REQUESTS, COLD_STARTS, FUNCTIONS), files, strict=True):
            if column in header:
                kind.append(path)
    return files


def read_huawei2025(given: Path, paths: Sequence[Path], options: ReadOptions, notes: list[str]) -> Trace:
    """Read the files of the path given; the module's table says by which rules.

    Raises:
        TraceError: a file is malformed, or none holds requests; the text names file, line, field and remedy.
    """
    files = sort_out(paths)
    if not files.requests:
        raise TraceError(f"{given}: no table has a column {REQUESTS}; give the table of requests, or put it there")
    found = Gathering(files.requests[0])
    for path in files.requests:
        for rows in scan_table(path, REQUEST_FIELDS, notes):
            duration_ns = _ns(rows.table["totalCost_worker"])
            found.add(_keys(path, rows), _ns(rows.table[REQUESTS]) - duration_ns, duration_ns.view(np.uint64))
    return found.trace(lambda keys, longest_ns: _functions(keys, longest_ns, files, options, notes))


def _keys(path: Path, rows: Rows) -> pl.Series:
    """Name the function of each row."""
    table = rows.table
    pool = table["podID"].str.extract(POD)
    if pool.null_count():
        row = int(pool.is_null().arg_max() or 0)
        raise TraceError(
            f"{path}:{rows.first_line + row}: podID is {shown(table['podID'][row])}; it must begin with its pool, such"
            " as pool22-300-128-"
        )
    names: pl.Series = table["funcName"] + "---" + table["userID"] + "---" + pool
    return names


def _functions(
    keys: list[str], longest_ns: NDArray[np.uint64], files: HuaweiFiles, options: ReadOptions, notes: list[str]
) -> FunctionTable:
    """Make the function table."""
    names = pl.Series(keys, dtype=pl.String)
    memory_mb = (
        names.str.extract(r"-(\d+)$").cast(pl.Int64, strict=False).clip(0, MAX_MEMORY_MB).fill_null(MAX_MEMORY_MB)
    )
    runtimes, triggers = _told(files.functions, keys, notes)
    table = plain_functions(
        keys,
        longest_ns,
        seed=options.seed,
        memory_mb=options.memory_mb,
        memories_mb=memory_mb.to_numpy().astype(np.uint64),
        runtimes=runtimes,
        apps=[key.split("---")[1] for key in keys],
        triggers=triggers,
    )
    return _with_starts(table, files.cold_starts, notes) if files.cold_starts else table


def _told(paths: list[Path], keys: list[str], notes: list[str]) -> tuple[list[str], list[str] | None]:
    """Look up runtimes and triggers."""
    if not paths:
        return [""] * len(keys), None
    told = {row[0]: row[1:] for path in paths for row in read_table(path, FUNCTION_FIELDS, notes).iter_rows()}
    pairs = [told.get(key, ("", "")) for key in keys]
    return [runtime for runtime, _ in pairs], [trigger for _, trigger in pairs]


def _with_starts(table: FunctionTable, paths: list[Path], notes: list[str]) -> FunctionTable:
    """Give each function the parts of its median cold start."""
    columns = (COLD_STARTS, ALLOCATION, *STAGES.values())
    blocks = [
        rows.table.select(_keys(path, rows).alias("key"), *columns)
        for path in paths
        for rows in scan_table(path, START_FIELDS, notes)
    ]
    events = pl.concat(blocks).sort(COLD_STARTS, maintain_order=True)
    usual = events[(events.height - 1) // 2]
    median = events.group_by("key").agg(pl.col(columns).get((pl.len() - 1) // 2))
    chosen = pl.DataFrame({"key": table.keys}).join(median, on="key", how="left", maintain_order="left")
    parts = {name: _ns(chosen[name].fill_null(usual[name][0])).view(np.uint64) for name in columns}
    stages = {stage: parts[name] for stage, name in STAGES.items()}
    init_ns: NDArray[np.uint64] = np.sum(list(stages.values()), axis=0, dtype=np.uint64)
    return replace(table, create_ns=parts[ALLOCATION], init_ns=init_ns, stages=stages)


def _ns(seconds: pl.Series) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = np.rint(seconds.to_numpy() * NS_PER_S).astype(np.int64)
    return whole
