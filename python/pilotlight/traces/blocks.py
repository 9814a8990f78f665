"""Draws generated traces block by block: bounded memory for any length, and the same trace however it is consumed.

A block is a part of the length that holds about a million requests; where blocks end follows from the sizes alone, so
that nothing a caller chooses moves a draw. What chance a request needs comes from its block's own source. A trace of
one block is drawn in one go while the functions are planned. Called by `generators`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.courses import MS_PER_S, Span, TimedCourse
from pilotlight.traces.synth import EPOCH_MS, STATUS_BAD, source_of_chance
from pilotlight.traces.trace import NS_PER_MS, STATUS_OK, Block, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pilotlight.traces.courses import Counts, Course, Rng, Times
    from pilotlight.traces.kinds import Kind
    from pilotlight.traces.synth import SynthSettings
    from pilotlight.traces.trace import FunctionTable

BLOCK_REQUESTS = 1 << 20
"""Requests that a block holds on average."""

MAX_PLANNED = 20_000_000
"""Functions times blocks: blocks grow rather than have the plan of who is called when take more."""

SHORTEST_PERIOD_S = 60
"""How often a function is called at most, to guess the size of a trace whose kind does not say."""

COLUMNS = ("arrival_ns", "function", "duration_ns", "status")
"""What generated requests have."""

SIGMA = 0.5
"""Spread of a function's durations about its mean, in the logarithm."""


@dataclass(frozen=True, slots=True)
class TraceStream:
    """A trace that is yet to be drawn.

    Attributes:
        functions: its function table.
        origin_ms: as of `Trace`.
        blocks: its requests; to be consumed once.
    """

    functions: FunctionTable
    origin_ms: int
    blocks: Iterator[Block]

    def whole(self) -> Trace:
        """Draw all of it."""
        blocks = list(self.blocks)
        columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in COLUMNS}
        return Trace(**columns, functions=self.functions, origin_ms=self.origin_ms)


class _Due(NamedTuple):
    """Requests of a block; `duration_ms` is None where durations are yet to be drawn."""

    arrival_ms: NDArray[np.int64]
    function: NDArray[np.uint32]
    duration_ms: Times | None

    def rows(self, which: slice | NDArray[np.int64]) -> _Due:
        """Take some of the rows."""
        duration_ms = None if self.duration_ms is None else self.duration_ms[which]
        return _Due(self.arrival_ms[which], self.function[which], duration_ms)


def stream(name: str, kind: Kind, sizes: SynthSettings, values: dict[str, Any]) -> TraceStream:
    """Begin a trace: draw its functions, plan its blocks, and draw the first one.

    Args:
        name: of the kind; keys begin with it.
        kind: what law.
        sizes: how much.
        values: the law's arguments.

    Raises:
        TraceError: the law refuses the sizes or values.
    """
    table_rng = source_of_chance(sizes.seed, 0)
    mean_ms = None if kind.mean_ms is None else kind.mean_ms.draw(table_rng, sizes.functions)
    functions = kind.draw_functions(sizes.functions, table_rng, kind.prefix or name)
    blocks = _blocks(kind, sizes, values, mean_ms)
    first = next((block for block in blocks if len(block.arrival_ns)), None)
    if first is None:
        raise TraceError(f"{name}: no request arrives in {sizes.length_s:g} s; take a greater length")
    first_ms = int(first.arrival_ns[0]) // NS_PER_MS
    blocks = chain([first], blocks)
    return TraceStream(functions, EPOCH_MS + first_ms, (_since(first_ms, block) for block in blocks))


