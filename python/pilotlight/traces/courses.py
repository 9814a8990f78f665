"""The course of one function's load: its arrivals over the whole length, to be drawn block by block.

A course is told the edges of the blocks once and says how many requests arrive between each two; then it draws them.
However many blocks there are, the arrivals follow the same law, and a trace of a hundred million requests needs memory
for one block of them. Times are in milliseconds, as floats, from 0 to the length. Made by the laws in `arrivals`, drawn
by `blocks`.

Most courses are one idea: a rate over time, as pieces of constant rate, and positions in its cumulative sum. Random
positions make a Poisson process of that rate, given its number of requests; even ones make a timer that follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Times: TypeAlias = "NDArray[np.float64]"
Counts: TypeAlias = "NDArray[np.int64]"
Rng: TypeAlias = np.random.Generator

MS_PER_S = 1000


class Course(Protocol):
    """What one function's load does."""

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        """Say how many requests are due between each two edges, shape (edges - 1,); called once, before `draw`."""

    def draw(self, span: Span, rng: Rng) -> Times:
        """Return when the requests due in a block arrive: some may be late and lie past the block's end, in any order.

        Blocks are drawn in order; a block without requests may be left out, except for the first.
        """


@runtime_checkable
class TimedCourse(Course, Protocol):
    """A course that knows how long its requests execute."""

    def durations_ms(self, count: int, rng: Rng) -> Times:
        """Draw the durations of the requests drawn last."""


@dataclass(frozen=True, slots=True)
class Span:
    """A block as a course sees it.

    Attributes:
        low_ms: its beginning.
        high_ms: its end.
        first: requests due in the blocks before.
        count: requests due in it.
    """

    low_ms: float
    high_ms: float
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Load:
    """A rate over time.

    Attributes:
        edges_s: float64, shape (pieces + 1,), ascending.
        cumulative: float64, the load up to each edge.
    """

    edges_s: Times
    cumulative: Times

    @classmethod
    def of(cls, edges_s: Times, rate: Times) -> Load:
        """Take the rate as constant between two edges."""
        return cls(edges_s, np.concatenate([[0.0], np.cumsum(rate * np.diff(edges_s))]))

    @classmethod
    def steady(cls, length_s: float) -> Load:
        """Take the rate as constant throughout."""
        return cls(np.array([0.0, length_s]), np.array([0.0, length_s]))

    def times_ms(self, positions: Times) -> Times:
        """Turn positions in the cumulative load, 0 to 1, into times."""
        times_s: Times = np.interp(positions * self.cumulative[-1], self.cumulative, self.edges_s)
        return times_s * MS_PER_S

    def positions(self, times_ms: Times) -> Times:
        """Turn times into positions in the cumulative load."""
        shares: Times = np.interp(times_ms / MS_PER_S, self.edges_s, self.cumulative) / self.cumulative[-1]
        return shares


@dataclass(frozen=True, slots=True)
class RandomCourse:
    """So many requests at random positions: a Poisson process, given its number of requests."""

    load: Load
    count: int

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        """Share the requests out over the blocks by their load."""
        if len(edges_ms) == 2:  # noqa: PLR2004 - one block
            return np.array([self.count])
        return rng.multinomial(self.count, shares(self.load.positions(edges_ms)))

    def draw(self, span: Span, rng: Rng) -> Times:
        """Draw positions between those of the block's ends."""
        low, high = self.load.positions(np.array([span.low_ms, span.high_ms])).tolist()
        return self.load.times_ms(low + rng.random(span.count) * (high - low))


@dataclass(frozen=True, slots=True)
class EvenCourse:
    """So many requests at equal distances in the load, from the share `phase` of one distance on."""

    load: Load
    count: int
    phase: float

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        """Count the positions before each edge."""
        del rng
        before = np.ceil(self.count * self.load.positions(edges_ms) - self.phase)
        before[0], before[-1] = 0, self.count
        return np.diff(np.clip(before, 0, self.count)).astype(np.int64)

    def draw(self, span: Span, rng: Rng) -> Times:
        """Return the positions' times."""
        del rng
        return self.load.times_ms((np.arange(span.first, span.first + span.count) + self.phase) / max(self.count, 1))


@dataclass(frozen=True, slots=True)
class TimerCourse:
    """Ticks at a fixed period, each up to `jitter_s` late but not past the length."""

    first_s: float
    period_s: float
    jitter_s: float
    length_s: float

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        """Count the ticks before each edge."""
        del rng
        edges_s = np.append(edges_ms[:-1] / MS_PER_S, self.length_s)
        before = np.ceil((edges_s - self.first_s) / self.period_s).astype(np.int64)
        return np.diff(np.maximum(before, 0))

    def draw(self, span: Span, rng: Rng) -> Times:
        """Return the ticks with their lateness."""
        ticks_s = self.first_s + np.arange(span.first, span.first + span.count, dtype=np.float64) * self.period_s
        return late_ms(ticks_s, self.jitter_s, self.length_s, rng)


@dataclass(frozen=True, slots=True)
class ScheduleCourse:
    """Ticks at given moments, ascending, each up to `jitter_s` late but not past the length."""

    ticks_s: Times
    jitter_s: float
    length_s: float

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        """Count the ticks before each edge."""
        del rng
        before = np.searchsorted(self.ticks_s, edges_ms / MS_PER_S)
        before[-1] = len(self.ticks_s)
        return np.diff(before)

    def draw(self, span: Span, rng: Rng) -> Times:
        """Return the ticks with their lateness."""
        return late_ms(self.ticks_s[span.first : span.first + span.count], self.jitter_s, self.length_s, rng)


@dataclass(frozen=True, slots=True)
class DriftCourse:
    """A timer whose period drifts at a steady pace in the logarithm.

    Attributes:
        first_s: the first period.
        pace: logarithm of the period's growth in a second.
        phase: where the first tick lies, as a share of the first period.
        ticks: how many periods there are.
    """

    first_s: float
    pace: float
    phase: float
    ticks: float

    def split(self, edges_ms: Times, rng: Rng) -> Counts:
        """Count the ticks before each edge."""
        del rng
        edges_s = edges_ms / MS_PER_S
        passed = (-np.expm1(-self.pace * edges_s) / self.pace if self.pace else edges_s) / self.first_s
        passed[-1] = self.ticks
        return np.diff(np.maximum(np.ceil(passed - self.phase), 0)).astype(np.int64)

    def draw(self, span: Span, rng: Rng) -> Times:
        """Invert the integral of 1 / (first_s · exp(pace · t)), the ticks until t."""
        del rng
        positions_s = (self.phase + np.arange(span.first, span.first + span.count, dtype=np.float64)) * self.first_s
        times_s: Times = -np.log1p(-self.pace * positions_s) / self.pace if self.pace else positions_s
        return times_s * MS_PER_S


def late_ms(ticks_s: Times, jitter_s: float, length_s: float, rng: Rng) -> Times:
    """Let each tick be late by up to `jitter_s`, but not past the length."""
    late_s: Times = rng.random(len(ticks_s)) * np.minimum(jitter_s, length_s - ticks_s)
    return (ticks_s + late_s) * MS_PER_S


def shares(positions: Times) -> Times:
    """Turn ascending positions into shares between each two, which add up to 1; without any load the last has all."""
    parts: Times = np.diff(positions)
    if parts.sum() <= 0:
        parts[-1] = 1.0
    parts /= parts.sum()
    return parts
