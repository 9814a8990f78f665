"""Places requests inside their minute, for recordings that only count them.

A rule gets the counts of one minute and returns a moment for each request; rules are named in `PLACEMENTS`. Called by
readers of traces of counts, minute by minute, so that memory holds the trace and one minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NS_PER_MINUTE = 60_000_000_000


class Placement(Protocol):
    """A rule that places the requests of one minute."""

    def __call__(self, counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return when each request arrives.

        Args:
            counts: shape (f,), requests of each function in this minute.
            rng: the source of all chance.

        Returns:
            Shape (sum of counts,), ns after the minute's start, below `NS_PER_MINUTE`; the first function's requests
            come first, in any order among themselves.
        """


def uniform(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Place each request anywhere in the minute, independently: a Poisson process, given its count."""
    return rng.integers(0, NS_PER_MINUTE, size=int(counts.sum()))


PLACEMENTS: dict[str, Placement] = {"uniform": uniform}
"""The rules by name; the first one is the default."""

DEFAULT_PLACEMENT = next(iter(PLACEMENTS))


def placement_named(name: str) -> Placement:
    """Return the rule of this name.

    Raises:
        TraceError: there is none; the text lists those there are.
    """
    if name not in PLACEMENTS:
        raise TraceError(f"placement {name} is not known; choose one of {', '.join(PLACEMENTS)}")
    return PLACEMENTS[name]
