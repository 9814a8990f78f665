"""Contest-like load: a law fitted to published statistics of the contest's data sets; it contains no recorded row.

| what                | model                                                     | fitted to                        |
|---------------------|-----------------------------------------------------------|----------------------------------|
| functions called    | 87.3 % of the table                                       | set 3: 535 of 613                |
| popularity          | requests of rank r as (r + 4)^-2.5, at least one each     | set 3: 25, 14, 14, 10 % for four |
| memory, runtime     | independent draws from `MEMORY_MIX` and `RUNTIMES`        | set 3: function table            |
| init                | log-normal for each runtime, 9 ms to 120 s                | set 3: function table            |
| mean duration       | log-normal: `MEAN_MS_POPULAR`, `MEAN_MS_OTHER`            | set 3: 15 and 520 functions      |
| durations about it  | log-normal, sigma log-normal with median 0.66             | set 3: mean and maximum of each  |
| load of a minute    | gamma, its shape log-normal over functions, median 1      | set 3: dispersion over minutes   |
| inside a minute     | batches within a second, geometric, 1.2 in the median     | set 3: dispersion over seconds   |
| timers              | 8 % of the functions called, none of the 20 most popular  | set 3: 43 of 535                 |
| a timer's period    | `TIMERS`; ticks up to 4 ms late                           | set 3; 30 s: set 1               |
| a timer's duration  | log-normal, median 55 ms, sigma 0.11                      | set 1: its timer                 |
| bad requests        | none unless asked for                                     | set 1: none among 22,868         |

The module is the law alone; `blocks` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.traces.courses import MS_PER_S, shares
from pilotlight.traces.synth import TIMEOUT_S, LogNormal, draw_shares, source_of_chance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilotlight.traces.courses import Counts, Course, Rng, Span, Times
    from pilotlight.traces.synth import SynthSettings

CALLED_SHARE = 0.873
POPULARITY_OFFSET, POPULARITY_EXPONENT = 4.0, 2.5
POPULAR_SHARE = 0.01
SIGMA_MEDIAN, SIGMA_SPREAD = 0.66, 0.95
MINUTE_MS = 60_000
BATCH_MS = 1_000

TIMER_SHARE, TIMER_FIRST_RANK, TIMER_LIMIT = 0.08, 20, 0.10
TIMERS = {30: 10, 60: 32, 120: 30, 300: 28}
"""Period in seconds and how many timers in a hundred have it."""

LATE_MS = 5
MEAN_MS_POPULAR = LogNormal(131, 1.9, 1, 2_700)
MEAN_MS_OTHER = LogNormal(415, 2.6, 1, 300_000)
TIMER_MS = LogNormal(55, 0.11, 20, 240)
MINUTE_SHAPE = LogNormal(1.0, 1.0, 0.1, 20)
BATCH_EXTRA = LogNormal(0.2, 1.46, 0.0, 10)


def contest(sizes: SynthSettings, rng: Rng) -> Iterator[tuple[int, Course]]:
    """Share the requests out, timers by their periods, the rest by popularity; yield each called function's course.

    Yields:
        The function's row and its course; the most popular function first.
    """
    length_ms = int(sizes.length_s * MS_PER_S)
    plan_rng = source_of_chance(sizes.seed, 1)
    called = min(max(1, round(CALLED_SHARE * sizes.functions)), sizes.requests)
    function = plan_rng.permutation(sizes.functions)[:called]
    period_ms = np.zeros(called, dtype=np.int64)
    count = np.ones(called, dtype=np.int64)
    candidates = plan_rng.permutation(np.arange(min(TIMER_FIRST_RANK, called), called))[: round(TIMER_SHARE * called)]
    periods_s = plan_rng.choice(list(TIMERS), size=len(candidates), p=draw_shares(list(TIMERS.values())))
    spare = sizes.requests - called
    allowed = min(spare, int(TIMER_LIMIT * sizes.requests))
    for rank, period_s in zip(candidates.tolist(), periods_s.tolist(), strict=True):
        ticks = max(1, length_ms // (period_s * MS_PER_S))
        if ticks - 1 <= allowed:
            period_ms[rank] = period_s * MS_PER_S
            count[rank] = ticks
            allowed -= ticks - 1
            spare -= ticks - 1
    weight = (np.arange(1, called + 1) + POPULARITY_OFFSET) ** -POPULARITY_EXPONENT
    weight[period_ms > 0] = 0
    count += np.floor(spare * weight / weight.sum()).astype(np.int64)
    count[0] += sizes.requests - int(count.sum())
    for row, requests, period in zip(function.tolist(), count.tolist(), period_ms.tolist(), strict=True):
        if period:
            yield row, _Ticks(requests, period, length_ms, rng)
        else:
            yield row, _Bursts(requests, requests / sizes.requests, length_ms, rng)


class _Ticks:
    """A timer's ticks, each some whole milliseconds late."""

    def __init__(self, count: int, period_ms: int, length_ms: int, rng: Rng) -> None:
        self._period_ms = period_ms
        self._length_ms = length_ms
        self._count = count
        self._phase_ms = int(rng.integers(0, min(period_ms, length_ms)))

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        del rng
        before = np.ceil((edges_ms - self._phase_ms) / self._period_ms)
        before[0], before[-1] = 0, self._count
        return np.diff(np.clip(before, 0, self._count)).astype(np.int64)

    def draw(self, span: Span, rng: Rng) -> Times:
        ticks_ms = self._phase_ms + np.arange(span.first, span.first + span.count) * self._period_ms
        late_ms: Times = np.minimum(ticks_ms + rng.integers(0, LATE_MS, size=span.count), self._length_ms - 1) * 1.0
        return late_ms

    def durations_ms(self, count: int, rng: Rng) -> Times:
        return TIMER_MS.draw(rng, count)


