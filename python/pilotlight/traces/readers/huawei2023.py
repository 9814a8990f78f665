"""Reads Huawei's traces of 2023, private and public: tables a day of counts a minute or second, a column a function.

The layout is that of the data set's page (A. Joosen et al., "How Does It Function? Characterizing Long-term Trends in
Production Serverless Workloads", SoCC 2023):
https://github.com/sir-lab/data-release/blob/main/README_data_release_2023.md

Given is the folder that holds `requests_minute` or, if that is not there, `requests_second`; each has files such as
`day_000.csv` with the columns `day`, `time` (seconds from the start) and one a function. A cell may be empty.

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | the column's name                                                                                   |
| arrival  | the counts of each minute or second, rounded; inside it by the placement                            |
| duration | the mean of that minute or second and function in `function_delay_minute` or `_second`, for every   |
|          | request of it; where there is none, `duration_ms` of the options, as for the public trace. The page |
|          | does not name the unit; it is taken as milliseconds, as published readers of the data do            |
| memory   | `memory_limit_minute`, which is of all pods, by `instances_minute`: the median over a day's minutes, |
|          | of the first day that has both                                                                      |
| the rest | see `assumptions`; status 200                                                                       |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.assumptions import plain_functions
from pilotlight.traces.columns import Real
from pilotlight.traces.csv_table import FIRST_ROW_LINE, read_header, read_table, scan_table
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.placement import NS_PER_MINUTE, placement_named
from pilotlight.traces.trace import MAX_MEMORY_MB, MAX_SPAN_MS, NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import FunctionTable, Trace

SLOTS_NS = {"minute": NS_PER_MINUTE, "second": NS_PER_S}
NOT_FUNCTIONS = ("day", "time")
TIME = Real("time", 0, 10**9, "seconds from the start")
MAX_COUNT = 10**9


def read_huawei2023(folder: Path, options: ReadOptions, notes: list[str]) -> Trace:
    """Read the folder; the module's table says by which rules.

    Raises:
        TraceError: a file is missing or malformed; the text names file, line, field and remedy.
    """
    slot = next((slot for slot in SLOTS_NS if (folder / f"requests_{slot}").is_dir()), None)
    days = [] if slot is None else day_files(folder / f"requests_{slot}")
    if slot is None or not days:
        raise TraceError(f"{folder}: has no requests_minute/day_*.csv nor requests_second/day_*.csv; put them there")
    rng = np.random.Generator(np.random.PCG64(options.seed))
    found = Gathering(folder)
    for day in days:
        _add_day(found, day, slot, options, rng, notes=notes)
    return found.trace(lambda keys, longest_ns: _functions(folder, keys, longest_ns, options, notes))


def day_files(folder: Path) -> list[Path]:
    """Name the tables of a folder, in the order of their days."""
    return sorted(path for path in folder.glob("day_*") if path.name.endswith((".csv", ".csv.gz")))


def _add_day(
    found: Gathering, day: Path, slot: str, options: ReadOptions, rng: np.random.Generator, *, notes: list[str]
) -> None:
    """Make the requests of one table."""
    place = placement_named(options.placement)
    ids = _functions_of(day)
    names = pl.Series(ids, dtype=pl.String)
    durations_ns = _Durations(day.parent.parent / f"function_delay_{slot}" / day.name, ids, options, notes)
    fields = (TIME, *(Real(name, 0, MAX_COUNT, f"requests in a {slot}", may_be_empty=True) for name in ids))
    for rows in scan_table(day, fields, notes):
        counts = np.rint(rows.table.drop("time").fill_null(0).to_numpy()).astype(np.int64)
        for time_s, here in zip(rows.table["time"].to_list(), counts, strict=True):
            total = int(here.sum())
            if not total:
                continue
            found.expect(total)
            function = np.repeat(np.arange(len(ids), dtype=np.uint32), here)
            inside_ns = place(here, rng) // (NS_PER_MINUTE // SLOTS_NS[slot])
            arrival_ns = round(time_s * NS_PER_S) + inside_ns
            order = np.argsort(arrival_ns, kind="stable")
            function = function[order]
            found.add(names.gather(function), arrival_ns[order], durations_ns.at(time_s)[function])


class _Durations:
    """The mean durations of one day, by time and function."""

    def __init__(self, path: Path, ids: list[str], options: ReadOptions, notes: list[str]) -> None:
        self._usual = np.full(len(ids), round(options.duration_ms * NS_PER_MS), dtype=np.uint64)
        self._rows: dict[float, NDArray[np.uint64]] = {}
        if not path.is_file():
            return
        here = set(_functions_of(path))
        told = [name for name in ids if name in here]
        if not told:
            return
        columns = np.array([index for index, name in enumerate(ids) if name in here], dtype=np.int64)
        fields = (TIME, *(Real(name, 0, MAX_SPAN_MS, "milliseconds", may_be_empty=True) for name in told))
        table = read_table(path, fields, notes)
        means_ms = table.drop("time").cast(pl.Float64).to_numpy()
        for time_s, means in zip(table["time"].to_list(), means_ms, strict=True):
            known = ~np.isnan(means)
            row = self._usual.copy()
            row[columns[known]] = np.rint(means[known] * NS_PER_MS).astype(np.uint64)
            self._rows[time_s] = row

    def at(self, time_s: float) -> NDArray[np.uint64]:
        """Return each function's duration in ns at one time."""
        return self._rows.get(time_s, self._usual)


def _functions(
    folder: Path, keys: list[str], longest_ns: NDArray[np.uint64], options: ReadOptions, notes: list[str]
) -> FunctionTable:
    """Make the function table."""
    known = _memories_mb(folder, notes)
    memories = np.array([known.get(key, 0) for key in keys], dtype=np.uint64)
    return plain_functions(keys, longest_ns, seed=options.seed, memory_mb=options.memory_mb, memories_mb=memories)


def _memories_mb(folder: Path, notes: list[str]) -> dict[str, int]:
    """Work out the memory of one pod of each function, on the first day whose limits and instances are both there."""
    for limits in day_files(folder / "memory_limit_minute"):
        instances = folder / "instances_minute" / limits.name
        if not instances.is_file():
            continue
        ids = [name for name in _functions_of(limits) if name in _functions_of(instances)]
        totals_mb, pods = (
            read_table(path, [Real(name, 0, 1e15, meaning, may_be_empty=True) for name in ids], notes)
            for path, meaning in ((limits, "MB"), (instances, "instances"))
        )
        if totals_mb.height != pods.height:
            raise TraceError(
                f"{instances}:{pods.height + FIRST_ROW_LINE}: has {pods.height} rows, {limits} has {totals_mb.height};"
                " take both of one day"
            )
        per_pod = {name: (totals_mb[name] / pods[name]) for name in ids}
        medians = {name: ratio.filter(ratio.is_finite() & (ratio > 0)).median() for name, ratio in per_pod.items()}
        return {
            name: min(int(np.ceil(float(str(mb)))), MAX_MEMORY_MB) for name, mb in medians.items() if mb is not None
        }
    return {}


def _functions_of(path: Path) -> list[str]:
    """Name the columns that are functions.

    Raises:
        TraceError: there are none.
    """
    names = [name for name in read_header(path) if name and name not in NOT_FUNCTIONS]
    if not names:
        raise TraceError(f"{path}:1: has no column of a function; the header is day, time and one name a function")
    return names
