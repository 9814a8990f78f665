"""When requests arrive in generated load: one small law a kind, each known for what it does to a policy.

Every law takes the sizes, a source of chance and its own parameters, and yields for each function its row and the
course of its load (`courses`). Laws that are told how many requests there are share them out over the functions as 1 to
1/f, at least one each, and make exactly that many. A law draws what a course needs only when the course is asked for:
chance is used function by function, so that a trace of one block is the same whether it is streamed or not. Called by
`blocks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.courses import DriftCourse, EvenCourse, Load, RandomCourse, ScheduleCourse, TimerCourse
from pilotlight.traces.cron import DEFAULT_SCHEDULES, cron_ticks_s, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilotlight.traces.courses import Course, Rng, Times
    from pilotlight.traces.synth import SynthSettings

    Rows: TypeAlias = Iterator[tuple[int, Course]]

TIMER_PERIODS_S = (60, 300, 900, 3600)
DIURNAL_STEPS = 288
"""Pieces of constant rate that make up one wave."""

MAX_CYCLES = 10_000
"""More turns of a rate than this are refused: they would cost memory and look like a steady rate."""


def poisson(sizes: SynthSettings, rng: Rng) -> Rows:
    """Independent requests at a steady rate: the gaps' coefficient of variation is 1."""
    del rng
    load = Load.steady(sizes.length_s)
    return enumerate(RandomCourse(load, count) for count in shared_out(sizes))


def zipf(sizes: SynthSettings, rng: Rng, *, exponent: float) -> Rows:
    """Independent requests at a steady rate, the function of rank r called in proportion to `r ** -exponent`."""
    del rng
    load = Load.steady(sizes.length_s)
    return enumerate(RandomCourse(load, count) for count in shared_out(sizes, exponent))


def constant(sizes: SynthSettings, rng: Rng) -> Rows:
    """Requests at equal gaps, each function from a phase of its own."""
    load = Load.steady(sizes.length_s)
    return enumerate(EvenCourse(load, count, rng.random()) for count in shared_out(sizes))


def on_off(sizes: SynthSettings, rng: Rng, *, on_s: float, off_s: float) -> Rows:
    """Poisson load for `on_s`, silence for `off_s`, and again; each function from a phase of its own."""
    cycle_s = on_s + off_s
    refuse_too_many(sizes, cycle_s)
    if sizes.length_s < cycle_s:
        raise TraceError(f"on_off: the length is {sizes.length_s:g} s; it must hold on and off, {cycle_s:g} s together")
    starts_s = np.arange(-cycle_s, sizes.length_s + cycle_s, cycle_s)
    edges_s = np.stack([starts_s, starts_s + on_s], axis=1).ravel()
    rate = np.resize([1.0, 0.0], len(edges_s) - 1)
    return enumerate(
        RandomCourse(Load.of(np.clip(edges_s + rng.random() * cycle_s, 0, sizes.length_s), rate), count)
        for count in shared_out(sizes)
    )


def bursty(sizes: SynthSettings, rng: Rng, *, calm_s: float, burst_s: float, factor: float) -> Rows:
    """Load of two states of random length (a Markov-modulated Poisson process); bursts have `factor` times the rate.

    `calm_s` and `burst_s` are the means of the exponential lengths of a calm and of a burst.
    """
    refuse_too_many(sizes, calm_s + burst_s)
    for row, count in enumerate(shared_out(sizes)):
        yield row, RandomCourse(two_states(sizes, rng, calm_s=calm_s, burst_s=burst_s, factor=factor), count)


