"""Reads data sets of the serverless cold-start contest: a `requests` and a `metas` file of JSON lines.

Reading is fast and strict. A block of requests whose every line has the usual shape is taken apart by one vectorised
expression, in the order of fields that its first line has. A block that leaves any doubt is read again line by line,
which either accepts the unusual (orders that change, more fields) or names the line, the field and the remedy. Both
ways give the same columns.

Cost: about 2 µs a request the usual way, 9 µs the careful way; memory: 20 bytes a request and one block.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.fields import Text, Whole, read_objects, shown
from pilotlight.traces.lines import Block, read_blocks
from pilotlight.traces.readers.contest_files import locate
from pilotlight.traces.trace import MAX_MEMORY_MB, MAX_SPAN_MS, MAX_TIME_MS, NS_PER_MS, FunctionTable, Trace
from pilotlight.traces.usual import NUMBER, usual_columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

START_TIME = Whole("startTime", 0, MAX_TIME_MS, "milliseconds since 1970")
DURATION = Whole("durationsInMs", 0, MAX_SPAN_MS, "milliseconds")
STATUS_CODE = Whole("statusCode", -(2**31), 2**31 - 1, "200 if the execution ended well")
REQUEST_FIELDS = (
    Text("metaKey", may_be_empty=False, meaning="the key of a function in the metas file"),
    START_TIME,
    DURATION,
    STATUS_CODE,
)

META_FIELDS = (
    Text("key", may_be_empty=False, meaning="the name of the function"),
    Text("runtime", may_be_empty=True, meaning="the language runtime"),
    Whole("timeoutInSecs", 0, 2**32 - 1, "seconds"),
    Whole("memoryInMb", 1, MAX_MEMORY_MB, "MB"),
    Whole("initDurationInMs", 0, MAX_SPAN_MS, "milliseconds"),
)

USUAL_FIELDS = {
    "metaKey": r'"([^"\\\x00-\x1f]+)"',
    "startTime": NUMBER,
    "durationsInMs": NUMBER,
    "statusCode": r"(0|-?[1-9][0-9]{0,14})",
}
"""The usual text of each field's value."""

NAME = re.compile(r'"(\w+)"[ \t]*:')


class _Requests(NamedTuple):
    """Columns of consecutive requests."""

    function: NDArray[np.uint32]
    start_ms: NDArray[np.int64]
    duration_ms: NDArray[np.int64]
    status: NDArray[np.int32]


