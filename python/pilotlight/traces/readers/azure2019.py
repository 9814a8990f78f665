"""Reads the Azure Functions trace of 2019: counts a minute, percentiles of durations, averages of memory.

The data set (Microsoft, CC-BY 4.0; M. Shahrad et al., "Serverless in the Wild", USENIX ATC 2020) counts requests and
records no single one. The reader makes requests of it by these rules. Whatever is drawn comes from the seed: the same
files, seed and placement give the same trace, to the last bit.

| what      | rule                                                                                                  |
|-----------|-------------------------------------------------------------------------------------------------------|
| function  | a row of the invocations; its key is HashFunction, or HashApp/HashFunction where one occurs twice     |
| arrivals  | the counts of each minute, exactly; inside the minute by the placement; column m begins m - 1 minutes |
|           | after midnight of 15 July 2019, the first day of the recording, UTC                                   |
| durations | drawn for each request: linear between the function's percentiles 0, 1, 25, 50, 75, 99, 100           |
| memory    | AverageAllocatedMb of the function, or of its app, rounded up, at least 1 MB                          |
| start     | drawn once for each function: see `start_costs`; Init is that total less the default create time,     |
|           | at least 1 ms                                                                                         |
| no row    | a function without durations gets the median of the others' percentiles, one without memory the       |
|           | median of the others' memory; the notes count them                                                    |
| the rest  | runtime empty, status 200; timeout 600 s, or the longest duration if that is more                     |

Cost: about 0.3 µs and 24 bytes a request; beside these, 4 bytes and the text of each function and minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.csv_table import FIRST_ROW_LINE, Real, read_header, read_table
from pilotlight.traces.fields import Text, Whole, shown
from pilotlight.traces.placement import DEFAULT_PLACEMENT, NS_PER_MINUTE, placement_named
from pilotlight.traces.start_costs import CREATE_MS, draw_cold_starts
from pilotlight.traces.trace import MAX_MEMORY_MB, MAX_SPAN_MS, NS_PER_MS, STATUS_OK, FunctionTable, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.placement import Placement

ORIGIN_MS = 1_563_148_800_000
"""Midnight (UTC) of 15 July 2019, when the recording begins."""

TIMEOUT_S = 600
MINUTES_A_DAY = 1440
MAX_REQUESTS = 500_000_000
"""More are refused: a sample of the functions fits a machine, a whole day of them does not."""

LEVELS = (0, 1, 25, 50, 75, 99, 100)
IDS = tuple(
    Text(name, may_be_empty=False, meaning=f"the {what}'s hashed name")
    for name, what in (("HashOwner", "owner"), ("HashApp", "app"), ("HashFunction", "function"))
)
OWNER_AND_APP = {"HashOwner", "HashApp"}
PERCENTILES = tuple(Real(f"percentile_Average_{level}", 0, MAX_SPAN_MS, "milliseconds") for level in LEVELS)
MEMORY = Real("AverageAllocatedMb", 0, MAX_MEMORY_MB, "MB")


class AzureFiles(NamedTuple):
    """The files of one day."""

    invocations: Path
    durations: Path
    memory: Path


class Azure2019(NamedTuple):
    """What was read.

    Attributes:
        trace: the requests made of the counts.
        files: what they were made from.
        without_durations: functions whose durations are the others' median.
        without_memory: functions whose memory is the others' median.
    """

    trace: Trace
    files: AzureFiles
    without_durations: int
    without_memory: int


def read_azure2019(folder: Path, *, seed: int = 1, placement: str = DEFAULT_PLACEMENT) -> Azure2019:
    """Read one day, or a sample of one; the module's table says by which rules.

    Args:
        folder: holds one file each, `.csv` or `.csv.gz`, whose names contain `invocations`, `durations` and `memory`.
        seed: of everything that is drawn.
        placement: where requests lie inside their minute: a name in `PLACEMENTS`.

    Raises:
        TraceError: a file is missing or malformed, nothing joins, or the placement is not known; the text names file,
            line, field and remedy.
    """
    if not 0 <= seed < 2**64:
        raise TraceError(f"seed is {seed}; it must be from 0 to {2**64 - 1}")
    place = placement_named(placement)
    files = AzureFiles(*(_find(folder, kind) for kind in AzureFiles._fields))
    minutes = _minutes(files.invocations)
    counts = read_table(files.invocations, (*IDS, *(_count(minute) for minute in minutes)))
    _refuse_repeated(files.invocations, counts, [field.name for field in IDS])
    percentiles_ms, without_durations = _joined(files.durations, counts, PERCENTILES)
    memory, without_memory = _joined(files.memory, counts, (MEMORY,))
    streams = np.random.SeedSequence(seed).spawn(3)
    place_rng, duration_rng, start_rng = (np.random.Generator(np.random.PCG64(stream)) for stream in streams)
    total = sum(int(counts[str(minute)].sum()) for minute in minutes)
    if not 0 < total <= MAX_REQUESTS:
        raise TraceError(
            f"{files.invocations}: counts {total} requests; it must be from 1 to {MAX_REQUESTS}: keep fewer functions"
            " or minutes, or others"
        )
    arrival_ns = np.empty(total, dtype=np.int64)
    function = np.empty(total, dtype=np.uint32)
    duration_ns = np.empty(total, dtype=np.uint64)
    end = 0
    for moment_ns, called in _by_minute(counts, minutes, place, place_rng):
        rows = slice(end, end + len(called))
        arrival_ns[rows] = moment_ns
        function[rows] = called
        duration_ns[rows] = _durations(percentiles_ms, called, duration_rng)
        end = rows.stop
    first_ms = int(arrival_ns[0]) // NS_PER_MS
    arrival_ns -= first_ms * NS_PER_MS
    trace = Trace(
        arrival_ns=arrival_ns.view(np.uint64),
        function=function,
        duration_ns=duration_ns,
        status=np.full(total, STATUS_OK, dtype=np.int32),
        functions=_functions(counts, memory[:, 0], percentiles_ms[:, -1], start_rng),
        origin_ms=ORIGIN_MS + first_ms,
    )
    return Azure2019(trace, files, without_durations, without_memory)


def _by_minute(
    counts: pl.DataFrame, minutes: list[int], place: Placement, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    """Yield the requests of each minute in order of arrival: ns after midnight, and the functions called."""
    for minute in minutes:
        here = counts[str(minute)].to_numpy().astype(np.int64)
        moment_ns = (minute - 1) * NS_PER_MINUTE + place(here, rng)
        order = np.argsort(moment_ns, kind="stable")
        yield moment_ns[order], np.repeat(np.arange(len(here), dtype=np.uint32), here)[order]


def _durations(
    percentiles_ms: NDArray[np.float64], called: NDArray[np.uint32], rng: np.random.Generator
) -> NDArray[np.uint64]:
    """Draw a duration in ns for each call."""
    levels = np.array(LEVELS) / 100
    level = rng.random(len(called))
    below = np.searchsorted(levels, level, side="right") - 1
    share = (level - levels[below]) / (levels[below + 1] - levels[below])
    low_ms, high_ms = percentiles_ms[called, below], percentiles_ms[called, below + 1]
    return np.rint((low_ms + share * (high_ms - low_ms)) * NS_PER_MS).astype(np.uint64)


def _functions(
    counts: pl.DataFrame, memory_mb: NDArray[np.float64], longest_ms: NDArray[np.float64], rng: np.random.Generator
) -> FunctionTable:
    """Make the function table, in the order of the invocations."""
    names = counts["HashFunction"]
    whole_mb = np.maximum(np.ceil(memory_mb), 1).astype(np.uint64)
    init_ms = np.maximum(draw_cold_starts(whole_mb, rng) * 1000 - CREATE_MS, 1)
    return FunctionTable(
        keys=tuple(names if names.n_unique() == len(names) else counts["HashApp"] + "/" + names),
        runtimes=("",) * len(names),
        timeout_s=np.clip(np.ceil(longest_ms / 1000), TIMEOUT_S, 2**32 - 1).astype(np.uint32),
        memory_mb=whole_mb,
        init_ns=np.rint(init_ms * NS_PER_MS).astype(np.uint64),
    )


def _find(folder: Path, kind: str) -> Path:
    """Find the only file of one kind."""
    try:
        found = sorted(path for path in folder.glob(f"*{kind}*") if path.name.endswith((".csv", ".csv.gz")))
    except OSError as error:
        raise TraceError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if len(found) == 1:
        return found[0]
    if not found:
        raise TraceError(f"{folder}: has no {kind} file; looked for *{kind}*.csv and *{kind}*.csv.gz; put it there")
    names = ", ".join(path.name for path in found)
    raise TraceError(f"{folder}: has several {kind} files ({names}); give each day a folder of its own")


def _minutes(path: Path) -> list[int]:
    """Return the minutes of the day that the header counts."""
    header = read_header(path)
    minutes = [int(name) for name in header if name.isascii() and name.isdecimal() and not name.startswith("0")]
    wrong = [minute for minute in minutes if minute > MINUTES_A_DAY]
    if wrong:
        raise TraceError(f"{path}:1: the column {shown(wrong[0])} is no minute of a day, 1 to {MINUTES_A_DAY}")
    if not minutes:
        raise TraceError(f"{path}:1: has no column of counts; name them by their minute, 1 to {MINUTES_A_DAY}")
    return sorted(minutes)


def _count(minute: int) -> Whole:
    return Whole(str(minute), 0, 2**31 - 1, f"requests in minute {minute} of the day")


def _joined(path: Path, counts: pl.DataFrame, fields: tuple[Real, ...]) -> tuple[NDArray[np.float64], int]:
    """Read one table and give each function its row.

    Returns:
        The fields, shape (f, fields), and how many functions have the others' median.
    """
    header = read_header(path)
    ids = [field for field in IDS if field.name in header]
    names = [field.name for field in ids]
    if "HashFunction" not in names and not OWNER_AND_APP.issubset(names):
        raise TraceError(f"{path}:1: has neither a column HashFunction nor HashOwner and HashApp; it needs one to join")
    table = read_table(path, (*ids, *fields))
    _refuse_repeated(path, table, names)
    values = table.select(field.name for field in fields).to_numpy()
    descents = np.argwhere(np.diff(values, axis=1) < 0)
    if len(descents):
        row, column = descents[0].tolist()
        raise TraceError(
            f"{path}:{row + FIRST_ROW_LINE}: {fields[column + 1].name} is {values[row, column + 1]:g}, less than"
            f" {values[row, column]:g} of {fields[column].name}; percentiles must ascend"
        )
    rows = counts.select(names).join(table.with_row_index("row"), on=names, how="left", maintain_order="left")["row"]
    known = rows.is_not_null().to_numpy()
    if not known.any():
        raise TraceError(f"{path}: no row has the {', '.join(names)} of an invoked function; take the same day's")
    joined = np.empty((counts.height, len(fields)))
    joined[known] = values[rows.drop_nulls().to_numpy()]
    joined[~known] = np.median(joined[known], axis=0)
    return joined, int((~known).sum())


def _refuse_repeated(path: Path, table: pl.DataFrame, names: list[str]) -> None:
    """Refuse a second row for the same function or app."""
    again = table.select(pl.struct(names).is_first_distinct().not_()).to_series().arg_true()
    if len(again):
        line = int(again[0]) + FIRST_ROW_LINE
        name = shown(str(table[names[-1]][int(again[0])]))
        raise TraceError(f"{path}:{line}: {names[-1]} {name} was given in a line above; keep one of them")
