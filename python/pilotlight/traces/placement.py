"""Places requests inside their slot of time, for recordings that only count them.

A rule gets the counts of one minute and returns a moment for each request; rules are named in `PLACEMENTS`. Called by
readers of traces of counts, slot by slot, so that memory holds the trace and one slot; slots of other lengths scale the
moments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NS_PER_MINUTE = 60_000_000_000


class Placement(Protocol):
    """A rule that places the requests of one minute."""

    def __call__(
        self, counts: NDArray[np.int64], rng: np.random.Generator, timers: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Return when each request arrives.

        Args:
            counts: shape (f,), requests of each function in this minute.
            rng: the source of all chance.
            timers: shape (f,), which functions are called by timers; None: not known.

        Returns:
            Shape (sum of counts,), ns after the minute's start, below `NS_PER_MINUTE`; the first function's requests
            come first, in any order among themselves.
        """


def uniform(
    counts: NDArray[np.int64], rng: np.random.Generator, timers: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Place each request anywhere in the minute, independently: a Poisson process, given its count."""
    del timers
    return rng.integers(0, NS_PER_MINUTE, size=int(counts.sum()))


def even(
    counts: NDArray[np.int64], rng: np.random.Generator, timers: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Place each function's requests at equal gaps, from a random one on."""
    del timers
    phases = np.repeat(rng.random(len(counts)), counts)
    return _at_equal_gaps(counts, phases)


def timer(
    counts: NDArray[np.int64], rng: np.random.Generator, timers: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Place calls of timers at equal gaps from the minute's beginning on, as cron would, all others as `uniform`.

    Where it is not known what is called by timers, nothing is.
    """
    anywhere = uniform(counts, rng)
    if timers is None:
        return anywhere
    return np.where(np.repeat(timers, counts), _at_equal_gaps(counts, np.zeros(len(anywhere))), anywhere)


def _at_equal_gaps(counts: NDArray[np.int64], phases: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return moments that share the minute evenly; `phases`, 0 to 1 and one a request, shift by so many gaps."""
    first = np.repeat(np.cumsum(counts) - counts, counts)
    position = (np.arange(len(first)) - first + phases) / np.maximum(np.repeat(counts, counts), 1)
    return np.minimum((position * NS_PER_MINUTE).astype(np.int64), NS_PER_MINUTE - 1)


PLACEMENTS: dict[str, Placement] = {"uniform": uniform, "poisson": uniform, "even": even, "timer": timer}
"""The rules by name; the first one is the default. Given its count, a Poisson process is uniform: the two are one."""

DEFAULT_PLACEMENT = next(iter(PLACEMENTS))


def placement_named(name: str) -> Placement:
    """Return the rule of this name.

    Raises:
        TraceError: there is none; the text lists those there are.
    """
    if name not in PLACEMENTS:
        raise TraceError(f"placement {name} is not known; choose one of {', '.join(PLACEMENTS)}")
    return PLACEMENTS[name]