class _Bursts:
    """Requests in minutes of unlike load, inside a minute in batches."""

    def __init__(self, count: int, share: float, length_ms: int, rng: Rng) -> None:
        self._count = count
        self._share = share
        self._edges_ms = np.append(np.arange(0, length_ms, MINUTE_MS), length_ms)
        self._density = rng.gamma(MINUTE_SHAPE.draw(rng, 1)[0], size=len(self._edges_ms) - 1)
        self._mean_size = 1 + BATCH_EXTRA.draw(rng, 1)[0]
        self._duration: LogNormal | None = None

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        if len(edges_ms) == 2:  # noqa: PLR2004 - one block
            return np.array([self._count])
        load = np.append(0, np.cumsum(self._density * np.diff(self._edges_ms)))
        return rng.multinomial(self._count, shares(np.interp(edges_ms, self._edges_ms, load)))

    def draw(self, span: Span, rng: Rng) -> Times:
        edges_ms = np.clip(self._edges_ms, span.low_ms, span.high_ms)
        span_ms = np.diff(edges_ms)
        load = self._density * span_ms
        sizes = rng.geometric(1 / self._mean_size, size=span.count)
        batch = np.repeat(np.arange(span.count), sizes)[: span.count]
        minute = rng.choice(len(span_ms), size=span.count, p=load / load.sum())
        start_ms = edges_ms[minute] + rng.random(span.count) * span_ms[minute]
        times_ms: Times = start_ms[batch] + np.where(sizes[batch] > 1, rng.random(span.count) * BATCH_MS, 0)
        return times_ms

    def durations_ms(self, count: int, rng: Rng) -> Times:
        """Draw durations; the function's own law is drawn with its first block."""
        if self._duration is None:
            law = MEAN_MS_POPULAR if self._share >= POPULAR_SHARE else MEAN_MS_OTHER
            mean_ms = law.draw(rng, 1)[0]
            sigma = LogNormal(SIGMA_MEDIAN, SIGMA_SPREAD, 0.05, 2.4).draw(rng, 1)[0]
            self._duration = LogNormal(mean_ms * np.exp(-(sigma**2) / 2), sigma, 0, TIMEOUT_S * MS_PER_S)
        return self._duration.draw(rng, count)
