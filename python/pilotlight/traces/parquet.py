"""Writes and reads traces as Parquet: a folder of `requests.parquet` and `functions.parquet`, in the schema of `trace`.

Two files, because two tables: any tool joins `requests.function` to the row number of the other. Both carry the
schema's version, and the requests the origin and what they were made from, as the file's own metadata. Requests are
written and read in blocks of `ROWS_AT_ONCE`, so that memory does not grow with the trace; the function table is held.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from pilotlight.errors import TraceError
from pilotlight.traces.new_folder import require_new_folder
from pilotlight.traces.totals import Totals
from pilotlight.traces.trace import (
    COLUMN_TYPES,
    NS_PER_MS,
    Block,
    BlockChecker,
    FunctionTable,
    Trace,
    check_origin,
    empty_window,
    window_ns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

REQUESTS, FUNCTIONS = "requests.parquet", "functions.parquet"
SCHEMA_VERSION = 1
ROWS_AT_ONCE = 1 << 18
META = "pilotlight."
STAGE = "stage_"
NS = "_ns"

REQUEST_TYPES: dict[str, type[pl.DataType]] = {
    "arrival_ns": pl.UInt64,
    "function": pl.UInt32,
    "duration_ns": pl.UInt64,
    "status": pl.Int32,
}
TOKEN_TYPES: dict[str, type[pl.DataType]] = {"context_tokens": pl.UInt32, "generated_tokens": pl.UInt32}
FUNCTION_TYPES: dict[str, type[pl.DataType]] = {
    "key": pl.String,
    "runtime": pl.String,
    "timeout_s": pl.UInt32,
    "memory_mb": pl.UInt64,
    "init_ns": pl.UInt64,
}
OPTIONAL_FUNCTION_TYPES: dict[str, type[pl.DataType]] = {
    "create_ns": pl.UInt64,
    "app": pl.String,
    "trigger": pl.String,
}


def is_trace(path: Path) -> bool:
    """Tell whether a path is such a folder, or the requests of one."""
    folder = path.parent if path.name == REQUESTS else path
    return (folder / REQUESTS).is_file() and (folder / FUNCTIONS).is_file()


def write_parquet(trace: Trace, folder: Path, source: dict[str, Any] | None = None) -> None:
    """Write a trace; see `write_blocks`."""
    step = range(0, len(trace), ROWS_AT_ONCE)
    blocks = (_rows(trace.block, slice(first, first + ROWS_AT_ONCE)) for first in step)
    write_blocks(folder, trace.functions, trace.origin_ms, blocks, source)


def write_blocks(
    folder: Path,
    functions: FunctionTable,
    origin_ms: int,
    blocks: Iterable[Block],
    source: dict[str, Any] | None = None,
) -> int:
    """Write a trace that comes in blocks, in bounded memory.

    Args:
        folder: is made if need be, and must be empty.
        functions: the function table.
        origin_ms: as of `Trace`.
        blocks: the requests; all blocks have the same columns.
        source: where they come from, for whoever reads them; JSON.

    Returns:
        How many requests were written. The function table comes last: a trace that has it is whole.

    Raises:
        TraceError: a block breaks the rules of `Trace`, there are none, or the folder is not empty or not writable.
    """
    checker = BlockChecker(functions)
    ahead = iter(blocks)
    first = next(ahead, None)
    if first is None:
        raise TraceError("the trace has no requests; there is nothing to write")
    names = first.names
    schema = {name: (REQUEST_TYPES | TOKEN_TYPES)[name] for name in names}
    failed: list[Exception] = []

    def frames(*_: object) -> Iterator[pl.DataFrame]:
        # What is raised in here reaches the caller as text only.
        try:
            block: Block | None = first
            while block is not None:
                columns = {name: getattr(block, name) for name in names}
                checker.check(Block(**columns))
                yield pl.DataFrame(columns, schema=schema)
                block = next(ahead, None)
        except Exception as error:
            failed.append(error)
            raise

    check_origin(origin_ms)
    meta = {f"{META}schema": str(SCHEMA_VERSION)}
    about = {f"{META}origin_ms": str(origin_ms), f"{META}source": json.dumps(source or {}, default=str)}
    require_new_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        register_io_source(frames, schema=schema).sink_parquet(
            folder / REQUESTS, row_group_size=ROWS_AT_ONCE, compression_level=1, metadata=meta | about
        )
        _function_frame(functions).write_parquet(folder / FUNCTIONS, metadata=meta)
    except BaseException as error:
        with suppress(OSError):  # as where the folder could not be made
            (folder / REQUESTS).unlink()
        if failed and isinstance(error, pl.exceptions.PolarsError):
            raise failed[0] from error
        if isinstance(error, (OSError, pl.exceptions.PolarsError)):
            text = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise TraceError(f"{folder}: cannot be written: {text}") from error
        raise
    if not checker.rows:
        raise TraceError("the trace has no requests; there is nothing to write")
    return checker.rows


@dataclass(frozen=True)
class StoredTrace:
    """A trace on disk, to be read in blocks as often as need be; several readers may do so at once.

    Attributes:
        folder: where it is.
        functions: its function table.
        origin_ms: as of `Trace`.
        requests: how many there are.
        source: what its writer said it was made from.
    """

    folder: Path
    functions: FunctionTable
    origin_ms: int
    requests: int
    source: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.requests

    def blocks(self) -> Iterator[Block]:
        """Yield the requests, `ROWS_AT_ONCE` at a time, checked as they come.

        Raises:
            TraceError: the file is damaged or breaks the rules of `Trace`; the text names the column and the row.
        """
        path, checker = self.folder / REQUESTS, BlockChecker(self.functions)
        frame = pl.scan_parquet(path)
        for first in range(0, self.requests, ROWS_AT_ONCE):
            try:
                rows = frame.slice(first, ROWS_AT_ONCE).collect()
                block = Block(**{name: _view(rows[name]) for name in rows.columns if name in COLUMN_TYPES})
                checker.check(block)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise _damaged(path, error) from error
            except TraceError as error:
                raise TraceError(f"{path}: {error}") from error
            yield block

    def load(self) -> Trace:
        """Read all of it into memory, in that of its columns and a block."""
        columns: dict[str, NDArray[Any]] = {}
        row = 0
        for block in self.blocks():
            for name, column in block._asdict().items():
                if column is not None:
                    if name not in columns:
                        columns[name] = np.empty(self.requests, dtype=column.dtype)
                    columns[name][row : row + len(column)] = column
            row += len(block.arrival_ns)
        return Trace(**columns, functions=self.functions, origin_ms=self.origin_ms)

    def slice(self, start_s: float = 0.0, length_s: float | None = None) -> Trace:
        """Take the requests of a window, as `Trace.slice`; only these are held, and nothing behind them is read.

        Raises:
            TraceError: the window is negative or holds no request, or the file is damaged.
        """
        window = window_ns(start_s, length_s)
        last_ns, parts = 0, []
        for block in self.blocks():
            first, end = np.searchsorted(block.arrival_ns, window).tolist()
            if first < end:
                parts.append(_rows(block, slice(first, end)))
            last_ns = int(block.arrival_ns[-1])
            if last_ns >= window[1]:
                break
        if not parts:
            raise empty_window(start_s, length_s, last_ns)
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].names}
        shift_ms = int(columns["arrival_ns"][0]) // NS_PER_MS
        columns["arrival_ns"] -= np.uint64(shift_ms * NS_PER_MS)
        return Trace(**columns, functions=self.functions, origin_ms=self.origin_ms + shift_ms)

    @cached_property
    def totals(self) -> Totals:
        """Sums over the requests of each function: one pass over the file, once."""
        return Totals.of(self.functions, self.blocks())

    @property
    def called(self) -> int:
        """As of `Trace`."""
        return self.totals.called

    @property
    def bad_requests(self) -> int:
        """As of `Trace`."""
        return self.totals.bad_requests

    @property
    def length_ns(self) -> int:
        """As of `Trace`."""
        return self.totals.length_ns

    @property
    def execution_s(self) -> float:
        """As of `Trace`."""
        return self.totals.execution_s

    @property
    def execution_gb_s(self) -> float:
        """As of `Trace`."""
        return self.totals.execution_gb_s(self.functions)


def open_parquet(path: Path) -> StoredTrace:
    """Open a trace: read its function table and look at its requests.

    Args:
        path: the folder, or its `requests.parquet`.

    Raises:
        TraceError: a file is missing or damaged, of another version, or lacks a column.
    """
    folder = path.parent if path.name == REQUESTS else path
    requests, about = _open(folder / REQUESTS, REQUEST_TYPES, TOKEN_TYPES)
    if not requests:
        raise TraceError(f"{folder / REQUESTS}: has no requests; there is nothing to replay")
    try:
        origin_ms = int(about[f"{META}origin_ms"])
        source = json.loads(about.get(f"{META}source", "{}"))
        check_origin(origin_ms)
    except TraceError as error:
        raise TraceError(f"{folder / REQUESTS}: {error}; write it again") from error
    except (KeyError, ValueError) as error:
        raise TraceError(
            f"{folder / REQUESTS}: its metadata {META}origin_ms is missing or wrong; write it again"
        ) from error
    return StoredTrace(folder, _read_functions(folder / FUNCTIONS), origin_ms, requests, source)


def load_parquet(path: Path) -> tuple[Trace, dict[str, Any]]:
    """Read a whole trace, and what its writer said it was made from."""
    stored = open_parquet(path)
    return stored.load(), stored.source


def _open(
    path: Path, types: dict[str, type[pl.DataType]], optional: dict[str, type[pl.DataType]]
) -> tuple[int, dict[str, str]]:
    """Hold a file's version and columns against the schema; return its rows and metadata."""
    if not path.is_file():
        raise TraceError(f"{path}: is missing; a trace is a folder of {REQUESTS} and {FUNCTIONS}")
    try:
        about = pl.read_parquet_metadata(path)
        found = pl.scan_parquet(path).collect_schema()
        rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(path, error) from error
    version = about.get(f"{META}schema")
    if version != str(SCHEMA_VERSION):
        raise TraceError(
            f"{path}: is of schema version {version}, this Pilotlight reads {SCHEMA_VERSION}; write it again with"
            " `pilotlight trace convert`"
        )
    for name, wanted in (types | {name: kind for name, kind in optional.items() if name in found}).items():
        if name not in found:
            raise TraceError(f"{path}: the column {name} is missing; it has {', '.join(found)}")
        if found[name] != wanted:
            raise TraceError(f"{path}: the column {name} is {found[name]}; it must be {wanted()}")
    return rows, about


