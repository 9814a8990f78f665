"""What the arrivals of a trace are like: how many come, how unevenly, and when none come at all.

Plain arithmetic over the column of arrivals; called by `inspection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOLE_LOG_ODDS = 14.0
"""A gap that independent requests at the mean rate would show anywhere in the trace once in e^14, a million, times."""

UNUSUAL = 3.0
"""A hole is so many times as long as 99 of 100 gaps."""

HOLES_KEPT = 10


class Rates(NamedTuple):
    """Requests a second.

    Attributes:
        mean: over the whole trace.
        peak_second: most in a second.
        peak_minute: most in a minute, a second.
    """

    mean: float
    peak_second: float
    peak_minute: float


class Burstiness(NamedTuple):
    """How uneven arrivals are; independent arrivals at a steady rate have 1, 1, 1 and 0.

    Attributes:
        dispersion_second: variance over mean of the requests in a second (Fano factor).
        dispersion_minute: of those in a minute; None: the trace has no two minutes.
        variation: standard deviation over mean of the gaps between arrivals.
        goh_barabasi: (variation - 1) / (variation + 1), from -1, equal gaps, to 1 (K.-I. Goh and A.-L. Barabasi,
            "Burstiness and memory in complex systems", EPL 81, 2008).
    """

    dispersion_second: float
    dispersion_minute: float | None
    variation: float
    goh_barabasi: float


class Hole(NamedTuple):
    """A span without arrivals, in seconds after the trace's origin."""

    start_s: float
    length_s: float


class Holes(NamedTuple):
    """Spans without arrivals that are longer than `longer_than_s`.

    Attributes:
        longer_than_s: what independent requests at the mean rate would hardly ever exceed, and three times what 99 of
            100 gaps do not.
        spans: how many.
        total_s: how long they are together.
        longest: the longest ones, in order of time.
    """

    longer_than_s: float
    spans: int
    total_s: float
    longest: tuple[Hole, ...]


def rates(arrival_ns: NDArray[np.uint64]) -> Rates:
    """Measure the rates; `arrival_ns` ascends from the origin."""
    length_s = max(float(arrival_ns[-1]) / NS_PER_S, 1.0)
    return Rates(
        mean=len(arrival_ns) / length_s,
        peak_second=float(counts(arrival_ns, 1.0).max()),
        peak_minute=float(counts(arrival_ns, 60.0).max()) / 60,
    )


def burstiness(arrival_ns: NDArray[np.uint64]) -> Burstiness:
    """Measure how uneven the arrivals are."""
    seconds, minutes = counts(arrival_ns, 1.0), counts(arrival_ns, 60.0)
    # The last second and minute are cut off.
    whole_seconds = seconds[:-1] if len(seconds) > 1 else seconds
    whole_minutes = minutes[:-1]
    variation = variation_of(np.diff(arrival_ns).astype(np.float64))
    return Burstiness(
        dispersion_second=_dispersion(whole_seconds),
        dispersion_minute=_dispersion(whole_minutes) if len(whole_minutes) > 1 else None,
        variation=variation,
        goh_barabasi=(variation - 1) / (variation + 1),
    )


def holes(arrival_ns: NDArray[np.uint64]) -> Holes:
    """Find the spans without arrivals that neither chance nor the usual gaps explain.

    Of n gaps of a Poisson process of rate r, the longest exceeds (ln n + x) / r with a probability of about e^-x.
    """
    gaps_s = np.diff(arrival_ns) / NS_PER_S
    if not len(gaps_s):
        return Holes(0.0, 0, 0.0, ())
    by_chance_s = float(gaps_s.mean() * (np.log(len(gaps_s)) + HOLE_LOG_ODDS))
    # Timers and nights make long gaps that are no surprise.
    longer_than_s = max(by_chance_s, UNUSUAL * float(np.quantile(gaps_s, 0.99)))
    found = np.flatnonzero(gaps_s > longer_than_s)
    longest = np.sort(found[np.argsort(-gaps_s[found], kind="stable")[:HOLES_KEPT]])
    kept = tuple(Hole(float(arrival_ns[gap]) / NS_PER_S, float(gaps_s[gap])) for gap in longest.tolist())
    return Holes(longer_than_s, len(found), float(gaps_s[found].sum()), kept)


def counts(arrival_ns: NDArray[np.uint64], width_s: float) -> NDArray[np.int64]:
    """Count the arrivals in each bin of so many seconds, from the origin to the last arrival."""
    return np.bincount((arrival_ns // np.uint64(round(width_s * NS_PER_S))).astype(np.int64))


def variation_of(gaps: NDArray[np.float64]) -> float:
    """Return standard deviation over mean; 0 if all are 0 or there are none."""
    mean = gaps.mean() if len(gaps) else 0.0
    return float(gaps.std() / mean) if mean > 0 else 0.0


def _dispersion(bins: NDArray[np.int64]) -> float:
    return float(bins.var() / bins.mean()) if bins.sum() else 0.0
