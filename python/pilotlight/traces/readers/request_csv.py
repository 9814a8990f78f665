"""Reads any CSV file with a row a request, told which column holds what: access logs, exported spans, own measurements.

| role        | column                                                                                           |
|-------------|--------------------------------------------------------------------------------------------------|
| `arrival`   | when the request came: numbers from any origin, or dates such as 2024-05-10T17:03:04.979Z        |
| `end`       | when it was over, instead of `arrival` or of `duration`                                          |
| `duration`  | how long it executed; without it and without `end`: `duration_ms` of the options                 |
| `function`  | the function's name; without it all requests are of one function, named as the file              |
| `status`    | a whole number; other than 200, the instance is lost. Not the status of HTTP                     |
| `memory_mb` | of the function: the largest of its rows                                                         |
| `runtime`, `app`, `trigger` | of the function: that of its first row                                           |
| `context_tokens`, `generated_tokens` | tokens; without duration they decide it: see `tokens`                   |

The map gives each role its column, ``arrival=ts``, and numbers of times their unit, ``arrival=ts:ms``; a role that the
map leaves out is the column of its own name, if there is one. Rows are put in order of arrival. The rest: see
`assumptions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.assumptions import plain_functions
from pilotlight.traces.columns import Moment, Real
from pilotlight.traces.csv_table import read_header, scan_table
from pilotlight.traces.fields import Text, Whole, shown
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.lines import first_block
from pilotlight.traces.moments import LATEST_NS
from pilotlight.traces.read_options import TIME_UNITS
from pilotlight.traces.tokens import MAX_TOKENS, token_durations_ns
from pilotlight.traces.trace import MAX_MEMORY_MB, MAX_SPAN_MS, NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.columns import Column
    from pilotlight.traces.csv_table import Rows
    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import FunctionTable, Trace

TIMES = ("arrival", "end", "duration")
TEXTS = ("function", "runtime", "app", "trigger")
TOKENS = ("context_tokens", "generated_tokens")
ROLES = (*TIMES, *TEXTS, "status", "memory_mb", *TOKENS)


class _Role(NamedTuple):
    """The field that reads a role's column, and for numbers of times the nanoseconds of their unit."""

    field: Column
    unit_ns: int = 1


def parse_columns(text: str) -> dict[str, str]:
    """Take a map such as ``arrival=ts:ms,function=fn`` apart.

    Raises:
        TraceError: it is none, or a role is not known or given twice.
    """
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        role, equals, column = part.strip().partition("=")
        if not equals or not column:
            raise TraceError(f"columns: {part!r} is not ROLE=COLUMN; roles: {', '.join(ROLES)}")
        if role not in ROLES:
            raise TraceError(f"columns: {role!r} is not a role; choose from {', '.join(ROLES)}")
        if role in found:
            raise TraceError(f"columns: {role} is given twice; keep one of them")
        found[role] = column
    return found


def read_request_csv(path: Path, options: ReadOptions, notes: list[str]) -> Trace:
    """Read the file; the module's table says by which rules.

    Raises:
        TraceError: the map or the file is wrong; the text names file, line, field and remedy.
    """
    roles = _roles(path, options)
    found, known = Gathering(path), _Known(options)
    for rows in scan_table(path, [role.field for role in roles.values()], notes):
        columns = {name: rows.table[role.field.name] for name, role in roles.items()}
        times = {name: _ns(columns[name], roles[name].unit_ns) for name in TIMES if name in roles}
        tokens = {name: columns[name].to_numpy().astype(np.uint32) for name in TOKENS if name in roles}
        arrival_ns, duration_ns = _times(path, rows, times, tokens, options)
        names = columns.get("function", pl.repeat(path.name.partition(".")[0], rows.table.height, eager=True))
        known.note(names, columns)
        status = columns["status"].to_numpy().astype(np.int32) if "status" in roles else None
        both = tokens if len(tokens) == len(TOKENS) else {}
        found.add(names, arrival_ns, duration_ns, status=status, **both)
    return found.trace(known.functions)


def _roles(path: Path, options: ReadOptions) -> dict[str, _Role]:
    """Find each role's column in the header."""
    header = read_header(path)
    given: Mapping[str, str] = {role: role for role in ROLES if role in header} | dict(options.columns)
    if "arrival" not in given and not {"end", "duration"} <= given.keys():
        raise TraceError(
            f"{path}:1: no column holds when requests arrive; name it with --columns arrival=COLUMN; the header has"
            f" {shown(', '.join(header))}"
        )
    first = dict(zip(header, _first_row(path), strict=False))
    roles: dict[str, _Role] = {}
    for role, text in given.items():
        column, _, unit = text.rpartition(":") if text not in header and ":" in text else (text, "", options.time_unit)
        if unit not in TIME_UNITS:
            raise TraceError(f"columns: the unit of {role}={text} is {unit!r}; choose one of {', '.join(TIME_UNITS)}")
        other = next((other for other, known in roles.items() if known.field.name == column), None)
        if other is not None:
            raise TraceError(
                f"{path}:1: the column {shown(column)} is given to both {other} and {role}; name another column for one"
            )
        roles[role] = _role(role, column, first.get(column, ""), unit)
    return roles


