"""Reads the Azure Functions trace of 2019: counts a minute, percentiles of durations, averages of memory.

The data set (Microsoft, CC-BY 4.0; M. Shahrad et al., "Serverless in the Wild", USENIX ATC 2020) counts requests and
records no single one. The reader makes requests of it by these rules. Whatever is drawn comes from the seed: the same
files, seed and placement give the same trace, to the last bit.

| what      | rule                                                                                                  |
|-----------|-------------------------------------------------------------------------------------------------------|
| function  | a row of the invocations; its key is HashFunction, or HashApp/HashFunction where one occurs twice;    |
|           | its app HashApp, its trigger Trigger if that column is there                                          |
| arrivals  | the counts of each minute, exactly; inside the minute by the placement; column m begins m - 1 minutes |
|           | after midnight of 15 July 2019, the first day of the recording, UTC                                   |
| durations | drawn for each request: linear between the function's percentiles 0, 1, 25, 50, 75, 99, 100           |
| memory    | AverageAllocatedMb of the function, or of its app, rounded up, at least 1 MB; without any table of    |
|           | memory `memory_mb`, or `assumptions.FUNCTION_MB`                                                      |
| start     | drawn once for each function: see `start_costs`; Init is that total less the default create time,     |
|           | at least 1 ms                                                                                         |
| two rows  | of the same function or app: the one with more samples (`Count`, `SampleCount`), else the first       |
| no row    | a function without durations gets the median of the others' percentiles, one without memory the       |
|           | median of the others' memory; the notes count them                                                    |
| days      | a folder may hold several: one follows the other; a function has the memory of its first day that     |
|           | tells it, and every day's own durations                                                               |
| the rest  | runtime empty, status 200; timeout 600 s, or the longest duration if that is more                     |

Cost: about 0.3 µs and 24 bytes a request; beside these, 4 bytes and the text of each function and minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.assumptions import FUNCTION_MB, draw_init_ns, timeouts_s
from pilotlight.traces.columns import Real
from pilotlight.traces.csv_table import FIRST_ROW_LINE, read_header, read_table
from pilotlight.traces.fields import Text, Whole, shown
from pilotlight.traces.placement import DEFAULT_PLACEMENT, NS_PER_MINUTE, placement_named
from pilotlight.traces.readers.azure2019_files import find_days
from pilotlight.traces.trace import MAX_MEMORY_MB, MAX_SPAN_MS, NS_PER_MS, STATUS_OK, FunctionTable, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.placement import Placement
    from pilotlight.traces.readers.azure2019_files import AzureFiles

ORIGIN_MS = 1_563_148_800_000
"""Midnight (UTC) of 15 July 2019, when the recording begins."""

MINUTES_A_DAY = 1440
MAX_SAMPLES = 1e15
MAX_REQUESTS = 500_000_000
"""More are refused: a sample of the functions fits a machine, a whole day of them does not."""

LEVELS = (0, 1, 25, 50, 75, 99, 100)
IDS = tuple(
    Text(name, may_be_empty=False, meaning=f"the {what}'s hashed name")
    for name, what in (("HashOwner", "owner"), ("HashApp", "app"), ("HashFunction", "function"))
)
NAMES = [field.name for field in IDS]
TRIGGER = Text("Trigger", may_be_empty=True, meaning="what calls the function")
TIMER = "timer"
OWNER_AND_APP = {"HashOwner", "HashApp"}
SAMPLES = ("Count", "SampleCount")
"""Of durations and of memory: how many executions or measurements a row sums up."""

PERCENTILES = tuple(Real(f"percentile_Average_{level}", 0, MAX_SPAN_MS, "milliseconds") for level in LEVELS)
MEMORY = Real("AverageAllocatedMb", 0, MAX_MEMORY_MB, "MB")


class Gap(NamedTuple):
    """Functions of a file's day that it has no row of: they have the others' median."""

    path: Path
    missing: int
    functions: int


class Azure2019(NamedTuple):
    """What was read.

    Attributes:
        trace: the requests made of the counts.
        days: the files of each day they were made from.
        without_durations: of each day.
        without_memory: on no day; None if no day has a table of memory.
    """

    trace: Trace
    days: tuple[AzureFiles, ...]
    without_durations: tuple[Gap, ...]
    without_memory: Gap | None


class _Day(NamedTuple):
    """The requests of one day in order of arrival, and what its files say of the functions that they index."""

    names: pl.DataFrame
    arrival_ns: NDArray[np.int64]
    function: NDArray[np.uint32]
    duration_ns: NDArray[np.uint64]
    longest_ms: NDArray[np.float64]
    memory_mb: NDArray[np.float64]
    without_durations: Gap


def read_azure2019(
    folder: Path,
    *,
    seed: int = 1,
    placement: str = DEFAULT_PLACEMENT,
    memory_mb: int | None = None,
    notes: list[str] | None = None,
) -> Azure2019:
    """Read one day or several, or a sample of them; the module's table says by which rules.

    Args:
        folder: holds one file each of a day, `.csv` or `.csv.gz`, whose names contain `invocations`, `durations` and
            `memory`, and `.d01` and so on if there are several days.
        seed: of everything that is drawn.
        placement: where requests lie inside their minute: a name in `PLACEMENTS`.
        memory_mb: of every function, if no file tells it; None takes `assumptions.FUNCTION_MB`.
        notes: gets sentences for the user about what is doubled or missing.

    Raises:
        TraceError: a file is missing or malformed, nothing joins, or the placement is not known; the text names file,
            line, field and remedy.
    """
    if not 0 <= seed < 2**64:
        raise TraceError(f"seed is {seed}; it must be from 0 to {2**64 - 1}")
    place = placement_named(placement)
    notes = [] if notes is None else notes
    files = find_days(folder)
    streams = np.random.SeedSequence(seed).spawn(3)
    place_rng, duration_rng, start_rng = (np.random.Generator(np.random.PCG64(stream)) for stream in streams)
    days, left = [], MAX_REQUESTS
    for index, day_files in enumerate(files):
        days.append(_read_day(day_files, index, left, place, (place_rng, duration_rng), notes=notes))
        left -= len(days[-1].arrival_ns)
    if left == MAX_REQUESTS:
        raise TraceError(f"{files[0].invocations}: {_wrong_count(0)}")
    names = pl.concat([day.names for day in days]).unique(subset=NAMES, keep="first", maintain_order=True)
    places = [_places(names, day.names) for day in days]
    memories_mb, longest_ms = np.full(names.height, np.nan), np.zeros(names.height)
    for day, rows in zip(days, places, strict=True):
        memories_mb[rows] = np.where(np.isnan(memories_mb[rows]), day.memory_mb, memories_mb[rows])
        longest_ms[rows] = np.maximum(longest_ms[rows], day.longest_ms)
    without_memory = _fill_memory(folder, files, memories_mb, memory_mb, notes)
    arrival_ns = _joined_up([day.arrival_ns for day in days])
    first_ms = int(arrival_ns[0]) // NS_PER_MS
    arrival_ns -= first_ms * NS_PER_MS
    trace = Trace(
        arrival_ns=arrival_ns.view(np.uint64),
        function=_joined_up([rows[day.function] for day, rows in zip(days, places, strict=True)]),
        duration_ns=_joined_up([day.duration_ns for day in days]),
        status=np.full(len(arrival_ns), STATUS_OK, dtype=np.int32),
        functions=_functions(names, memories_mb, longest_ms, start_rng),
        origin_ms=ORIGIN_MS + first_ms,
    )
    return Azure2019(trace, files, tuple(day.without_durations for day in days), without_memory)


def _fill_memory(
    folder: Path, days: tuple[AzureFiles, ...], memories_mb: NDArray[np.float64], given_mb: int | None, notes: list[str]
) -> Gap | None:
    """Give functions whose memory no day tells the median of the others, or the default where no file tells any."""
    missing = sum(day.memory is None for day in days)
    if missing == len(days):
        memories_mb[:] = FUNCTION_MB if given_mb is None else given_mb
        notes.append(f"{folder}: has no memory file; every function has {memories_mb[0]:g} MB, --memory says otherwise")
        return None
    known = ~np.isnan(memories_mb)
    memories_mb[~known] = np.median(memories_mb[known])
    if missing:
        notes.append(f"{folder}: {missing} of {len(days)} days have no memory file; functions have that of other days")
    first = next(day.memory for day in days if day.memory is not None)
    return Gap(first, int((~known).sum()), len(known))


def _read_day(
    files: AzureFiles,
    index: int,
    left: int,
    place: Placement,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    notes: list[str],
) -> _Day:
    """Read one day; `left` is how many requests it may have."""
    minutes = _minutes(files.invocations)
    called_by = [TRIGGER] if TRIGGER.name in read_header(files.invocations) else []
    counts = read_table(files.invocations, (*IDS, *called_by, *(_count(minute) for minute in minutes)), notes)
    _refuse_repeated(files.invocations, counts)
    percentiles_ms = _joined(files.durations, counts, PERCENTILES, notes)
    if files.memory is None:
        memory_mb = np.full(counts.height, np.nan)
    else:
        memory_mb = _joined(files.memory, counts, (MEMORY,), notes)[:, 0]
    known = ~np.isnan(percentiles_ms[:, 0])
    percentiles_ms[~known] = np.median(percentiles_ms[known], axis=0)
    total = sum(int(counts[str(minute)].sum()) for minute in minutes)
    if total > left:
        raise TraceError(f"{files.invocations}: {_wrong_count(total)}")
    arrival_ns = np.empty(total, dtype=np.int64)
    function = np.empty(total, dtype=np.uint32)
    duration_ns = np.empty(total, dtype=np.uint64)
    end = 0
    day_ns = index * MINUTES_A_DAY * NS_PER_MINUTE
    for moment_ns, called in _by_minute(counts, minutes, place, rngs[0]):
        rows = slice(end, end + len(called))
        arrival_ns[rows] = moment_ns + day_ns
        function[rows] = called
        duration_ns[rows] = _durations(percentiles_ms, called, rngs[1])
        end = rows.stop
    names = counts.select(*NAMES, TRIGGER.name if called_by else pl.lit("").alias(TRIGGER.name))
    gap = Gap(files.durations, int((~known).sum()), counts.height)
    return _Day(names, arrival_ns, function, duration_ns, percentiles_ms[:, -1], memory_mb, gap)


def _wrong_count(total: int) -> str:
    return f"counts {total} requests; it must be from 1 to {MAX_REQUESTS}: keep fewer functions or minutes, or others"


def _places(names: pl.DataFrame, of_day: pl.DataFrame) -> NDArray[np.uint32]:
    """Return the row of each function of a day in the table of all."""
    joined = of_day.select(NAMES).join(names.with_row_index("row"), on=NAMES, how="left", maintain_order="left")
    rows: NDArray[np.uint32] = joined["row"].to_numpy()
    return rows


def _joined_up(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _by_minute(
    counts: pl.DataFrame, minutes: list[int], place: Placement, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    """Yield the requests of each minute in order of arrival: ns after midnight, and the functions called."""
    timers = (counts[TRIGGER.name] == TIMER).to_numpy() if TRIGGER.name in counts.columns else None
    for minute in minutes:
        here = counts[str(minute)].to_numpy().astype(np.int64)
        moment_ns = (minute - 1) * NS_PER_MINUTE + place(here, rng, timers)
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
    names: pl.DataFrame, memory_mb: NDArray[np.float64], longest_ms: NDArray[np.float64], rng: np.random.Generator
) -> FunctionTable:
    """Make the function table, in the order of the invocations."""
    functions = names["HashFunction"]
    whole_mb = np.maximum(np.ceil(memory_mb), 1).astype(np.uint64)
    triggers = tuple(names[TRIGGER.name])
    return FunctionTable(
        keys=tuple(functions if functions.n_unique() == len(functions) else names["HashApp"] + "/" + functions),
        runtimes=("",) * len(functions),
        timeout_s=timeouts_s(longest_ms * NS_PER_MS),
        memory_mb=whole_mb,
        init_ns=draw_init_ns(whole_mb, rng),
        apps=tuple(names["HashApp"]),
        triggers=triggers if any(triggers) else None,
    )


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


def _joined(path: Path, counts: pl.DataFrame, fields: tuple[Real, ...], notes: list[str]) -> NDArray[np.float64]:
    """Read one table and give each function its row.

    Returns:
        The fields, shape (f, fields); NaN where a function has no row.
    """
    header = read_header(path)
    ids = [field for field in IDS if field.name in header]
    names = [field.name for field in ids]
    if "HashFunction" not in names and not OWNER_AND_APP.issubset(names):
        raise TraceError(f"{path}:1: has neither a column HashFunction nor HashOwner and HashApp; it needs one to join")
    samples = [Real(name, 0, MAX_SAMPLES, "samples", may_be_empty=True) for name in SAMPLES if name in header]
    table = read_table(path, (*ids, *fields, *samples), notes)
    values = table.select(field.name for field in fields).to_numpy()
    descents = np.argwhere(np.diff(values, axis=1) < 0)
    if len(descents):
        row, column = descents[0].tolist()
        raise TraceError(
            f"{path}:{row + FIRST_ROW_LINE}: {fields[column + 1].name} is {values[row, column + 1]:g}, less than"
            f" {values[row, column]:g} of {fields[column].name}; percentiles must ascend"
        )
    chosen = _most_sampled(path, table, names, [field.name for field in samples], notes)
    rows = counts.select(names).join(chosen, on=names, how="left", maintain_order="left")["row"]
    known = rows.is_not_null().to_numpy()
    if not known.any():
        raise TraceError(f"{path}: no row has the {', '.join(names)} of an invoked function; take the same day's")
    joined = np.full((counts.height, len(fields)), np.nan)
    joined[known] = values[rows.drop_nulls().to_numpy()]
    return joined


def _most_sampled(
    path: Path, table: pl.DataFrame, names: list[str], samples: list[str], notes: list[str]
) -> pl.DataFrame:
    """Choose one row for each function or app, by its number, and say how many were given more than once."""
    ordered = table.select(*names, *samples).with_row_index("row")
    if samples:
        ordered = ordered.sort(samples, descending=True, nulls_last=True, maintain_order=True)
    chosen = ordered.unique(names, keep="first", maintain_order=True)
    if again := table.height - chosen.height:
        notes.append(f"{path}: rows that repeat a {names[-1]}: {again}; the one with more samples is taken")
    return chosen


def _refuse_repeated(path: Path, counts: pl.DataFrame) -> None:
    """Refuse a second row of the counts of a function: whether they add up or repeat themselves is not known."""
    again = counts.select(pl.struct(NAMES).is_first_distinct().not_()).to_series().arg_true()
    if len(again):
        line = int(again[0]) + FIRST_ROW_LINE
        name = shown(str(counts["HashFunction"][int(again[0])]))
        raise TraceError(f"{path}:{line}: HashFunction {name} was given in a line above; keep one of them")
