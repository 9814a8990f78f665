"""Azure-like load: a law made of what was published of Azure Functions; it contains no recorded row.

The figures are those of M. Shahrad et al., "Serverless in the Wild", USENIX ATC 2020: section 3 and figures 3 to 8.

| what               | model                                                     | published                           |
|--------------------|-----------------------------------------------------------|-------------------------------------|
| trigger            | `TRIGGERS`: share of the functions and of the requests    | 55 % HTTP, with 36 % of the requests|
| popularity         | rates log-linear between `RATES_A_DAY`, then scaled so    | 45 % at most hourly; 81 % at most   |
|                    | that each trigger has its share                           | every minute, with 0.4 % of requests|
| HTTP requests      | Poisson, half of the load steady, half a daily wave       | a baseline of about half the load   |
| timers             | equal gaps                                                | gaps of timers vary little          |
| all other triggers | two states (MMPP): bursts of 30 s, calms of 5 min, 20:1   | many gaps vary more than their mean |
| mean duration      | log-normal: mean of the logarithm -0.38, sigma 2.36 (s)   | the fit given there                 |
| memory             | Burr XII: c 11.652, k 0.221, 107.083 MB; at most 1,536 MB | the fit given there                 |
| start              | drawn once for each function: see `start_costs`           | not published there                 |

The last rate of `RATES_A_DAY` follows from the share of requests below one a minute. It makes the most popular
function 13 requests a second at 81 % below one a minute, far from the eight orders of magnitude that the whole cloud
spans: a sample of some hundred functions seldom holds the top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.traces.arrivals import two_states, wave, weighted_counts
from pilotlight.traces.courses import EvenCourse, Load, RandomCourse
from pilotlight.traces.start_costs import CREATE_MS, draw_cold_starts
from pilotlight.traces.synth import LogNormal, draw_shares
from pilotlight.traces.trace import NS_PER_MS, FunctionTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilotlight.traces.courses import Course, Rng
    from pilotlight.traces.synth import SynthSettings


class Trigger(NamedTuple):
    """How many functions in a hundred a trigger calls, and how many requests in a hundred it makes."""

    functions: int
    requests: int


TRIGGERS = {
    "http": Trigger(55, 36),
    "queue": Trigger(15, 34),
    "event": Trigger(2, 25),
    "timer": Trigger(16, 2),
    "orchestration": Trigger(7, 2),
    "other": Trigger(5, 1),
}
RATES_A_DAY = {0.0: 1.0, 0.45: 24.0, 0.81: 1440.0, 1.0: 1_150_000.0}
"""Share of the functions, and the requests a day that they have at most."""

STEADY_SHARE = 0.5
DAY_S = 86_400.0
CALM_S, BURST_S, BURST_FACTOR = 300.0, 30.0, 20.0

AZURE_MEAN_MS = LogNormal(1000 * float(np.exp(-0.38)), 2.36, 1, 600_000)
MEMORY_C, MEMORY_K, MEMORY_MB = 11.652, 0.221, 107.083
MEMORY_LIMIT_MB = 1536
TIMEOUT_S = 600


def azure(sizes: SynthSettings, rng: Rng) -> Iterator[tuple[int, Course]]:
    """Yield each called function's course."""
    names = list(TRIGGERS)
    trigger = rng.choice(
        len(names), size=sizes.functions, p=draw_shares([each.functions for each in TRIGGERS.values()])
    )
    # Every rank once, so that a small sample is as heavy-tailed as a large one.
    level = (rng.permutation(sizes.functions) + 0.5) / sizes.functions
    weight = np.exp(np.interp(level, list(RATES_A_DAY), np.log(list(RATES_A_DAY.values()))))
    for index, each in enumerate(TRIGGERS.values()):
        own = trigger == index
        weight[own] *= each.requests / max(weight[own].sum(), 1.0)
    order = np.argsort(-weight, kind="stable")[: sizes.requests]
    counts = weighted_counts(weight[order], sizes.requests)
    steady = Load.steady(sizes.length_s)
    daily = wave(sizes, period_s=DAY_S, depth=1 - STEADY_SHARE)
    for row, count in zip(order.tolist(), counts, strict=True):
        name = names[trigger[row]]
        if name == "timer":
            yield row, EvenCourse(steady, count, rng.random())
        elif name == "http":
            yield row, RandomCourse(daily, count)
        else:
            load = two_states(sizes, rng, calm_s=CALM_S, burst_s=BURST_S, factor=BURST_FACTOR)
            yield row, RandomCourse(load, count)


def draw_azure_functions(count: int, rng: Rng, prefix: str) -> FunctionTable:
    """Draw a function table; keys are the prefix and a number."""
    burr_mb = MEMORY_MB * ((1 - rng.random(count)) ** (-1 / MEMORY_K) - 1) ** (1 / MEMORY_C)
    memory_mb = np.clip(np.ceil(burr_mb), 1, MEMORY_LIMIT_MB).astype(np.uint64)
    init_ms = np.maximum(draw_cold_starts(memory_mb, rng) * 1000 - CREATE_MS, 1)
    return FunctionTable(
        keys=tuple(f"{prefix}-{index:04d}" for index in range(count)),
        runtimes=("",) * count,
        timeout_s=np.full(count, TIMEOUT_S, dtype=np.uint32),
        memory_mb=memory_mb,
        init_ns=np.rint(init_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
    )