def block_edges_ms(sizes: SynthSettings, requests: int | None) -> Times:
    """Say where blocks begin and end: evenly, at whole milliseconds."""
    length_ms = int(sizes.length_s * MS_PER_S)
    expected = sizes.functions * (1 + sizes.length_s / SHORTEST_PERIOD_S) if requests is None else requests
    blocks = min(math.ceil(expected / BLOCK_REQUESTS), max(1, MAX_PLANNED // sizes.functions), length_ms)
    return np.floor(np.linspace(0, length_ms, blocks + 1))


def _blocks(kind: Kind, sizes: SynthSettings, values: dict[str, Any], mean_ms: Times | None) -> Iterator[Block]:
    """Yield the blocks, arrivals counted from the clock's start."""
    # Where courses draw durations, all of a request comes from one source; else arrivals have one of their own.
    rest_rng = source_of_chance(sizes.seed, 2)
    law_rng = rest_rng if mean_ms is None else source_of_chance(sizes.seed, 1)
    edges_ms = block_edges_ms(sizes, None if kind.requests is None else sizes.requests)
    last = len(edges_ms) - 2
    carried: _Due | None = None
    for index, due in enumerate(_due(kind.law(sizes, law_rng, **values), edges_ms, law_rng, sizes.seed)):
        ordered = _in_order(carried, due, int(edges_ms[-1]) - 1)
        end = len(ordered.function) if index == last else int(np.searchsorted(ordered.arrival_ms, edges_ms[index + 1]))
        carried = ordered.rows(slice(end, None))
        yield _complete(ordered.rows(slice(end)), mean_ms, sizes.bad_share, rest_rng)
        rest_rng = source_of_chance(sizes.seed, 4, index + 1)


def _due(rows: Iterator[tuple[int, Course]], edges_ms: Times, rng: Rng, seed: int) -> Iterator[_Due]:
    """Yield what is due in each block, in any order; the first block is drawn while the functions are planned."""
    plan: list[tuple[int, Course, Counts]] = []
    parts = _Parts()
    low_ms, high_ms = edges_ms[:2].tolist()
    for row, course in rows:
        counts = course.split(edges_ms, rng)
        parts.add(row, course, Span(low_ms, high_ms, 0, int(counts[0])), rng)
        plan.append((row, course, counts))
    yield parts.joined()
    counts_by_block = np.array([counts for *_, counts in plan], dtype=np.int64)
    before = np.cumsum(counts_by_block, axis=1)
    for index in range(1, len(edges_ms) - 1):
        block_rng = source_of_chance(seed, 3, index)
        low_ms, high_ms = edges_ms[index : index + 2].tolist()
        parts = _Parts()
        for place in np.flatnonzero(counts_by_block[:, index]).tolist():
            row, course, _ = plan[place]
            span = Span(low_ms, high_ms, int(before[place, index - 1]), int(counts_by_block[place, index]))
            parts.add(row, course, span, block_rng)
        yield parts.joined()


class _Parts:
    """Requests of one block, function by function."""

    def __init__(self) -> None:
        self._times_ms: list[Times] = []
        self._functions: list[int] = []
        self._durations_ms: list[Times] = []

    def add(self, row: int, course: Course, span: Span, rng: Rng) -> None:
        """Draw a function's requests."""
        self._times_ms.append(course.draw(span, rng))
        self._functions.append(row)
        if isinstance(course, TimedCourse):
            self._durations_ms.append(course.durations_ms(span.count, rng))

    def joined(self) -> _Due:
        """Lay the functions' requests out one after the other."""
        if not self._functions:
            return _Due(np.empty(0, np.int64), np.empty(0, np.uint32), None)
        lengths = [len(times_ms) for times_ms in self._times_ms]
        return _Due(
            np.concatenate(self._times_ms).astype(np.int64),
            np.repeat(np.array(self._functions, dtype=np.uint32), lengths),
            np.concatenate(self._durations_ms) if self._durations_ms else None,
        )


def _in_order(carried: _Due | None, due: _Due, last_ms: int) -> _Due:
    """Put what is due into one order with what came late from the block before."""
    if carried is not None and len(carried.function):
        both = [carried, due] if len(due.function) else [carried]
        arrival_ms, function = (np.concatenate([part[column] for part in both]) for column in (0, 1))
        durations = [part.duration_ms for part in both if part.duration_ms is not None]
        due = _Due(arrival_ms, function, np.concatenate(durations) if durations else None)
    due = due._replace(arrival_ms=np.minimum(due.arrival_ms, last_ms))
    return due.rows(np.argsort(due.arrival_ms, kind="stable"))


def _complete(due: _Due, mean_ms: Times | None, bad_share: float, rng: Rng) -> Block:
    """Draw what the law left open."""
    duration_ms = due.duration_ms
    if mean_ms is not None:
        spread = np.exp(SIGMA * rng.standard_normal(len(due.function)) - SIGMA**2 / 2)
        duration_ms = mean_ms[due.function] * spread
    elif duration_ms is None:
        duration_ms = np.empty(0)
    bad = rng.random(len(due.function)) < bad_share
    return Block(
        due.arrival_ms.astype(np.uint64) * np.uint64(NS_PER_MS),
        due.function,
        np.rint(duration_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
        np.where(bad, STATUS_BAD, STATUS_OK).astype(np.int32),
    )


def _since(first_ms: int, block: Block) -> Block:
    """Count a block's arrivals from the trace's origin."""
    return block._replace(arrival_ns=block.arrival_ns - np.uint64(first_ms * NS_PER_MS))