def read_contest(folder: Path | None = None, *, requests: Path | None = None, metas: Path | None = None) -> Trace:
    """Read a data set.

    Args:
        folder: holds the two files, plain or gzip-compressed: `requests` and `metas`, with `.jsonl` and `.gz` as they
            like, or the only files whose names hold these words.
        requests: the requests file, when it is not in the folder or not the only one.
        metas: the metas file, likewise.

    Returns:
        The trace. Its function table is the metas file in its order, with the functions never called.

    Raises:
        TraceError: a file is missing, damaged or malformed; the text names file, line, field and remedy.
    """
    files = locate(folder, requests, metas)
    functions = read_metas(files.metas)
    blocks: list[_Requests] = []
    previous_ms = 0
    careful = _CarefulReader(functions, files.metas)
    for block in read_blocks(files.requests):
        columns = _read_usual(block, careful.names, previous_ms)
        if columns is None:
            columns = careful.read(block, previous_ms)
        if len(columns.start_ms):
            previous_ms = int(columns.start_ms[-1])
            blocks.append(columns)
    if not blocks:
        raise TraceError(f"{files.requests}: has no requests; each line must be a JSON object with metaKey and more")
    function, start_ms, duration_ms, status = (np.concatenate(column) for column in zip(*blocks, strict=True))
    origin_ms = int(start_ms[0])
    if previous_ms - origin_ms > MAX_SPAN_MS:
        raise TraceError(
            f"{files.requests}: {START_TIME.name} runs from {origin_ms} to {previous_ms}, more than {MAX_SPAN_MS} ms;"
            " give it in milliseconds"
        )
    return Trace(
        arrival_ns=(start_ms - origin_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
        function=function,
        duration_ns=duration_ms.astype(np.uint64) * np.uint64(NS_PER_MS),
        status=status,
        functions=functions,
        origin_ms=origin_ms,
    )


def read_metas(path: Path) -> FunctionTable:
    """Read a metas file.

    Raises:
        TraceError: it is missing, damaged, malformed or empty, or a key occurs twice.
    """
    rows: list[list[int | str]] = []
    line_of: dict[str, int] = {}
    for block in read_blocks(path):
        for line, row in read_objects(block, META_FIELDS):
            key = cast("str", row[0])
            if key in line_of:
                raise TraceError(f"{path}:{line}: key {shown(key)} was given in line {line_of[key]}; keep one of them")
            line_of[key] = line
            rows.append(row)
    if not rows:
        raise TraceError(f"{path}: has no functions; each line must be a JSON object with key, memoryInMb and more")
    keys, runtimes, timeout_s, memory_mb, init_ms = zip(*rows, strict=True)
    return FunctionTable(
        keys=cast("tuple[str, ...]", keys),
        runtimes=cast("tuple[str, ...]", runtimes),
        timeout_s=np.array(timeout_s, dtype=np.uint32),
        memory_mb=np.array(memory_mb, dtype=np.uint64),
        init_ns=np.array(init_ms, dtype=np.uint64) * np.uint64(NS_PER_MS),
    )


def _read_usual(block: Block, names: pl.Enum, previous_ms: int) -> _Requests | None:
    """Read a block whose every line has the usual shape and sense; None: read it carefully."""
    order = NAME.findall(block.lines[0])
    columns = usual_columns(block, _usual_line(order)) if sorted(order) == sorted(USUAL_FIELDS) else None
    if columns is None:
        return None
    of = dict(zip(order, columns, strict=True))
    key, start, duration, status = (of[name] for name in USUAL_FIELDS)
    function = key.cast(names, strict=False)
    start_ms = start.cast(pl.Int64).to_numpy()
    duration_ms = duration.cast(pl.Int64).to_numpy()
    status_code = status.cast(pl.Int64).to_numpy()
    usable = (
        function.null_count() == 0
        and previous_ms <= int(start_ms[0])
        and bool((start_ms[1:] >= start_ms[:-1]).all())
        and int(start_ms[-1]) <= START_TIME.high
        and int(duration_ms.max()) <= DURATION.high
        and STATUS_CODE.low <= int(status_code.min()) <= int(status_code.max()) <= STATUS_CODE.high
    )
    if not usable:
        return None
    return _Requests(
        function.to_physical().cast(pl.UInt32).to_numpy(), start_ms, duration_ms, status_code.astype(np.int32)
    )


def _usual_line(order: list[str]) -> str:
    """Return the pattern of a line that has these fields in this order and no others."""
    fields = r"[ \t]*,[ \t]*".join(rf'"{name}"[ \t]*:[ \t]*{USUAL_FIELDS[name]}' for name in order)
    return rf"^[ \t]*\{{[ \t]*{fields}[ \t]*\}}[ \t\r]*$"


class _CarefulReader:
    """Reads blocks of requests line by line against one function table."""

    def __init__(self, functions: FunctionTable, metas: Path) -> None:
        self.names = pl.Enum(functions.keys)
        self._index = {key: index for index, key in enumerate(functions.keys)}
        self._metas = metas

    def read(self, block: Block, previous_ms: int) -> _Requests:
        """Return the block's requests.

        Raises:
            TraceError: a line is wrong.
        """
        rows: list[tuple[int, int, int, int]] = []
        for line, values in read_objects(block, REQUEST_FIELDS):
            key, start_ms, duration_ms, status = cast("tuple[str, int, int, int]", values)
            function = self._index.get(key)
            if function is None:
                raise TraceError(
                    f"{block.path}:{line}: metaKey {shown(key)} is not in {self._metas}; add its line there"
                )
            if start_ms < previous_ms:
                raise TraceError(
                    f"{block.path}:{line}: startTime is {start_ms}, before {previous_ms} of the request above;"
                    " sort the file by startTime"
                )
            previous_ms = start_ms
            rows.append((function, start_ms, duration_ms, status))
        table = np.array(rows, dtype=np.int64).reshape(-1, 4)
        return _Requests(
            table[:, 0].astype(np.uint32), table[:, 1].copy(), table[:, 2].copy(), table[:, 3].astype(np.int32)
        )
