"""The one columnar form of a workload: a row a request, a table of functions.

Readers and generators produce a `Trace`; the simulator and the real-time replay consume it. A `Trace` that exists is
valid: columns agree in length and type, arrivals ascend from the origin, indices point into the table. Columns are
read-only. This is the schema: docs/traces.md describes it, `parquet` writes it down under the same names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from pilotlight.traces.totals import Totals

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
MB_PER_GB = 1024

STATUS_OK = 200
"""The status code of a request that ended well; every other one takes its instance along."""

MAX_SPAN_MS = 10**12
"""Longest duration and longest trace (32 years): sums of nanoseconds stay far from 64 bits."""

MAX_TOTAL_NS = 1e19
"""Most that all durations may add up to (300 years): it fits 64 bits."""

NEVER_NS = 2**63
"""Later than any arrival."""

MAX_MEMORY_MB = 2**24
"""Largest memory of a function (16 TiB)."""

MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999 in ms since 1970: an origin lies at most so far from 1970."""

RESERVED_STAGES = ("create", "data", "queued", "handoff", "failed")
"""Stages that start models add, and causes of waiting that are told beside stages: no part of Init is called so."""


@dataclass(frozen=True, slots=True, eq=False)
class FunctionTable:
    """The functions of a trace, in the order that `Trace.function` indexes; functions never called may be in it.

    Attributes:
        keys: shape (f,), distinct and not empty.
        runtimes: shape (f,), free text.
        timeout_s: uint32, shape (f,), the platform's limit on one execution.
        memory_mb: uint64, shape (f,), 1 to `MAX_MEMORY_MB`.
        init_ns: uint64, shape (f,), how long Init takes.
        create_ns: uint64, shape (f,), how long CreateSlot takes; None: what the platform's settings say.
        stages: what Init is made of, by name and in order: uint64 columns of ns, shape (f,), that add up to `init_ns`;
            empty: not known. None is called as one of `RESERVED_STAGES`.
        apps: shape (f,), the application that the function is a part of; None: not known.
        triggers: shape (f,), what calls the function, such as `http` or `timer`; None: not known.

    Raises:
        TraceError: the columns break one of these rules.
    """

    keys: tuple[str, ...]
    runtimes: tuple[str, ...]
    timeout_s: NDArray[np.uint32]
    memory_mb: NDArray[np.uint64]
    init_ns: NDArray[np.uint64]
    create_ns: NDArray[np.uint64] | None = None
    stages: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict)
    apps: tuple[str, ...] | None = None
    triggers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.keys)
        _check_column("timeout_s", self.timeout_s, np.uint32, count)
        _check_column("memory_mb", self.memory_mb, np.uint64, count)
        for name, texts in (("runtimes", self.runtimes), ("apps", self.apps), ("triggers", self.triggers)):
            if texts is not None and len(texts) != count:
                raise TraceError(f"function table: {len(texts)} {name} for {count} keys; give one for each")
        self._check_keys()
        wrong = np.flatnonzero((self.memory_mb < 1) | (self.memory_mb > MAX_MEMORY_MB))
        if len(wrong):
            row = int(wrong[0])
            raise TraceError(
                f"function table: memory_mb must be from 1 to {MAX_MEMORY_MB}: row {row} has {self.memory_mb[row]}"
            )
        self._check_starts()

    def _check_keys(self) -> None:
        """Require names that tell functions apart."""
        if "" in self.keys:
            raise TraceError(f"function table: the key of row {self.keys.index('')} is empty; every function needs one")
        if len(set(self.keys)) != len(self.keys):
            seen: dict[str, int] = {}
            row = next(row for row, key in enumerate(self.keys) if seen.setdefault(key, row) != row)
            raise TraceError(
                f"function table: rows {seen[self.keys[row]]} and {row} have the same key {self.keys[row]!r}; keys name"
                " functions and must be distinct"
            )

    def _check_starts(self) -> None:
        """Require start times that a run can add up, and stages that nothing else is called."""
        taken = [name for name in self.stages if name in RESERVED_STAGES]
        if taken:
            raise TraceError(
                f"function table: a part of Init cannot be called {taken[0]}: {', '.join(RESERVED_STAGES)} have a"
                " meaning of their own; give the stage another name"
            )
        columns = {"init_ns": self.init_ns} | {f"stage {name}": column for name, column in self.stages.items()}
        if self.create_ns is not None:
            columns["create_ns"] = self.create_ns
        for name, column in columns.items():
            _check_column(name, column, np.uint64, len(self))
            if len(column) and int(column.max()) > MAX_SPAN_MS * NS_PER_MS:
                raise TraceError(
                    f"function table: {name} must be at most {MAX_SPAN_MS * NS_PER_MS}: row {int(column.argmax())} is"
                    " more"
                )
        if self.stages:
            off = np.flatnonzero(np.sum(list(self.stages.values()), axis=0) != self.init_ns)
            if len(off):
                raise TraceError(
                    f"function table: the stages of row {int(off[0])} do not add up to its init_ns; they are its parts"
                )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def memory_gb(self) -> NDArray[np.float64]:
        """Memory in GB (MB / 1024), shape (f,)."""
        return self.memory_mb / MB_PER_GB

    def create_ns_or(self, platform_ns: int) -> NDArray[np.uint64]:
        """Return how long each CreateSlot takes: what the table says, else what the platform does; shape (f,)."""
        if self.create_ns is not None:
            return self.create_ns
        return np.full(len(self), platform_ns, dtype=np.uint64)


