"""How large requests and functions are, and who is called most."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import Trace

QUANTILES = (0.0, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99, 1.0)
TOP = (1, 5, 10, 50, 100)


class Popularity(NamedTuple):
    """Who is called how often.

    Attributes:
        top: share of the requests that go to the so many most called functions.
        gini: of the requests of the functions called: 0, all alike, to 1, all go to one (C. Gini, 1912).
        once: functions called once.
        counts: requests of each called function, the most called first.
    """

    top: dict[int, float]
    gini: float
    once: int
    counts: NDArray[np.int64]


def popularity(trace: Trace) -> Popularity:
    """Measure who is called how often."""
    called = np.bincount(trace.function)
    counts = np.sort(called[called > 0])[::-1]
    top = {size: float(counts[:size].sum() / counts.sum()) for size in TOP if size < len(counts)}
    ranks = np.arange(1, len(counts) + 1)
    gini = float(1 - (2 * (ranks * counts).sum() / counts.sum() - 1) / len(counts))
    return Popularity(top, -gini if gini < 0 else gini, int((counts == 1).sum()), counts)


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Return values at `QUANTILES`, under their names: min, p5 to p99, max."""
    names = ["min", *(f"p{round(level * 100)}" for level in QUANTILES[1:-1]), "max"]
    return dict(zip(names, np.quantile(values, QUANTILES).tolist(), strict=True))
