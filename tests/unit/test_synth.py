"""The generator of contest-like load, and `pilotlight trace synth`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from pilotlight.errors import TraceError
from pilotlight.traces import SynthSettings, Trace, read_contest, synthesize
from pilotlight.traces.command import trace as trace_command
from pilotlight.traces.synth import MEMORY_MIX, RUNTIMES

if TYPE_CHECKING:
    from pathlib import Path

NS_PER_S = 1_000_000_000


def digest(trace: Trace) -> str:
    functions = trace.functions
    columns = (trace.arrival_ns, trace.function, trace.duration_ns, trace.status)
    table = (functions.timeout_s, functions.memory_mb, functions.init_ns)
    data = b"".join(column.tobytes() for column in columns + table)
    return hashlib.sha256(data + repr((functions.keys, functions.runtimes, trace.origin_ms)).encode()).hexdigest()


def shares(trace: Trace) -> np.ndarray[Any, np.dtype[np.float64]]:
    counts = np.sort(np.bincount(trace.function))[::-1]
    found: np.ndarray[Any, np.dtype[np.float64]] = counts / counts.sum()
    return found


def test_same_settings_give_the_same_trace() -> None:
    settings = SynthSettings(functions=100, requests=5_000, length_s=300, seed=3, bad_share=0.02)
    assert digest(synthesize(settings)) == digest(synthesize(settings))


def test_every_setting_changes_the_trace() -> None:
    base: dict[str, Any] = {"functions": 100, "requests": 5_000, "length_s": 300.0, "seed": 3, "bad_share": 0.02}
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"functions": 101},
        {"requests": 5_001},
        {"length_s": 301.0},
        {"seed": 4},
        {"bad_share": 0.5},
    )
    assert len({digest(synthesize(SynthSettings(**(base | change)))) for change in changes}) == len(changes)


@pytest.mark.parametrize(
    ("functions", "requests", "length_s"),
    [(1, 1, 1.0), (1, 500, 5.0), (613, 100, 10.0), (613, 535, 1200.0), (40, 20_000, 7.5), (300, 400, 3600.0)],
)
def test_requests_and_length_are_exact(functions: int, requests: int, length_s: float) -> None:
    trace = synthesize(SynthSettings(functions=functions, requests=requests, length_s=length_s))
    assert len(trace) == requests
    assert len(trace.functions) == functions
    assert trace.length_ns < length_s * NS_PER_S
    assert not trace.arrival_ns.any() or int(trace.arrival_ns[0]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_popularity_follows_the_third_set(seed: int) -> None:
    trace = synthesize(SynthSettings(seed=seed))
    assert trace.called == 535
    first, second, *_rest = shares(trace)
    assert 0.20 < first < 0.30
    assert 0.11 < second < 0.19
    assert shares(trace)[:15].sum() > 0.8
    assert np.median(np.bincount(trace.function)[np.unique(trace.function)]) <= 20


def test_memory_runtime_and_init_follow_their_tables() -> None:
    functions = synthesize(SynthSettings(functions=2_000, requests=2_000)).functions
    assert set(functions.memory_mb.tolist()) == set(MEMORY_MIX)
    assert (functions.memory_mb == 128).mean() == pytest.approx(0.36, abs=0.04)
    assert set(functions.runtimes) == set(RUNTIMES)
    runtimes = np.array(functions.runtimes)
    for name in ("custom", "nodejs", "python"):
        init_ms = functions.init_ns[runtimes == name] / 1e6
        law = RUNTIMES[name].init_ms
        assert np.median(init_ms) == pytest.approx(law.median, rel=0.25)
        assert law.low <= init_ms.min() <= init_ms.max() <= law.high


def test_timers_tick_at_their_period() -> None:
    trace = synthesize(SynthSettings(requests=60_000, length_s=3600))
    steady = 0
    for function in np.unique(trace.function):
        gaps_s = np.diff(trace.arrival_ns[trace.function == function]) / NS_PER_S
        if len(gaps_s) >= 10 and np.abs(gaps_s - np.median(gaps_s)).max() <= 0.01:
            assert round(float(np.median(gaps_s))) in {30, 60, 120, 300}
            steady += 1
    assert steady >= 20


def test_load_is_burstier_than_a_poisson_process() -> None:
    trace = synthesize(SynthSettings())
    top = np.bincount(trace.function).argmax()
    arrivals = (trace.arrival_ns[trace.function == top] // NS_PER_S).astype(np.int64)
    per_minute = np.bincount(arrivals // 60)
    assert per_minute.var() / per_minute.mean() > 5


def test_bad_share_is_met() -> None:
    assert not synthesize().bad.any()
    assert synthesize(SynthSettings(bad_share=0.1)).bad.mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"functions": 0},
        {"requests": 0},
        {"length_s": 0.5},
        {"length_s": float("nan")},
        {"seed": -1},
        {"bad_share": 1.5},
        {"bad_share": float("nan")},
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(TraceError, match=next(iter(wrong))):
        SynthSettings(**wrong)


def test_command_writes_a_data_set_that_reads_back(tmp_path: Path) -> None:
    options = ["--seed", "5", "--functions", "30", "--requests", "700", "--length", "2m", "--bad", "0.1", "--gzip"]
    result = CliRunner().invoke(trace_command, ["synth", str(tmp_path / "out"), *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metas.gz", "requests.gz"]
    made = synthesize(SynthSettings(functions=30, requests=700, length_s=120, seed=5, bad_share=0.1))
    assert digest(read_contest(tmp_path / "out")) == digest(made)
