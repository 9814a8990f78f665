"""When requests arrive in generated load: one small law a kind, each known for what it does to a policy.

Every law takes the sizes, a source of chance and its own parameters, and returns for each function its arrivals in
seconds, from 0 to the length, in any order. Laws that are told how many requests there are share them out
over the functions as 1 to 1/f, at least one each, and make exactly that many. Called through `generators`.

Most laws are one idea: a rate over time, as pieces of constant rate, and positions in its cumulative sum. Random
positions make a Poisson process of that rate, given its number of requests; even ones make a timer that follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.synth import SynthSettings

Times: TypeAlias = "NDArray[np.float64]"
Rng: TypeAlias = np.random.Generator

CRON_PERIODS_S = (60, 300, 900, 3600)
DIURNAL_STEPS = 288
"""Pieces of constant rate that make up one wave."""

MAX_CYCLES = 10_000
"""More turns of a rate than this are refused: they would cost memory and look like a steady rate."""


def poisson(sizes: SynthSettings, rng: Rng) -> list[Times]:
    """Independent requests at a steady rate: the gaps' coefficient of variation is 1."""
    return [rng.random(count) * sizes.length_s for count in _shared_out(sizes)]


def constant(sizes: SynthSettings, rng: Rng) -> list[Times]:
    """Requests at equal gaps, each function from a phase of its own."""
    return [_even(count, rng) * sizes.length_s for count in _shared_out(sizes)]


def on_off(sizes: SynthSettings, rng: Rng, *, on_s: float, off_s: float) -> list[Times]:
    """Poisson load for `on_s`, silence for `off_s`, and again; each function from a phase of its own."""
    cycle_s = on_s + off_s
    _refuse_too_many(sizes, cycle_s)
    if sizes.length_s < cycle_s:
        raise TraceError(f"on_off: the length is {sizes.length_s:g} s; it must hold on and off, {cycle_s:g} s together")
    starts_s = np.arange(-cycle_s, sizes.length_s + cycle_s, cycle_s)
    edges_s = np.stack([starts_s, starts_s + on_s], axis=1).ravel()
    rate = np.resize([1.0, 0.0], len(edges_s) - 1)
    return [
        _follow(np.clip(edges_s + rng.random() * cycle_s, 0, sizes.length_s), rate, rng.random(count))
        for count in _shared_out(sizes)
    ]


def bursty(sizes: SynthSettings, rng: Rng, *, calm_s: float, burst_s: float, factor: float) -> list[Times]:
    """Load of two states of random length (a Markov-modulated Poisson process); bursts have `factor` times the rate.

    `calm_s` and `burst_s` are the means of the exponential lengths of a calm and of a burst.
    """
    _refuse_too_many(sizes, calm_s + burst_s)
    found = []
    for count in _shared_out(sizes):
        edges_s = np.zeros(1)
        while edges_s[-1] < sizes.length_s:
            lasts_s = rng.exponential((calm_s, burst_s), size=(64, 2)).ravel()
            edges_s = np.concatenate([edges_s, edges_s[-1] + np.cumsum(lasts_s)])
        rate = np.resize([1.0, factor], len(edges_s) - 1)
        found.append(_follow(np.minimum(edges_s, sizes.length_s), rate, rng.random(count)))
    return found


