"""Sums over the requests of a trace, function by function, in one pass over its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.traces.trace import MB_PER_GB, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pilotlight.traces.trace import Block, FunctionTable


class Totals(NamedTuple):
    """What a trace adds up to.

    Attributes:
        requests: uint64, shape (f,), of each function.
        execution_ns: uint64, shape (f,), sum of each function's durations.
        bad_requests: how many end badly.
        length_ns: time from the origin to the last arrival.
    """

    requests: NDArray[np.uint64]
    execution_ns: NDArray[np.uint64]
    bad_requests: int
    length_ns: int

    @classmethod
    def of(cls, functions: FunctionTable, blocks: Iterable[Block]) -> Totals:
        """Add up the blocks of a trace."""
        count = len(functions)
        requests, execution_ns = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
        bad_requests = length_ns = 0
        for block in blocks:
            requests += np.bincount(block.function, minlength=count).astype(np.uint64)
            np.add.at(execution_ns, block.function, block.duration_ns)
            bad_requests += int(block.bad.sum())
            length_ns = int(block.arrival_ns[-1])
        return cls(requests, execution_ns, bad_requests, length_ns)

    @property
    def called(self) -> int:
        """How many functions have a request."""
        return int((self.requests > 0).sum())

    @property
    def execution_s(self) -> float:
        """Sum of all durations in seconds."""
        return int(self.execution_ns.sum()) / NS_PER_S

    def execution_gb_s(self, functions: FunctionTable) -> float:
        """Sum of duration times the function's memory, in GB·s."""
        # Python's integers: a long trace's nanoseconds times megabytes need more than 64 bits.
        total = sum(ns * mb for ns, mb in zip(self.execution_ns.tolist(), functions.memory_mb.tolist(), strict=True))
        return int(total) / (MB_PER_GB * NS_PER_S)
