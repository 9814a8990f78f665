"""Generates contest-like load from published statistics, when there is no recorded trace at hand.

The model is fitted to aggregate figures of the contest's data sets; it contains no recorded row. The same settings give
the same trace, to the last bit, on every run (NumPy's PCG64, one stream each for table, counts and requests).

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
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.trace import NS_PER_MS, STATUS_OK, FunctionTable, Trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCH_MS = 1_700_000_000_000
"""Where generated traces start in time."""

CALLED_SHARE = 0.873
POPULARITY_OFFSET, POPULARITY_EXPONENT = 4.0, 2.5
MEMORY_MIX = {128: 36, 256: 5, 384: 1, 512: 34, 768: 1, 1024: 18, 1536: 1, 2048: 2, 3072: 1, 4096: 1}
"""MB and how many functions in a hundred have it."""

TIMEOUT_S = 3600
STATUS_BAD = 500

POPULAR_SHARE = 0.01
SIGMA_MEDIAN, SIGMA_SPREAD = 0.66, 0.95
MINUTE_MS = 60_000
BATCH_MS = 1_000

TIMER_SHARE, TIMER_FIRST_RANK, TIMER_LIMIT = 0.08, 20, 0.10
TIMERS = {30: 10, 60: 32, 120: 30, 300: 28}
"""Period in seconds and how many timers in a hundred have it."""


class LogNormal(NamedTuple):
    """A log-normal law, cut off at both ends; the unit is the user's."""

    median: float
    sigma: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        """Draw `size` values."""
        return np.clip(self.median * np.exp(self.sigma * rng.standard_normal(size)), self.low, self.high)


class Runtime(NamedTuple):
    """How many functions in a thousand have a runtime, and how long its Init takes in ms."""

    weight: int
    init_ms: LogNormal


RUNTIMES = {
    "custom": Runtime(421, LogNormal(1834, 1.12, 9, 120_000)),
    "nodejs": Runtime(199, LogNormal(237, 0.79, 9, 120_000)),
    "python": Runtime(197, LogNormal(177, 0.82, 9, 120_000)),
    "php": Runtime(113, LogNormal(196, 0.29, 9, 120_000)),
    "java": Runtime(48, LogNormal(431, 0.64, 9, 120_000)),
    "container": Runtime(11, LogNormal(308, 0.21, 9, 120_000)),
    "go": Runtime(11, LogNormal(154, 0.61, 9, 120_000)),
}
MEAN_MS_POPULAR = LogNormal(131, 1.9, 1, 2_700)
MEAN_MS_OTHER = LogNormal(415, 2.6, 1, 300_000)
TIMER_MS = LogNormal(55, 0.11, 20, 240)
MINUTE_SHAPE = LogNormal(1.0, 1.0, 0.1, 20)
BATCH_EXTRA = LogNormal(0.2, 1.46, 0.0, 10)


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """What to generate.

    Attributes:
        functions: size of the function table.
        requests: how many requests, exactly.
        length_s: they arrive within this time.
        seed: of the random generator.
        bad_share: share of requests that end badly (status 500), 0 to 1.

    Raises:
        TraceError: a value is out of range; the text names it.
    """

    functions: int = 613
    requests: int = 60_000
    length_s: float = 1200.0
    seed: int = 1
    bad_share: float = 0.0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("functions", self.functions, 1, 1_000_000),
            ("requests", self.requests, 1, 1_000_000_000),
            ("length_s", self.length_s, 1, 10**8),
            ("seed", self.seed, 0, 2**64 - 1),
            ("bad_share", self.bad_share, 0, 1),
        ):
            if not low <= value <= high:
                raise TraceError(f"synthetic trace: {name} is {value}; it must be from {low} to {high}")


class _Plan(NamedTuple):
    """What each called function does: its index, number of requests, and timer period (0: no timer)."""

    function: NDArray[np.uint32]
    requests: NDArray[np.int64]
    period_ms: NDArray[np.int64]


