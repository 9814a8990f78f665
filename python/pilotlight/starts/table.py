"""The starts that each function may have: the one form in which every model of starts reaches the simulator.

A function has a list of starts, all equally likely, each with a duration for every stage. A constant start is a list of
one, a recording its rows, a law its quantiles at even distances. How stages depend on each other is in the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CREATE_STAGES = ("schedule", "node", "image", "sandbox", "create")
"""Stages before the slot is there; every other stage is of Init."""

LAW_ROWS = 1000
"""Starts that stand for a law: its quantiles at the middle of so many parts of equal probability."""


@dataclass(frozen=True, slots=True, eq=False)
class StartTable:
    """A start table; the simulator draws one row of the function's for each start.

    Attributes:
        stages: what a start consists of, in order.
        create_stages: how many of them, from the first on, are CreateSlot's.
        durations_ns: uint64, shape (rows · stages,), row after row.
        first: uint32, shape (f,), each function's first row.
        count: uint32, shape (f,), how many rows it has, at least one.
    """

    stages: tuple[str, ...]
    create_stages: int
    durations_ns: NDArray[np.uint64]
    first: NDArray[np.uint32]
    count: NDArray[np.uint32]

    @classmethod
    def constant(cls, stages: Sequence[str], create_stages: int, durations_ns: NDArray[np.uint64]) -> StartTable:
        """Give each function one start; `durations_ns` has the shape (f, stages)."""
        functions = len(durations_ns)
        first = np.arange(functions, dtype=np.uint32)
        return cls(tuple(stages), create_stages, durations_ns.ravel(), first, np.ones(functions, dtype=np.uint32))

    @classmethod
    def shared(
        cls, stages: Sequence[str], create_stages: int, laws_s: Sequence[NDArray[np.float64]], law: NDArray[np.int64]
    ) -> StartTable:
        """Give each function the rows of one law.

        Args:
            stages: as of the table.
            create_stages: as of the table.
            laws_s: each float64, shape (rows, stages), in seconds.
            law: shape (f,), index of each function's law.
        """
        counts = np.array([len(rows) for rows in laws_s], dtype=np.uint32)
        firsts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.uint32)
        durations_ns = np.rint(np.concatenate(laws_s) * NS_PER_S).astype(np.uint64)
        return cls(tuple(stages), create_stages, durations_ns.ravel(), firsts[law], counts[law])

    def drawn_once(self, rng: np.random.Generator) -> StartTable:
        """Draw one row for each function, which then has it at every start."""
        rows = self.first + np.minimum((rng.random(len(self.first)) * self.count).astype(np.uint32), self.count - 1)
        return StartTable(self.stages, self.create_stages, self.durations_ns, rows, np.ones_like(self.count))

    @property
    def is_random(self) -> bool:
        """Whether a function may have starts that differ."""
        return bool((self.count > 1).any())

    @property
    def mean_create_ns(self) -> NDArray[np.uint64]:
        """How long each function's CreateSlot takes on average, shape (f,)."""
        return self._means(slice(None, self.create_stages))

    @property
    def mean_init_ns(self) -> NDArray[np.uint64]:
        """How long each function's Init takes on average, shape (f,)."""
        return self._means(slice(self.create_stages, None))

    @property
    def mean_ms(self) -> NDArray[np.float64]:
        """How long each function's start takes on average, in ms, shape (f,)."""
        return (self.mean_create_ns + self.mean_init_ns) / 1e6

    def _means(self, stages: slice) -> NDArray[np.uint64]:
        sums_ns = self.durations_ns.reshape(-1, len(self.stages))[:, stages].sum(axis=1, dtype=np.uint64)
        before = np.concatenate([[0], np.cumsum(sums_ns, dtype=np.uint64)]).astype(np.uint64)
        totals_ns: NDArray[np.uint64] = before[self.first + self.count] - before[self.first]
        return (totals_ns + self.count // 2) // self.count


def law_levels() -> NDArray[np.float64]:
    """Return the probabilities at which a law is read, shape (`LAW_ROWS`,)."""
    return (np.arange(LAW_ROWS) + 0.5) / LAW_ROWS


def quantile(levels: Sequence[float], values: Sequence[float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read a law that published quantiles define: the logarithm is linear in the probability, and level beyond them."""
    return np.exp(np.interp(at, levels, np.log(values)))