def _role(role: str, column: str, example: str, unit: str) -> _Role:
    """Choose the field that reads a role's column."""
    if role not in TIMES:
        return _Role(_plain_field(role, column))
    if role != "duration" and not _is_number(example):
        return _Role(Moment(column, f"{role} of the request"))
    unit_ns = TIME_UNITS[unit]
    high = (MAX_SPAN_MS * NS_PER_MS if role == "duration" else LATEST_NS) // unit_ns
    if unit_ns == 1:
        return _Role(Whole(column, 0, high, "nanoseconds"))
    return _Role(Real(column, 0, high, f"{role} in {unit}; --time-unit or {role}={column}:UNIT say otherwise"), unit_ns)


def _plain_field(role: str, column: str) -> Column:
    """Return the field of a column that holds no times."""
    if role in TEXTS:
        return Text(column, may_be_empty=role != "function", meaning=f"the {role}")
    if role == "status":
        return Whole(column, -(2**31), 2**31 - 1, "200 if the execution ended well")
    return Real(column, 0, MAX_MEMORY_MB, "MB") if role == "memory_mb" else Whole(column, 0, MAX_TOKENS, "tokens")


def _times(
    path: Path,
    rows: Rows,
    times: Mapping[str, NDArray[np.int64]],
    tokens: Mapping[str, NDArray[np.uint32]],
    options: ReadOptions,
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Work out arrivals and durations from what there is of them."""
    if "duration" in times:
        duration_ns = times["duration"]
    elif "end" in times:
        duration_ns = times["end"] - times["arrival"]
        if int(duration_ns.min()) < 0:
            line = rows.first_line + int(duration_ns.argmin())
            raise TraceError(f"{path}:{line}: end lies before arrival; name the columns the other way round")
    elif len(tokens) == len(TOKENS):
        duration_ns = token_durations_ns(path, tokens[TOKENS[0]], tokens[TOKENS[1]], options).view(np.int64)
    else:
        duration_ns = np.full(rows.table.height, round(options.duration_ms * NS_PER_MS), dtype=np.int64)
    return times["arrival"] if "arrival" in times else times["end"] - duration_ns, duration_ns.view(np.uint64)


class _Known:
    """What rows say of their functions."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._memory_mb: dict[str, float] = {}
        self._texts: dict[str, dict[str, str]] = {}

    def note(self, names: pl.Series, columns: Mapping[str, pl.Series]) -> None:
        """Take what one block says."""
        told = [name for name in ("memory_mb", "runtime", "app", "trigger") if name in columns]
        if not told:
            return
        rows = pl.DataFrame({"function": names} | {name: columns[name] for name in told})
        texts = [name for name in told if name != "memory_mb"]
        largest = [pl.col("memory_mb").max()] if "memory_mb" in told else []
        for row in rows.group_by("function", maintain_order=True).agg(*largest, *(pl.col(texts).first(),)).to_dicts():
            name = row["function"]
            if "memory_mb" in row:
                self._memory_mb[name] = max(row["memory_mb"], self._memory_mb.get(name, 0.0))
            for text in texts:
                self._texts.setdefault(text, {}).setdefault(name, row[text])

    def functions(self, keys: list[str], longest_ns: NDArray[np.uint64]) -> FunctionTable:
        """Make the function table."""
        memories_mb = np.ceil([self._memory_mb.get(key, 0.0) for key in keys]).astype(np.uint64)
        texts = {f"{text}s": [of[key] for key in keys] for text, of in self._texts.items()}
        return plain_functions(
            keys,
            longest_ns,
            seed=self._options.seed,
            memory_mb=self._options.memory_mb,
            memories_mb=memories_mb,
            runtimes=texts.get("runtimes"),
            apps=texts.get("apps"),
            triggers=texts.get("triggers"),
        )


def _ns(column: pl.Series, unit_ns: int) -> NDArray[np.int64]:
    values = column.to_numpy()
    return values if unit_ns == 1 else np.rint(values * unit_ns).astype(np.int64)


def _first_row(path: Path) -> list[str]:
    lines = first_block(path).lines
    return lines[1].removesuffix("\r").split(",") if len(lines) > 1 else []


def _is_number(text: str) -> bool:
    try:
        float(text.strip('"'))
    except ValueError:
        return False
    return True