class Block(NamedTuple):
    """Consecutive requests in order of arrival: the columns of `Trace`, whole or in part."""

    arrival_ns: NDArray[np.uint64]
    function: NDArray[np.uint32]
    duration_ns: NDArray[np.uint64]
    status: NDArray[np.int32]
    context_tokens: NDArray[np.uint32] | None = None
    generated_tokens: NDArray[np.uint32] | None = None

    @property
    def names(self) -> list[str]:
        """The columns that it has."""
        return [name for name in self._fields if getattr(self, name) is not None]

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Which requests leave an instance that must be destroyed, shape (n,)."""
        bad: NDArray[np.bool_] = self.status != STATUS_OK
        return bad


COLUMN_TYPES: dict[str, type[np.generic]] = {
    "arrival_ns": np.uint64,
    "function": np.uint32,
    "duration_ns": np.uint64,
    "status": np.int32,
    "context_tokens": np.uint32,
    "generated_tokens": np.uint32,
}
"""The type of each column of a `Block`."""


class BlockChecker:
    """Holds blocks against the rules of `Trace`, one after the other; errors count rows from the first one's first."""

    def __init__(self, functions: FunctionTable) -> None:
        self._functions = len(functions)
        self._total_ns = 0.0
        self.rows = 0
        self.last_ns = 0

    def check(self, block: Block) -> None:
        """Check the next block and make its columns read-only.

        Raises:
            TraceError: it breaks a rule; the text names the column and the row.
        """
        count = len(block.arrival_ns)
        for name, column in block._asdict().items():
            if column is not None:
                _check_column(name, column, COLUMN_TYPES[name], count)
        if count == 0:
            return
        arrival_ns = block.arrival_ns
        if self.rows == 0 and int(arrival_ns[0]) >= NS_PER_MS:
            raise TraceError(
                "arrival_ns must start at origin_ms: the first arrival lies a millisecond or more after it"
            )
        descents = np.flatnonzero(arrival_ns[1:] < arrival_ns[:-1])
        if int(arrival_ns[0]) < self.last_ns or len(descents):
            row = self.rows if int(arrival_ns[0]) < self.last_ns else self.rows + int(descents[0]) + 1
            raise TraceError(f"arrival_ns must ascend: row {row} lies before the row above it")
        if int(block.function.max()) >= self._functions:
            row = self.rows + int(np.argmax(block.function >= self._functions))
            raise TraceError(f"function must index the table of {self._functions}: row {row} does not")
        for name, column in (("arrival_ns", arrival_ns), ("duration_ns", block.duration_ns)):
            if int(column.max()) > MAX_SPAN_MS * NS_PER_MS:
                row = self.rows + int(column.argmax())
                raise TraceError(f"{name} must be at most {MAX_SPAN_MS * NS_PER_MS}: row {row} is more")
        self._total_ns += float(block.duration_ns.sum(dtype=np.float64))
        if self._total_ns > MAX_TOTAL_NS:
            raise TraceError(f"duration_ns adds up to more than {MAX_TOTAL_NS:.0e} ns; give durations in nanoseconds")
        self.rows += count
        self.last_ns = int(arrival_ns[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A workload: at least one request, in order of arrival.

    Attributes:
        arrival_ns: uint64, shape (n,), ascending; relative to `origin_ms`.
        function: uint32, shape (n,), index into `functions`.
        duration_ns: uint64, shape (n,), execution time.
        status: int32, shape (n,), the status code the execution ends with; see `bad`.
        functions: the function table.
        origin_ms: the first arrival in the data set's own clock (ms since 1970), rounded down to the millisecond; at
            most `MAX_TIME_MS` to either side.
        context_tokens: uint32, shape (n,), tokens that the request brings along; None: the trace counts none.
        generated_tokens: uint32, shape (n,), tokens that it asks for; None likewise.

    Raises:
        TraceError: the columns break one of these rules.
    """

    arrival_ns: NDArray[np.uint64]
    function: NDArray[np.uint32]
    duration_ns: NDArray[np.uint64]
    status: NDArray[np.int32]
    functions: FunctionTable
    origin_ms: int
    context_tokens: NDArray[np.uint32] | None = None
    generated_tokens: NDArray[np.uint32] | None = None

    def __post_init__(self) -> None:
        if len(self.arrival_ns) == 0:
            raise TraceError("the trace has no requests; there is nothing to replay")
        check_origin(self.origin_ms)
        BlockChecker(self.functions).check(self.block)

    @property
    def block(self) -> Block:
        """All requests as one block, without copying."""
        return Block(*(getattr(self, name) for name in Block._fields))

    def blocks(self) -> Iterator[Block]:
        """Yield all requests, as one block."""
        yield self.block

    def __len__(self) -> int:
        return len(self.arrival_ns)

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Which requests leave an instance that must be destroyed, shape (n,)."""
        return self.block.bad

    @property
    def bad_requests(self) -> int:
        """How many requests end badly."""
        return int(self.bad.sum())

    @property
    def length_ns(self) -> int:
        """Time from the origin to the last arrival."""
        return int(self.arrival_ns[-1])

    @property
    def called(self) -> int:
        """How many functions of the table have a request."""
        return len(np.unique(self.function))

    @property
    def execution_s(self) -> float:
        """Sum of all durations in seconds."""
        return int(self.duration_ns.sum()) / NS_PER_S

    @property
    def execution_gb_s(self) -> float:
        """Sum of duration times the function's memory, in GB·s."""
        return self.totals.execution_gb_s(self.functions)

    @property
    def totals(self) -> Totals:
        """Sums over the requests of each function."""
        from pilotlight.traces.totals import Totals  # noqa: PLC0415 (it builds on this module)

        return Totals.of(self.functions, self.blocks())

    def slice(self, start_s: float = 0.0, length_s: float | None = None) -> Trace:
        """Take the requests that arrive in `[start_s, start_s + length_s)`; the function table stays whole.

        Args:
            start_s: seconds after the origin.
            length_s: seconds; None takes all that follows.

        Returns:
            A trace whose origin is the first request taken.

        Raises:
            TraceError: the window is negative or holds no request.
        """
        first, end = np.searchsorted(self.arrival_ns, window_ns(start_s, length_s)).tolist()
        if first >= end:
            raise empty_window(start_s, length_s, self.length_ns)
        shift_ms = int(self.arrival_ns[first]) // NS_PER_MS
        return Trace(
            arrival_ns=self.arrival_ns[first:end] - np.uint64(shift_ms * NS_PER_MS),
            function=self.function[first:end],
            duration_ns=self.duration_ns[first:end],
            status=self.status[first:end],
            functions=self.functions,
            origin_ms=self.origin_ms + shift_ms,
            context_tokens=None if self.context_tokens is None else self.context_tokens[first:end],
            generated_tokens=None if self.generated_tokens is None else self.generated_tokens[first:end],
        )


def window_ns(start_s: float, length_s: float | None) -> NDArray[np.uint64]:
    """Return where a window begins and where it is over, in ns after the origin, shape (2,).

    Raises:
        TraceError: it is negative.
    """
    if start_s < 0 or (length_s is not None and length_s <= 0):
        raise TraceError(f"the window start={start_s:g} s, length={length_s} s is not one: start at 0 s or later")
    start_ns, length_ns = (
        round(min(span_s * NS_PER_S, NEVER_NS)) for span_s in (start_s, math.inf if length_s is None else length_s)
    )
    # Of the arrivals' own type: searched for another, they would all be copied into a third.
    return np.array([start_ns, min(start_ns + length_ns, NEVER_NS)], dtype=np.uint64)


def empty_window(start_s: float, length_s: float | None, length_ns: int) -> TraceError:
    """Say that a window of a trace of this length holds no request."""
    return TraceError(
        f"no request arrives in the window from {start_s:g} s on"
        + ("" if length_s is None else f" for {length_s:g} s")
        + f"; the trace lasts {length_ns / NS_PER_S:.3f} s"
    )


def check_origin(origin_ms: int) -> None:
    """Require an origin that readers of every format can count from.

    Raises:
        TraceError: it lies too far from 1970.
    """
    if abs(origin_ms) > MAX_TIME_MS:
        raise TraceError(f"origin_ms is {origin_ms}; it must be from {-MAX_TIME_MS} to {MAX_TIME_MS} (ms since 1970)")


def _check_column(name: str, column: NDArray[Any], dtype: type[np.generic], count: int) -> None:
    """Require a contiguous vector of the type and length, and make it read-only."""
    if not isinstance(column, np.ndarray) or column.dtype != dtype or column.shape != (count,):
        found = f"{column.dtype} {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__
        raise TraceError(f"{name} must be a vector of {count} {dtype.__name__}, found {found}")
    if not column.flags.c_contiguous:
        raise TraceError(f"{name} must be contiguous; pass numpy.ascontiguousarray of it")
    column.flags.writeable = False
