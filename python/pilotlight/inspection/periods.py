"""The periods of a trace: those of its whole load, by autocorrelation, and the functions that are timers.

A period of the load is the shortest lag at which the counts resemble themselves about as well as they do at any; what
it explains is the share of the counts' variance that is the mean of each phase. It is taken out, and the search begins
again, a few times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.inspection.arrivals import counts
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTHS_S = (0.1, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)
MOST_BINS = 50_000
FEWEST_BINS = 40
PERIODS_KEPT = 3
CYCLES = 3
"""A period must come so often."""

RESEMBLANCE = 0.1
"""Least autocorrelation, and least share of the variance explained."""

NEARLY = 0.9
"""A lag whose autocorrelation is this share of the best counts as good."""

REACH = 0.03
"""How far from the lag a period is looked for, as a share of it."""

FINENESS = 16
"""Points of the spectrum for each that the series itself has."""

TIMER_VARIATION = 0.1
TIMER_TICKS = 8


class Period(NamedTuple):
    """A period of the load.

    Attributes:
        period_s: how long.
        share: of the variance of the counts that it explains, 0 to 1.
        autocorrelation: of the counts at this lag.
    """

    period_s: float
    share: float
    autocorrelation: float


class Timer(NamedTuple):
    """A period at which functions are called, and how many of them are: equal gaps, one by one."""

    period_s: float
    functions: int


class Periods(NamedTuple):
    """The periods of a trace.

    Attributes:
        width_s: counts were taken in bins of this width: shorter periods are not seen.
        correlations: of the counts with themselves, at every lag in bins.
        load: the load's, the one that explains most first.
        timers: of single functions, the most frequent first.
        timer_functions: functions that are timers.
        timer_requests: requests that they make.
    """

    width_s: float
    correlations: NDArray[np.float64]
    load: tuple[Period, ...]
    timers: tuple[Timer, ...]
    timer_functions: int
    timer_requests: int


def periods(arrival_ns: NDArray[np.uint64], function: NDArray[np.uint32]) -> Periods:
    """Find the periods."""
    length_s = float(arrival_ns[-1]) / NS_PER_S
    width_s = next((width for width in WIDTHS_S if length_s / width <= MOST_BINS), WIDTHS_S[-1])
    # The last bin is cut off.
    series = counts(arrival_ns, width_s)[:-1].astype(np.float64)
    found = _load_periods(series, width_s)
    timers, functions, requests = _timers(arrival_ns, function)
    return Periods(width_s, autocorrelation(series), found, timers, functions, requests)


def autocorrelation(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate a series with itself at every lag up to a `CYCLES`-th of its length, each over its own terms."""
    lags = len(series) // CYCLES
    if not lags:
        return np.ones(1)
    centred = series - series.mean()
    size = 1 << (2 * len(series) - 1).bit_length()
    products = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)[: lags + 1]
    variance = float(centred @ centred) / len(series)
    if variance <= 0:
        return np.zeros(lags + 1)
    correlations: NDArray[np.float64] = products / (len(series) - np.arange(lags + 1)) / variance
    return correlations


def _load_periods(series: NDArray[np.float64], width_s: float) -> tuple[Period, ...]:
    """Find the periods of a series, strongest first, each in what the ones before left."""
    if len(series) < FEWEST_BINS or series.var() <= 0:
        return ()
    variance = float(series.var())
    left = series - series.mean()
    found: list[Period] = []
    for _ in range(PERIODS_KEPT):
        lag, height = _best_lag(autocorrelation(left))
        if lag == 0:
            break
        period, folded = _fold(left, lag)
        # So many means explain some of pure noise, too; the adjusted coefficient of determination leaves that out.
        left_share = float((left - folded).var() / left.var())
        adjusted = 1 - left_share * (len(series) - 1) / (len(series) - period)
        share = adjusted * float(left.var()) / variance
        if share < RESEMBLANCE:
            break
        found.append(Period(period * width_s, share, height))
        left = left - folded
    return tuple(sorted(found, key=lambda each: -each.share))


def _best_lag(correlations: NDArray[np.float64]) -> tuple[int, float]:
    """Return the shortest lag with a peak nearly as high as the highest, and its height; 0: there is none."""
    # What resembles itself at lag 1 does so at lag 2: a peak must stand above a valley before it.
    valley = np.minimum.accumulate(correlations)
    is_peak = (correlations > RESEMBLANCE) & (correlations - valley > RESEMBLANCE)
    lags = np.flatnonzero(is_peak)
    if not len(lags):
        return 0, 0.0
    good = lags[correlations[lags] >= NEARLY * correlations[lags].max()]
    first = int(good[0])
    # The top of the hump that begins there.
    below = np.flatnonzero(correlations[first:] < correlations[first] / 2)
    end = first + (int(below[0]) if len(below) else len(correlations) - first)
    best = first + int(np.argmax(correlations[first:end]))
    return best, float(correlations[best])


def _fold(series: NDArray[np.float64], lag: int) -> tuple[float, NDArray[np.float64]]:
    """Fold a series at the strongest period near a lag; return the period in bins and each bin's mean of its phase.

    A lag is whole, and over hundreds of cycles a small part of a bin adds up: the spectrum says the period finely.
    """
    size = FINENESS << (len(series) - 1).bit_length()
    reach = max(0.5 / lag, REACH)
    low, high = int(size / (lag * (1 + reach))), int(np.ceil(size / (lag * (1 - reach))))
    power = np.abs(np.fft.rfft(series, size)[low : high + 1])
    period = size / (low + int(np.argmax(power)))
    phase = (np.arange(len(series)) % period).astype(np.int64)
    means = np.bincount(phase, weights=series) / np.maximum(np.bincount(phase), 1)
    return period, means[phase]


def _timers(arrival_ns: NDArray[np.uint64], function: NDArray[np.uint32]) -> tuple[tuple[Timer, ...], int, int]:
    """Find functions whose gaps hardly vary."""
    order = np.argsort(function, kind="stable")
    called = function[order]
    gaps_s = np.diff(arrival_ns[order].astype(np.int64)) / NS_PER_S
    own = np.diff(called) == 0
    row, gap_s = called[1:][own], gaps_s[own]
    sizes = np.bincount(row, minlength=1)
    mean_s = np.bincount(row, weights=gap_s) / np.maximum(sizes, 1)
    spread_s = np.sqrt(np.maximum(np.bincount(row, weights=gap_s**2) / np.maximum(sizes, 1) - mean_s**2, 0))
    is_timer = (sizes + 1 >= TIMER_TICKS) & (spread_s <= TIMER_VARIATION * mean_s) & (mean_s > 0)
    # One figure in a hundred apart is the same period: jitter moves the mean.
    rounded = [float(f"{period:.2g}") for period in mean_s[is_timer].tolist()]
    tally = {period: rounded.count(period) for period in set(rounded)}
    timers = sorted((Timer(period, count) for period, count in tally.items()), key=lambda each: (-each[1], each[0]))
    return tuple(timers), int(is_timer.sum()), int((sizes + 1)[is_timer].sum())
