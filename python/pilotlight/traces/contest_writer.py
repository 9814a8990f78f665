"""Writes a trace as a contest data set, so that a generated or sliced workload can be kept, shared and replayed."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.new_folder import require_new_folder
from pilotlight.traces.readers.contest_files import DataSet
from pilotlight.traces.trace import MAX_TIME_MS, NS_PER_MS, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS_AT_ONCE = 100_000


def write_contest(trace: Trace, folder: Path, *, compress: bool = False) -> DataSet:
    """Write `requests` and `metas` into a folder; reading it gives the same trace back.

    The format counts milliseconds: finer times are rounded down. The same trace gives the same bytes.

    Args:
        trace: what to write.
        folder: is made if need be, and must be empty: files of another data set beside these would make it unreadable.
        compress: write `requests.gz` and `metas.gz`.

    Returns:
        The files written. `metas` comes last: a data set that has it is whole.

    Raises:
        TraceError: the folder is not empty or not writable, or an arrival lies outside the format's times.
    """
    last_ms = trace.origin_ms + trace.length_ns // NS_PER_MS
    if trace.origin_ms < 0 or last_ms > MAX_TIME_MS:
        raise TraceError(
            f"{folder}: arrivals from {trace.origin_ms} to {last_ms} ms since 1970 do not fit a contest data set, whose"
            f" times are from 0 to {MAX_TIME_MS}; write Parquet"
        )
    suffix = ".gz" if compress else ""
    files = DataSet(folder / f"requests{suffix}", folder / f"metas{suffix}")
    require_new_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(files.requests, _requests(trace), compress=compress)
        _write(files.metas, _metas(trace), compress=compress)
    except OSError as error:
        raise TraceError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return files


def _requests(trace: Trace) -> pl.LazyFrame:
    """Lay the requests out in the order and under the names of the format."""
    keys = pl.Series(trace.functions.keys, dtype=pl.String)
    return pl.LazyFrame(
        {
            "metaKey": keys.gather(trace.function),
            "startTime": (trace.arrival_ns // NS_PER_MS).astype(np.int64) + trace.origin_ms,
            "durationsInMs": trace.duration_ns // NS_PER_MS,
            "statusCode": trace.status,
        }
    )


def _metas(trace: Trace) -> pl.LazyFrame:
    """Lay the function table out in the order and under the names of the format."""
    functions = trace.functions
    init_ms: NDArray[np.uint64] = functions.init_ns // NS_PER_MS
    return pl.LazyFrame(
        {
            "key": functions.keys,
            "runtime": functions.runtimes,
            "timeoutInSecs": functions.timeout_s,
            "memoryInMb": functions.memory_mb,
            "initDurationInMs": init_ms,
        }
    )


def _write(path: Path, rows: pl.LazyFrame, *, compress: bool) -> None:
    frame = rows.collect()
    with ExitStack() as stack:
        stream = cast("BinaryIO", stack.enter_context(path.open("xb")))
        if compress:
            # No name and no time in the header: the bytes depend on the rows alone.
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)
            stream = cast("BinaryIO", stack.enter_context(packed))
        for piece in frame.iter_slices(ROWS_AT_ONCE):
            stream.write(piece.write_ndjson().encode())
