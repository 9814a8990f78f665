"""`pilotlight trace inspect`: what is measured of a trace, and what is planted is found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from pilotlight.inspection import inspect_trace
from pilotlight.inspection.levels import LEVELS
from pilotlight.traces import FunctionTable, Trace, generate, write_contest
from pilotlight.traces.command import trace as trace_command

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

S = 1_000_000_000


def made(
    arrival_s: list[float] | NDArray[np.float64],
    function: list[int] | None = None,
    duration_s: list[float] | None = None,
    status: list[int] | None = None,
) -> Trace:
    order = np.argsort(arrival_s, kind="stable")
    count = len(order)
    arrivals = np.rint(np.asarray(arrival_s)[order] * S).astype(np.uint64)
    functions = np.zeros(count, dtype=np.uint32) if function is None else np.array(function, dtype=np.uint32)[order]
    durations = np.full(count, 0.01) if duration_s is None else np.array(duration_s)[order]
    size = int(functions.max()) + 1
    return Trace(
        arrival_ns=arrivals - arrivals[0],
        function=functions,
        duration_ns=np.rint(durations * S).astype(np.uint64),
        status=np.full(count, 200, dtype=np.int32) if status is None else np.array(status, dtype=np.int32)[order],
        functions=FunctionTable(
            keys=tuple(f"f{row}" for row in range(size)),
            runtimes=("go",) * size,
            timeout_s=np.full(size, 60, dtype=np.uint32),
            memory_mb=np.arange(1, size + 1, dtype=np.uint64) * np.uint64(128),
            init_ns=np.full(size, S, dtype=np.uint64),
        ),
        origin_ms=0,
    )


def test_independent_arrivals_are_neither_bursty_nor_periodic_nor_holey() -> None:
    found = inspect_trace(generate("poisson", functions=5, requests=50_000, length_s=3600.0).trace)
    assert found.rates.mean == pytest.approx(50_000 / 3600, rel=0.01)
    assert found.burstiness.dispersion_second == pytest.approx(1, abs=0.1)
    assert found.burstiness.variation == pytest.approx(1, abs=0.03)
    assert found.burstiness.goh_barabasi == pytest.approx(0, abs=0.02)
    assert found.periods.load == ()
    assert found.periods.timer_functions == 0
    assert found.holes.spans == 0


def test_planted_burst_shows_in_the_peak_and_the_dispersion() -> None:
    steady = np.arange(0, 1000, 0.5)
    burst = 300 + np.arange(500) / 500
    found = inspect_trace(made(np.concatenate([steady, burst])))
    assert found.rates.peak_second == 502
    assert found.rates.peak_minute == pytest.approx(620 / 60)
    assert found.burstiness.dispersion_second > 50
    assert found.burstiness.goh_barabasi > -0.5
    assert inspect_trace(made(steady)).burstiness.goh_barabasi == pytest.approx(-1)


@pytest.mark.parametrize(("period_s", "share"), [(120.0, 0.9), (437.0, 0.6)])
def test_planted_period_of_the_load_is_found(period_s: float, share: float) -> None:
    rng = np.random.default_rng(1)
    times = np.arange(20_000) / 2
    rate = 20 * (1 + share * np.sin(2 * np.pi * times / period_s))
    arrivals = np.repeat(times, rng.poisson(rate / 2)) + 0.0
    found = inspect_trace(made(arrivals + rng.random(len(arrivals)) / 2))
    first = found.periods.load[0]
    assert first.period_s == pytest.approx(period_s, rel=0.01)
    # A rate of mean m and swing s has a variance of m + (m·s)²/2 in a second, of which the wave is the second part.
    expected = (20 * share) ** 2 / 2 / (20 + (20 * share) ** 2 / 2)
    assert first.share == pytest.approx(expected, abs=0.07)


def test_two_planted_periods_are_both_found() -> None:
    rng = np.random.default_rng(2)
    times = np.arange(0, 40_000, 1.0)
    rate = 30 * (1 + 0.6 * np.sin(2 * np.pi * times / 1000) + 0.35 * np.sin(2 * np.pi * times / 77))
    arrivals = np.repeat(times, rng.poisson(np.maximum(rate, 0)))
    found = [period.period_s for period in inspect_trace(made(arrivals + rng.random(len(arrivals)))).periods.load]
    assert any(period == pytest.approx(1000, rel=0.02) for period in found)
    assert any(period == pytest.approx(77, rel=0.02) for period in found)


def test_timers_are_told_from_other_functions() -> None:
    rng = np.random.default_rng(3)
    timers = [(np.arange(100) * 60 + phase, [row] * 100) for row, phase in enumerate((3.0, 17.0))]
    others = (rng.random(300) * 6000, [2] * 300)
    times = np.concatenate([*(times for times, _ in timers), others[0]])
    rows = [*timers[0][1], *timers[1][1], *others[1]]
    periods = inspect_trace(made(times, rows)).periods
    assert [(timer.period_s, timer.functions) for timer in periods.timers] == [(60.0, 2)]
    assert (periods.timer_functions, periods.timer_requests) == (2, 200)


def test_planted_hole_is_found_where_it_is() -> None:
    rng = np.random.default_rng(4)
    arrivals = np.sort(rng.random(5_000) * 1000)
    arrivals = arrivals[(arrivals < 400) | (arrivals > 430)]
    holes = inspect_trace(made(arrivals)).holes
    assert holes.spans == 1
    assert holes.longest[0].start_s == pytest.approx(400, abs=1.5)
    assert holes.longest[0].length_s == pytest.approx(30, abs=1.5)
    assert holes.total_s == holes.longest[0].length_s


def test_idle_gaps_are_those_of_each_demand_level() -> None:
    # Level 1 is in use at 0-10 and 15-20; level 2 at 2-4, 6-7 and 16-17: gaps of 5, and of 2 and 9. The second function
    # is apart: one gap of level 1, of 1 s.
    trace = made(
        [0, 2, 6, 15, 16, 100, 103],
        [0, 0, 0, 0, 0, 1, 1],
        [10, 2, 1, 5, 1, 2, 1],
    )
    levels = {each.level: each.gaps_s.tolist() for each in inspect_trace(trace).demand.levels}
    assert levels == {1: [1, 5], 2: [2, 9]}
    assert inspect_trace(trace).demand.peak == 2


def test_request_that_takes_no_time_or_follows_at_once_makes_no_nonsense() -> None:
    demand = inspect_trace(made([0, 0, 1, 2], None, [0, 1, 1, 0])).demand
    assert demand.peak == 2
    assert demand.levels[0].gaps_s.tolist() == [0, 0]


def test_popularity_and_sizes_are_counted() -> None:
    trace = made([0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 0, 0, 1, 2], [1, 1, 1, 1, 1, 1, 2, 9], [200] * 6 + [500, 404])
    found = inspect_trace(trace)
    assert found.popularity.top == {1: 0.75}
    assert found.popularity.once == 2
    # Counts 6, 1, 1 of mean 8/3: mean absolute difference over twice the mean.
    assert found.popularity.gini == pytest.approx((5 * 2 * 2) / 9 / (2 * 8 / 3))
    assert (found.duration_ms["p50"], found.duration_ms["max"]) == (1000, 9000)
    assert (found.memory_mb["min"], found.memory_mb["max"], found.request_memory_mb["p50"]) == (128, 384, 128)
    assert found.bad == {404: 1, 500: 1}


@pytest.mark.parametrize("arrivals", [[0.0], [0.0, 0.0], [0.0, 5.0]])
def test_tiny_traces_are_inspected(arrivals: list[float]) -> None:
    found = inspect_trace(made(arrivals))
    assert found.rates.mean == pytest.approx(len(arrivals) / max(arrivals[-1], 1))
    assert found.periods.load == ()
    json.dumps(found.document({}), allow_nan=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspect") / "set"
    write_contest(generate("on_off", functions=6, requests=3_000, bad_share=0.1).trace, path)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(trace_command, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_command_shows_tables_of_at_most_100_columns(folder: Path) -> None:
    shown = run("inspect", folder)
    for word in ("requests a second", "dispersion", "idle gaps s", "Gini", "end badly", "3,000"):
        assert word in shown
    assert max(map(len, shown.splitlines())) <= 110


def test_command_prints_json(folder: Path) -> None:
    found = json.loads(run("inspect", folder, "--json"))
    assert found["requests"] == 3_000
    assert found["source"]["kind"] == "contest"
    assert sum(found["bad"].values()) == pytest.approx(300, abs=60)
    assert [each["level"] for each in found["demand"]["idle_gaps_s"]][:1] == [LEVELS[0]]


@pytest.mark.parametrize(("suffix", "begins"), [(".html", b"<!DOCTYPE html>"), (".svg", b"<svg"), (".png", b"\x89PNG")])
def test_command_draws_pictures(folder: Path, tmp_path: Path, suffix: str, begins: bytes) -> None:
    path = tmp_path / f"out{suffix}"
    run("inspect", folder, "--plot", path)
    drawn = path.read_bytes()
    assert drawn.lstrip().startswith(begins)
    if suffix == ".html":
        assert b"https://cdn" not in drawn
    if suffix == ".svg":
        assert b"Idle gaps by demand level" in drawn


def test_command_refuses_other_pictures(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(trace_command, ["inspect", str(folder), "--plot", str(tmp_path / "out.pdf")])
    assert result.exit_code == 2
    assert "must end in .html, .svg or .png" in result.output
