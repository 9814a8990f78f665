"""Gathers requests as readers find them, block by block and in any order, and makes a trace of them.

Functions are numbered in the order in which they are first seen. Memory: 24 bytes a request, 8 more with tokens, twice
that while the columns are put in order; beside these the names. Called by the readers of tables of requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.trace import NS_PER_MS, STATUS_OK, Trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.trace import FunctionTable

MAX_REQUESTS = 500_000_000
"""More are refused: they would fill the memory of a large machine."""


class _Rows(NamedTuple):
    """Columns of the requests of one block."""

    arrival_ns: NDArray[np.int64]
    function: NDArray[np.uint32]
    duration_ns: NDArray[np.uint64]
    status: NDArray[np.int32]
    context_tokens: NDArray[np.uint32] | None
    generated_tokens: NDArray[np.uint32] | None


class Gathering:
    """Requests of functions that are known by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: dict[str, int] = {}
        self._blocks: list[_Rows] = []
        self._count = 0

    def expect(self, count: int) -> None:
        """Refuse so many more requests if they are too many, before anything is drawn for them.

        Raises:
            TraceError: they are.
        """
        if self._count + count > MAX_REQUESTS:
            raise TraceError(f"{self._path}: has more than {MAX_REQUESTS} requests; keep fewer rows or functions")

    def add(
        self,
        names: pl.Series,
        arrival_ns: NDArray[np.int64],
        duration_ns: NDArray[np.uint64],
        *,
        status: NDArray[np.int32] | None = None,
        context_tokens: NDArray[np.uint32] | None = None,
        generated_tokens: NDArray[np.uint32] | None = None,
    ) -> None:
        """Add the requests of one block.

        Args:
            names: shape (n,), the function of each.
            arrival_ns: shape (n,), on any clock.
            duration_ns: shape (n,).
            status: shape (n,); None: all ended well.
            context_tokens: shape (n,), if the format counts them; then in every block.
            generated_tokens: shape (n,), likewise.

        Raises:
            TraceError: there are too many.
        """
        self.expect(len(names))
        self._count += len(names)
        ended = np.full(len(names), STATUS_OK, dtype=np.int32) if status is None else status
        self._blocks.append(
            _Rows(arrival_ns, self._numbered(names), duration_ns, ended, context_tokens, generated_tokens)
        )

    def _numbered(self, names: pl.Series) -> NDArray[np.uint32]:
        seen = names.unique(maintain_order=True)
        rows = np.array([self._index.setdefault(name, len(self._index)) for name in seen.to_list()], dtype=np.uint32)
        numbered: NDArray[np.uint32] = rows[names.cast(pl.Enum(seen)).to_physical().to_numpy()]
        return numbered

    def trace(self, functions: Callable[[list[str], NDArray[np.uint64]], FunctionTable]) -> Trace:
        """Put the requests in order and make the trace.

        Args:
            functions: makes the table from the names and, shape (f,), each one's longest execution in ns.

        Raises:
            TraceError: there are no requests, or they do not make a trace; the text names the file.
        """
        if not self._count:
            raise TraceError(f"{self._path}: has no requests; there is nothing to replay")
        arrival_ns = np.concatenate([block.arrival_ns for block in self._blocks])
        order = None if bool((arrival_ns[1:] >= arrival_ns[:-1]).all()) else np.argsort(arrival_ns, kind="stable")
        arrival_ns = arrival_ns if order is None else arrival_ns[order]
        function = self._ordered("function", order)
        duration_ns = self._ordered("duration_ns", order)
        longest_ns = np.zeros(len(self._index), dtype=np.uint64)
        np.maximum.at(longest_ns, function, duration_ns)
        tokens = self._blocks[0].context_tokens is not None
        origin_ms = int(arrival_ns[0]) // NS_PER_MS
        try:
            return Trace(
                arrival_ns=(arrival_ns - origin_ms * NS_PER_MS).view(np.uint64),
                function=function,
                duration_ns=duration_ns,
                status=self._ordered("status", order),
                functions=functions(list(self._index), longest_ns),
                origin_ms=origin_ms,
                context_tokens=self._ordered("context_tokens", order) if tokens else None,
                generated_tokens=self._ordered("generated_tokens", order) if tokens else None,
            )
        except TraceError as error:
            raise TraceError(f"{self._path}: {error}") from error

    def _ordered(self, name: str, order: NDArray[np.intp] | None) -> NDArray[Any]:
        column: NDArray[Any] = np.concatenate([getattr(block, name) for block in self._blocks])
        return column if order is None else column[order]
