"""The one columnar form of a workload: a row a request, a table of functions.

Readers and generators produce a `Trace`; the simulator and the real-time replay consume it. A `Trace` that exists is
valid: columns agree in length and type, arrivals ascend from the origin, indices point into the table. Columns are
read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
MB_PER_GB = 1024

STATUS_OK = 200
"""The status code of a request that ended well; every other one takes its instance along."""

MAX_SPAN_MS = 10**12
"""Longest duration and longest trace (32 years): sums of nanoseconds stay far from 64 bits."""

MAX_TOTAL_NS = 1e19
"""Most that all durations may add up to (300 years): it fits 64 bits."""

MAX_MEMORY_MB = 2**24
"""Largest memory of a function (16 TiB)."""


@dataclass(frozen=True, slots=True, eq=False)
class FunctionTable:
    """The functions of a trace, in the order that `Trace.function` indexes; functions never called may be in it.

    Attributes:
        keys: shape (f,), distinct and not empty.
        runtimes: shape (f,), free text.
        timeout_s: uint32, shape (f,), the platform's limit on one execution.
        memory_mb: uint64, shape (f,), 1 to `MAX_MEMORY_MB`.
        init_ns: uint64, shape (f,), how long Init takes.

    Raises:
        TraceError: the columns break one of these rules.
    """

    keys: tuple[str, ...]
    runtimes: tuple[str, ...]
    timeout_s: NDArray[np.uint32]
    memory_mb: NDArray[np.uint64]
    init_ns: NDArray[np.uint64]

    def __post_init__(self) -> None:
        count = len(self.keys)
        _check_column("timeout_s", self.timeout_s, np.uint32, count)
        _check_column("memory_mb", self.memory_mb, np.uint64, count)
        _check_column("init_ns", self.init_ns, np.uint64, count)
        if len(self.runtimes) != count:
            raise TraceError(f"function table: {len(self.runtimes)} runtimes for {count} keys; give one for each")
        if len(set(self.keys)) != count:
            raise TraceError("function table: a key occurs twice; keys name functions and must be distinct")
        if "" in self.keys:
            raise TraceError("function table: a key is empty; every function needs a name")
        if count and not 1 <= int(self.memory_mb.min()) <= int(self.memory_mb.max()) <= MAX_MEMORY_MB:
            raise TraceError(f"function table: memory_mb must be from 1 to {MAX_MEMORY_MB}")
        if count and int(self.init_ns.max()) > MAX_SPAN_MS * NS_PER_MS:
            raise TraceError(f"function table: init_ns must be at most {MAX_SPAN_MS * NS_PER_MS}")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def memory_gb(self) -> NDArray[np.float64]:
        """Memory in GB (MB / 1024), shape (f,)."""
        return self.memory_mb / MB_PER_GB


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A workload: at least one request, in order of arrival.

    Attributes:
        arrival_ns: uint64, shape (n,), ascending; relative to `origin_ms`.
        function: uint32, shape (n,), index into `functions`.
        duration_ns: uint64, shape (n,), execution time.
        status: int32, shape (n,), the status code the execution ends with; see `bad`.
        functions: the function table.
        origin_ms: the first arrival in the data set's own clock (ms since 1970), rounded down to the millisecond.

    Raises:
        TraceError: the columns break one of these rules.
    """

    arrival_ns: NDArray[np.uint64]
    function: NDArray[np.uint32]
    duration_ns: NDArray[np.uint64]
    status: NDArray[np.int32]
    functions: FunctionTable
    origin_ms: int

    def __post_init__(self) -> None:
        count = len(self.arrival_ns)
        if count == 0:
            raise TraceError("the trace has no requests; there is nothing to replay")
        _check_column("arrival_ns", self.arrival_ns, np.uint64, count)
        _check_column("function", self.function, np.uint32, count)
        _check_column("duration_ns", self.duration_ns, np.uint64, count)
        _check_column("status", self.status, np.int32, count)
        if int(self.arrival_ns[0]) >= NS_PER_MS:
            raise TraceError(
                "arrival_ns must start at origin_ms: the first arrival lies a millisecond or more after it"
            )
        descents = np.flatnonzero(self.arrival_ns[1:] < self.arrival_ns[:-1])
        if len(descents):
            raise TraceError(f"arrival_ns must ascend: row {int(descents[0]) + 1} lies before the row above it")
        if int(self.function.max()) >= len(self.functions):
            row = int(np.argmax(self.function >= len(self.functions)))
            raise TraceError(f"function must index the table of {len(self.functions)}: row {row} does not")
        for name, column in (("arrival_ns", self.arrival_ns), ("duration_ns", self.duration_ns)):
            if int(column.max()) > MAX_SPAN_MS * NS_PER_MS:
                raise TraceError(
                    f"{name} must be at most {MAX_SPAN_MS * NS_PER_MS}: row {int(column.argmax())} is more"
                )
        if float(self.duration_ns.sum(dtype=np.float64)) > MAX_TOTAL_NS:
            raise TraceError(f"duration_ns adds up to more than {MAX_TOTAL_NS:.0e} ns; give durations in nanoseconds")

    def __len__(self) -> int:
        return len(self.arrival_ns)

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Which requests leave an instance that must be destroyed, shape (n,)."""
        bad: NDArray[np.bool_] = self.status != STATUS_OK
        return bad

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
        sums_ns = np.zeros(len(self.functions), dtype=np.uint64)
        np.add.at(sums_ns, self.function, self.duration_ns)
        # Python's integers: a long trace's nanoseconds times megabytes need more than 64 bits.
        total = sum(ns * mb for ns, mb in zip(sums_ns.tolist(), self.functions.memory_mb.tolist(), strict=True))
        return int(total) / (MB_PER_GB * NS_PER_S)

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
        if start_s < 0 or (length_s is not None and length_s <= 0):
            raise TraceError(f"the window start={start_s:g} s, length={length_s} s is not one: start at 0 s or later")
        start_ns = round(start_s * NS_PER_S)
        first = int(np.searchsorted(self.arrival_ns, start_ns))
        end = len(self)
        if length_s is not None:
            end = int(np.searchsorted(self.arrival_ns, start_ns + round(length_s * NS_PER_S)))
        if first >= end:
            raise TraceError(
                f"no request arrives in the window from {start_s:g} s on"
                + ("" if length_s is None else f" for {length_s:g} s")
                + f"; the trace lasts {self.length_ns / NS_PER_S:.3f} s"
            )
        shift_ms = int(self.arrival_ns[first]) // NS_PER_MS
        return Trace(
            arrival_ns=self.arrival_ns[first:end] - np.uint64(shift_ms * NS_PER_MS),
            function=self.function[first:end],
            duration_ns=self.duration_ns[first:end],
            status=self.status[first:end],
            functions=self.functions,
            origin_ms=self.origin_ms + shift_ms,
        )


def _check_column(name: str, column: NDArray[Any], dtype: type[np.generic], count: int) -> None:
    """Require a contiguous vector of the type and length, and make it read-only."""
    if not isinstance(column, np.ndarray) or column.dtype != dtype or column.shape != (count,):
        found = f"{column.dtype} {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__
        raise TraceError(f"{name} must be a vector of {count} {dtype.__name__}, found {found}")
    if not column.flags.c_contiguous:
        raise TraceError(f"{name} must be contiguous; pass numpy.ascontiguousarray of it")
    column.flags.writeable = False