def regime_switch(sizes: SynthSettings, rng: Rng, *, switches: int, factor: float) -> Rows:
    """Load whose rate jumps by `factor`, up and down in turn, `switches` times at equal distances.

    Every other function is a timer, whose period jumps instead; half of either kind begin with the high rate.
    """
    regimes = switches + 1
    edges_s = np.linspace(0, sizes.length_s, regimes + 1)
    for row, count in enumerate(shared_out(sizes)):
        rate = np.resize([factor, 1.0] if row // 2 % 2 else [1.0, factor], regimes)
        load = Load.of(edges_s, rate)
        yield row, EvenCourse(load, count, rng.random()) if row % 2 else RandomCourse(load, count)


def flash_crowd(sizes: SynthSettings, rng: Rng, *, factor: float, at: float, burst_s: float) -> Rows:
    """Poisson load that from the share `at` of the length on has `factor` times its rate, for `burst_s`."""
    del rng
    edges_s = np.minimum([0, at * sizes.length_s, at * sizes.length_s + burst_s, sizes.length_s], sizes.length_s)
    load = Load.of(edges_s, np.array([1.0, factor, 1.0]))
    return enumerate(RandomCourse(load, count) for count in shared_out(sizes))


def diurnal(sizes: SynthSettings, rng: Rng, *, period_s: float, depth: float) -> Rows:
    """Poisson load whose rate is a sine wave: least at the start, most half a period on.

    The rate swings by the share `depth` of its mean to either side.
    """
    del rng
    load = wave(sizes, period_s=period_s, depth=depth)
    return enumerate(RandomCourse(load, count) for count in shared_out(sizes))


def periodic(sizes: SynthSettings, rng: Rng, *, jitter_s: float) -> Rows:
    """Timers as of cron: every 1, 5, 15 or 60 min from a whole minute on, each tick up to `jitter_s` late."""
    for row, period_s in enumerate(rng.choice(TIMER_PERIODS_S, size=sizes.functions).tolist()):
        phase_s = 60 * int(rng.integers(0, max(1, min(period_s, sizes.length_s) // 60)))
        yield row, TimerCourse(phase_s, period_s, jitter_s, sizes.length_s)


def cron(sizes: SynthSettings, rng: Rng, *, schedule: str, zone: str, jitter_s: float) -> Rows:
    """Cron jobs: each function follows one of the expressions, in turn, each tick up to `jitter_s` late.

    Raises:
        TraceError: an expression or the zone is none, or none of them has a tick in the length.
    """
    del rng
    expressions = schedule.split("|") if schedule else list(DEFAULT_SCHEDULES)
    clock = zone_named(zone)
    ticks_s = [cron_ticks_s(expression, sizes.length_s, clock) for expression in expressions]
    if not any(len(ticks) for ticks in ticks_s[: sizes.functions]):
        raise TraceError(f"cron: no tick of {' or '.join(expressions)} lies in {sizes.length_s:g} s; take a longer one")
    return enumerate(
        ScheduleCourse(ticks_s[row % len(ticks_s)], jitter_s, sizes.length_s) for row in range(sizes.functions)
    )


def drifting_period(sizes: SynthSettings, rng: Rng, *, period_s: float, drift: float) -> Rows:
    """Timers whose period drifts, at a steady pace in the logarithm, to `drift` times its first value.

    First periods lie from a half to twice `period_s`; every other function drifts the other way, to 1 / `drift`.
    """
    for row in range(sizes.functions):
        first_s = period_s * 2 ** rng.uniform(-1, 1)
        pace = np.log(drift) * (-1 if row % 2 else 1) / sizes.length_s
        ticks = (-np.expm1(-pace * sizes.length_s) / pace if pace else sizes.length_s) / first_s
        yield row, DriftCourse(first_s, pace, rng.random() * min(1.0, ticks), ticks)


def one_shot(sizes: SynthSettings, rng: Rng) -> Rows:
    """Functions that are called once, at a moment of no pattern, and never again."""
    del rng
    load = Load.steady(sizes.length_s)
    return enumerate(RandomCourse(load, 1) for _ in range(sizes.functions))


def shared_out(sizes: SynthSettings, exponent: float = 1.0) -> list[int]:
    """Share the requests out over the functions by rank, as `r ** -exponent`, at least one each while there are any."""
    called = min(sizes.functions, sizes.requests)
    counts = weighted_counts(1 / np.arange(1, called + 1) ** exponent, sizes.requests)
    return [*counts, *[0] * (sizes.functions - called)]


def weighted_counts(weight: Times, requests: int) -> list[int]:
    """Share requests out by weight, at least one each; what rounding leaves goes to the first."""
    counts = 1 + np.floor((requests - len(weight)) * weight / weight.sum()).astype(np.int64)
    counts[0] += requests - counts.sum()
    return counts.tolist()  # type: ignore[no-any-return] # of a vector of integers


def two_states(sizes: SynthSettings, rng: Rng, *, calm_s: float, burst_s: float, factor: float) -> Load:
    """Draw a rate that is 1 in calms and `factor` in bursts, both of exponential length."""
    edges_s = np.zeros(1)
    while edges_s[-1] < sizes.length_s:
        lasts_s = rng.exponential((calm_s, burst_s), size=(64, 2)).ravel()
        edges_s = np.concatenate([edges_s, edges_s[-1] + np.cumsum(lasts_s)])
    rate = np.resize([1.0, factor], len(edges_s) - 1)
    return Load.of(np.minimum(edges_s, sizes.length_s), rate)


def wave(sizes: SynthSettings, *, period_s: float, depth: float) -> Load:
    """Make a rate that is a sine wave, least at the start."""
    refuse_too_many(sizes, period_s)
    steps = max(1, round(sizes.length_s / period_s * DIURNAL_STEPS))
    edges_s = np.linspace(0, sizes.length_s, steps + 1)
    rate = 1 - depth * np.cos(2 * np.pi * (edges_s[:-1] + edges_s[1:]) / 2 / period_s)
    return Load.of(edges_s, rate)


def refuse_too_many(sizes: SynthSettings, cycle_s: float) -> None:
    """Refuse a rate that turns too often."""
    if sizes.length_s / cycle_s > MAX_CYCLES:
        raise TraceError(
            f"the load's rate turns every {cycle_s:g} s for {sizes.length_s:g} s; at most {MAX_CYCLES} turns fit:"
            " take a shorter length or longer turns"
        )
