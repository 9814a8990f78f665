"""Generated traces drawn block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from pilotlight.traces import KINDS, blocks, generate, read_trace
from pilotlight.traces.blocks import block_edges_ms
from pilotlight.traces.command import trace as trace_command
from pilotlight.traces.courses import Span
from pilotlight.traces.generators import Load, load_named
from pilotlight.traces.synth import SynthSettings

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.traces.trace import Trace

SMALL = 300
BY_CHANCE = {"contest", "azure", "bursty", "on_off"}
"""Kinds whose rate is drawn, function by function, between the requests of one block."""


def small_load(kind: str) -> Load:
    return load_named(kind, seed=5, functions=8, requests=None if KINDS[kind].requests is None else 3_000)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_REQUESTS", SMALL)


def per_function(trace: Trace) -> list[int]:
    return np.bincount(trace.function, minlength=len(trace.functions)).tolist()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", KINDS)
def test_streamed_blocks_are_the_trace_in_order(kind: str) -> None:
    load = small_load(kind)
    stream = load.stream()
    parts = list(stream.blocks)
    assert len(parts) > 3 or kind == "one_shot"
    whole = load.stream().whole()
    for name in ("arrival_ns", "function", "duration_ns", "status"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    arrivals = np.concatenate([part.arrival_ns for part in parts])
    assert (np.diff(arrivals.astype(np.int64)) >= 0).all()
    assert (stream.origin_ms, stream.functions.keys) == (whole.origin_ms, whole.functions.keys)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_change_neither_who_is_called_nor_the_load(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load = small_load(kind)
    one = load.stream().whole()
    monkeypatch.setattr(blocks, "BLOCK_REQUESTS", SMALL)
    many = load.stream().whole()
    assert per_function(one) == per_function(many)
    assert one.functions.keys == many.functions.keys
    assert one.functions.init_ns.tolist() == many.functions.init_ns.tolist()
    if kind not in BY_CHANCE:
        before_half = [np.mean(trace.arrival_ns < load.sizes.length_s / 2 * 1e9) for trace in (one, many)]
        assert before_half[0] == pytest.approx(before_half[1], abs=0.2 if len(one) < 100 else 0.05)


@pytest.mark.parametrize("kind", ["constant", "drifting_period"])
def test_timers_tick_alike_in_one_block_and_in_many(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    for size in (1 << 20, SMALL):
        monkeypatch.setattr(blocks, "BLOCK_REQUESTS", size)
        # The first function's phase is drawn before anything depends on the blocks.
        trace = generate(kind, seed=5, functions=2, length_s=5_000.0).trace
        arrivals = trace.arrival_ns[trace.function == 0]
        times.append(np.diff(arrivals) / 1e9)
    assert times[0] == pytest.approx(times[1], abs=0.0021)


@pytest.mark.usefixtures("small_blocks")
def test_late_requests_wait_for_their_block() -> None:
    trace = generate("periodic:jitter=10m", seed=1, functions=20).trace
    expected = generate("periodic:jitter=0", seed=1, functions=20).trace
    assert per_function(trace) == per_function(expected)
    assert (np.diff(trace.arrival_ns.astype(np.int64)) >= 0).all()


def test_blocks_are_bounded_by_what_their_plan_takes() -> None:
    sizes = SynthSettings(functions=1_000_000, requests=1_000_000_000, length_s=86_400)
    assert len(block_edges_ms(sizes, sizes.requests)) - 1 == blocks.MAX_PLANNED // 1_000_000
    sizes = SynthSettings(functions=100, requests=100_000_000, length_s=86_400)
    assert len(block_edges_ms(sizes, sizes.requests)) - 1 == 96
    assert len(block_edges_ms(SynthSettings(requests=1_000_000_000, length_s=1), 10**9)) - 1 <= 1_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_course_splits_into_what_it_draws(kind: str) -> None:
    load = small_load(kind)
    rng = np.random.default_rng(1)
    edges_ms = np.floor(np.linspace(0, load.sizes.length_s * 1000, 8))
    for _, course in load.kind.law(load.sizes, rng, **load.values):
        counts = course.split(edges_ms, rng)
        first = 0
        for low, high, count in zip(edges_ms[:-1], edges_ms[1:], counts.tolist(), strict=True):
            times = course.draw(Span(low, high, first, count), rng)
            assert len(times) == count
            if count:
                # Ticks are up to some seconds late; nothing is early.
                assert low - 1e-6 <= times.min()
                assert times.max() <= high + 2_000
            first += count


def test_command_streams_parquet_that_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--kind", "bursty", "--requests", "3000", "--functions", "5", "--seed", "4", "--bad", "0.1"]
    monkeypatch.setattr(blocks, "BLOCK_REQUESTS", SMALL)
    result = CliRunner().invoke(
        trace_command, ["synth", str(tmp_path / "out"), *options, "--to", "parquet"], catch_exceptions=False
    )
    assert "3000 requests, 5 functions" in result.output
    read = read_trace(tmp_path / "out")
    made = generate("bursty", requests=3_000, functions=5, seed=4, bad_share=0.1).trace
    for name in ("arrival_ns", "function", "duration_ns", "status"):
        assert np.array_equal(getattr(read.trace, name), getattr(made, name))
    assert read.trace.functions.keys == made.functions.keys
    assert read.trace.origin_ms == made.origin_ms
    assert read.source["made_from"]["load"] == "bursty"