def regime_switch(sizes: SynthSettings, rng: Rng, *, switches: int, factor: float) -> list[Times]:
    """Load whose rate jumps by `factor`, up and down in turn, `switches` times at equal distances.

    Every other function is a timer, whose period jumps instead; half of either kind begin with the high rate.
    """
    regimes = switches + 1
    edges_s = np.linspace(0, sizes.length_s, regimes + 1)
    found = []
    for index, count in enumerate(_shared_out(sizes)):
        rate = np.resize([factor, 1.0] if index // 2 % 2 else [1.0, factor], regimes)
        positions = _even(count, rng) if index % 2 else rng.random(count)
        found.append(_follow(edges_s, rate, positions))
    return found


def flash_crowd(sizes: SynthSettings, rng: Rng, *, factor: float, at: float, burst_s: float) -> list[Times]:
    """Poisson load that from the share `at` of the length on has `factor` times its rate, for `burst_s`."""
    edges_s = np.minimum([0, at * sizes.length_s, at * sizes.length_s + burst_s, sizes.length_s], sizes.length_s)
    rate = np.array([1.0, factor, 1.0])
    return [_follow(edges_s, rate, rng.random(count)) for count in _shared_out(sizes)]


def diurnal(sizes: SynthSettings, rng: Rng, *, period_s: float, depth: float) -> list[Times]:
    """Poisson load whose rate is a sine wave: least at the start, most half a period on.

    The rate swings by the share `depth` of its mean to either side.
    """
    _refuse_too_many(sizes, period_s)
    steps = max(1, round(sizes.length_s / period_s * DIURNAL_STEPS))
    edges_s = np.linspace(0, sizes.length_s, steps + 1)
    rate = 1 - depth * np.cos(2 * np.pi * (edges_s[:-1] + edges_s[1:]) / 2 / period_s)
    return [_follow(edges_s, rate, rng.random(count)) for count in _shared_out(sizes)]


def periodic(sizes: SynthSettings, rng: Rng, *, jitter_s: float) -> list[Times]:
    """Timers as of cron: every 1, 5, 15 or 60 min from a whole minute on, each tick up to `jitter_s` late."""
    found = []
    for period_s in rng.choice(CRON_PERIODS_S, size=sizes.functions):
        phase_s = 60 * rng.integers(0, max(1, min(period_s, sizes.length_s) // 60))
        ticks_s = np.arange(phase_s, sizes.length_s, period_s)
        late_s = rng.random(len(ticks_s)) * np.minimum(jitter_s, sizes.length_s - ticks_s)
        found.append(ticks_s + late_s)
    return found


def drifting_period(sizes: SynthSettings, rng: Rng, *, period_s: float, drift: float) -> list[Times]:
    """Timers whose period drifts, at a steady pace in the logarithm, to `drift` times its first value.

    First periods lie from a half to twice `period_s`; every other function drifts the other way, to 1 / `drift`.
    """
    found = []
    for index in range(sizes.functions):
        first_s = period_s * 2 ** rng.uniform(-1, 1)
        pace = np.log(drift) * (-1 if index % 2 else 1) / sizes.length_s
        ticks = (-np.expm1(-pace * sizes.length_s) / pace if pace else sizes.length_s) / first_s
        # Ticks until t: the integral of 1 / (first_s · exp(pace · t)); below, its inverse.
        positions = np.arange(rng.random() * min(1.0, ticks), ticks, 1.0) * first_s
        found.append(-np.log1p(-pace * positions) / pace if pace else positions)
    return found


def one_shot(sizes: SynthSettings, rng: Rng) -> list[Times]:
    """Functions that are called once, at a moment of no pattern, and never again."""
    return list((rng.random(sizes.functions) * sizes.length_s)[:, np.newaxis])


def _shared_out(sizes: SynthSettings) -> list[int]:
    """Share the requests out over the functions, as 1, 1/2, 1/3 and so on, at least one each while there are any."""
    called = min(sizes.functions, sizes.requests)
    weight = 1 / np.arange(1, called + 1)
    counts = 1 + np.floor((sizes.requests - called) * weight / weight.sum()).astype(np.int64)
    counts[0] += sizes.requests - counts.sum()
    return [*counts.tolist(), *[0] * (sizes.functions - called)]


def _even(count: int, rng: Rng) -> Times:
    """Return `count` positions from 0 to 1 at equal distances, from a random one on."""
    return (np.arange(count) + rng.random()) / max(count, 1)


def _follow(edges_s: Times, rate: Times, positions: Times) -> Times:
    """Turn positions in the cumulative load, 0 to 1, into times; the rate is constant between two edges."""
    cumulative = np.concatenate([[0.0], np.cumsum(rate * np.diff(edges_s))])
    times_s: Times = np.interp(positions * cumulative[-1], cumulative, edges_s)
    return times_s


def _refuse_too_many(sizes: SynthSettings, cycle_s: float) -> None:
    """Refuse a rate that turns too often."""
    if sizes.length_s / cycle_s > MAX_CYCLES:
        raise TraceError(
            f"the load's rate turns every {cycle_s:g} s for {sizes.length_s:g} s; at most {MAX_CYCLES} turns fit:"
            " take a shorter length or longer turns"
        )