def _read_functions(path: Path) -> FunctionTable:
    """Read the function table."""
    _open(path, FUNCTION_TYPES, OPTIONAL_FUNCTION_TYPES)
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(path, error) from error
    stages = [name for name in table.columns if name.startswith(STAGE) and name.endswith(NS)]
    known = {*FUNCTION_TYPES, *OPTIONAL_FUNCTION_TYPES, *stages}
    holes = [column.name for column in table if column.name in known and column.null_count()]
    if holes:
        raise TraceError(f"{path}: the column {holes[0]} has empty cells; fill them")
    try:
        return FunctionTable(
            keys=tuple(table["key"]),
            runtimes=tuple(table["runtime"]),
            timeout_s=_own(table["timeout_s"]),
            memory_mb=_own(table["memory_mb"]),
            init_ns=_own(table["init_ns"]),
            create_ns=_own(table["create_ns"]) if "create_ns" in table.columns else None,
            stages={name.removeprefix(STAGE).removesuffix(NS): _own(table[name]) for name in stages},
            apps=tuple(table["app"]) if "app" in table.columns else None,
            triggers=tuple(table["trigger"]) if "trigger" in table.columns else None,
        )
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from error


def _function_frame(functions: FunctionTable) -> pl.DataFrame:
    """Lay the function table out under the names of the schema."""
    columns: dict[str, Any] = {
        "key": functions.keys,
        "runtime": functions.runtimes,
        "timeout_s": functions.timeout_s,
        "memory_mb": functions.memory_mb,
        "init_ns": functions.init_ns,
    }
    optional = {"create_ns": functions.create_ns, "app": functions.apps, "trigger": functions.triggers}
    columns |= {name: column for name, column in optional.items() if column is not None}
    schema = {name: (FUNCTION_TYPES | OPTIONAL_FUNCTION_TYPES)[name] for name in columns}
    stages = {f"{STAGE}{name}{NS}": column for name, column in functions.stages.items()}
    return pl.DataFrame(columns, schema=schema).with_columns(
        pl.Series(name, column, dtype=pl.UInt64) for name, column in stages.items()
    )


def _rows(block: Block, which: slice) -> Block:
    return Block(**{name: column[which] for name, column in block._asdict().items() if column is not None})


def _view(column: pl.Series) -> NDArray[Any]:
    """Return a column as NumPy sees it, without copying.

    Raises:
        TraceError: it has empty cells.
    """
    if column.null_count():
        raise TraceError(f"{column.name} has empty cells; fill them")
    view: NDArray[Any] = column.rechunk().to_numpy(allow_copy=False)
    return view


def _own(column: pl.Series) -> NDArray[Any]:
    own: NDArray[Any] = column.to_numpy(writable=True)
    return own


def _damaged(path: Path, error: Exception) -> TraceError:
    text = str(error).partition("\n")[0]
    return TraceError(f"{path}: is not a Parquet file that can be read ({text}); write or fetch it again")