def synthesize(settings: SynthSettings | None = None) -> Trace:
    """Generate a trace; see the module's table for the model.

    Args:
        settings: None takes the defaults.

    Returns:
        A trace whose times are whole milliseconds, so that it can be written and read back unchanged.
    """
    settings = SynthSettings() if settings is None else settings
    streams = np.random.SeedSequence(settings.seed).spawn(3)
    table_rng, plan_rng, request_rng = (np.random.Generator(np.random.PCG64(stream)) for stream in streams)
    length_ms = int(settings.length_s * 1000)
    functions = draw_functions(settings.functions, table_rng)
    plan = _plan(settings, length_ms, plan_rng)
    arrivals = []
    durations = []
    for count, period_ms in zip(plan.requests.tolist(), plan.period_ms.tolist(), strict=True):
        if period_ms:
            arrivals.append(_ticks(count, period_ms, length_ms, request_rng))
            durations.append(TIMER_MS.draw(request_rng, count))
        else:
            arrivals.append(_bursts(count, length_ms, request_rng))
            durations.append(_durations(count, count / settings.requests, request_rng))
    arrival_ms = np.concatenate(arrivals)
    order = np.argsort(arrival_ms, kind="stable")
    arrival_ms = arrival_ms[order]
    first_ms = int(arrival_ms[0])
    bad = request_rng.random(settings.requests) < settings.bad_share
    return Trace(
        arrival_ns=(arrival_ms - first_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
        function=np.repeat(plan.function, plan.requests)[order],
        duration_ns=np.rint(np.concatenate(durations)[order]).astype(np.uint64) * np.uint64(NS_PER_MS),
        status=np.where(bad, STATUS_BAD, STATUS_OK).astype(np.int32),
        functions=functions,
        origin_ms=EPOCH_MS + first_ms,
    )


def draw_functions(count: int, rng: np.random.Generator, prefix: str = "synth") -> FunctionTable:
    """Draw a function table; keys are the prefix and a number."""
    weights = [runtime.weight for runtime in RUNTIMES.values()]
    names = rng.choice(list(RUNTIMES), size=count, p=_shares(weights)).tolist()
    memory_mb = rng.choice(list(MEMORY_MIX), size=count, p=_shares(list(MEMORY_MIX.values())))
    init_ms = np.array([RUNTIMES[name].init_ms.draw(rng, 1)[0] for name in names])
    return FunctionTable(
        keys=tuple(f"{prefix}-{index:04d}" for index in range(count)),
        runtimes=tuple(names),
        timeout_s=np.full(count, TIMEOUT_S, dtype=np.uint32),
        memory_mb=memory_mb.astype(np.uint64),
        init_ns=np.rint(init_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
    )


def _plan(settings: SynthSettings, length_ms: int, rng: np.random.Generator) -> _Plan:
    """Share the requests out: timers by their periods, the rest by popularity."""
    called = min(max(1, round(CALLED_SHARE * settings.functions)), settings.requests)
    function = rng.permutation(settings.functions)[:called].astype(np.uint32)
    period_ms = np.zeros(called, dtype=np.int64)
    count = np.ones(called, dtype=np.int64)
    candidates = rng.permutation(np.arange(min(TIMER_FIRST_RANK, called), called))[: round(TIMER_SHARE * called)]
    periods_s = rng.choice(list(TIMERS), size=len(candidates), p=_shares(list(TIMERS.values())))
    spare = settings.requests - called
    allowed = min(spare, int(TIMER_LIMIT * settings.requests))
    for rank, period_s in zip(candidates.tolist(), periods_s.tolist(), strict=True):
        ticks = max(1, length_ms // (period_s * 1000))
        if ticks - 1 <= allowed:
            period_ms[rank] = period_s * 1000
            count[rank] = ticks
            allowed -= ticks - 1
            spare -= ticks - 1
    weight = (np.arange(1, called + 1) + POPULARITY_OFFSET) ** -POPULARITY_EXPONENT
    weight[period_ms > 0] = 0
    count += np.floor(spare * weight / weight.sum()).astype(np.int64)
    count[0] += settings.requests - int(count.sum())
    return _Plan(function, count, period_ms)


def _ticks(count: int, period_ms: int, length_ms: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Arrivals of a timer."""
    phase_ms = int(rng.integers(0, min(period_ms, length_ms)))
    late_ms = rng.integers(0, 5, size=count)
    ticks: NDArray[np.int64] = np.minimum(phase_ms + np.arange(count) * period_ms + late_ms, length_ms - 1)
    return ticks


def _bursts(count: int, length_ms: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Arrivals in minutes of unlike load, inside a minute in batches."""
    edges_ms = np.append(np.arange(0, length_ms, MINUTE_MS), length_ms)
    span_ms = np.diff(edges_ms)
    load = rng.gamma(MINUTE_SHAPE.draw(rng, 1)[0], size=len(span_ms)) * span_ms
    mean_size = 1 + BATCH_EXTRA.draw(rng, 1)[0]
    sizes = rng.geometric(1 / mean_size, size=count)
    batch = np.repeat(np.arange(count), sizes)[:count]
    minute = rng.choice(len(span_ms), size=count, p=load / load.sum())
    start_ms = edges_ms[minute] + rng.random(count) * span_ms[minute]
    arrival_ms = start_ms[batch] + np.where(sizes[batch] > 1, rng.random(count) * BATCH_MS, 0)
    return np.minimum(arrival_ms.astype(np.int64), length_ms - 1)


def _durations(count: int, share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw durations in ms of one function that has this share of the requests."""
    law = MEAN_MS_POPULAR if share >= POPULAR_SHARE else MEAN_MS_OTHER
    mean_ms = law.draw(rng, 1)[0]
    sigma = LogNormal(SIGMA_MEDIAN, SIGMA_SPREAD, 0.05, 2.4).draw(rng, 1)[0]
    return LogNormal(mean_ms * np.exp(-(sigma**2) / 2), sigma, 0, TIMEOUT_S * 1000).draw(rng, count)


def _shares(weights: list[int]) -> NDArray[np.float64]:
    """Turn weights into probabilities."""
    return np.array(weights) / sum(weights)
