"""Generated load of every kind, and `pilotlight trace synth --kind`, `pilotlight trace kinds`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from pilotlight import cli
from pilotlight.errors import TraceError
from pilotlight.traces import KINDS, SynthSettings, Trace, generate, read_contest, synthesize
from pilotlight.traces.command import trace as trace_command
from pilotlight.units import format_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

S = 1_000_000_000
TIMERS = [name for name, kind in KINDS.items() if kind.requests is None]
COUNTED = [name for name in KINDS if name not in TIMERS]


def digest(trace: Trace) -> str:
    functions = trace.functions
    columns = (trace.arrival_ns, trace.function, trace.duration_ns, trace.status)
    table = (functions.timeout_s, functions.memory_mb, functions.init_ns)
    data = b"".join(column.tobytes() for column in columns + table)
    return hashlib.sha256(data + repr((functions.keys, functions.runtimes, trace.origin_ms)).encode()).hexdigest()


def times_s(trace: Trace, function: int) -> NDArray[np.float64]:
    """Return the arrivals of one function, on the generator's clock."""
    start_s = (trace.origin_ms - 1_700_000_000_000) / 1000
    return start_s + trace.arrival_ns[trace.function == function] / S


def variation(gaps: NDArray[np.float64]) -> float:
    return float(gaps.std() / gaps.mean())


def variations(spec: str, **sizes: Any) -> list[float]:  # noqa: ANN401 - whatever the generator takes
    """Return the coefficients of variation of the gaps of the busiest functions."""
    trace = generate(spec, **sizes).trace
    return [variation(np.diff(times_s(trace, function))) for function in range(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_the_whole_trace(kind: str) -> None:
    one, same, other = (generate(kind, seed=seed).trace for seed in (3, 3, 4))
    assert digest(one) == digest(same)
    assert digest(one) != digest(other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("functions", "length_s"), [(1, 600.0), (7, 300.0), (60, 1000.5)])
def test_sizes_are_met(kind: str, functions: int, length_s: float) -> None:
    made = generate(kind, functions=functions, length_s=length_s)
    assert len(made.trace.functions) == functions
    assert made.trace.length_ns < length_s * S
    assert made.source["functions"] == functions
    assert made.source["requests"] == len(made.trace)


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("requests", [1, 13, 5_000])
def test_number_of_requests_is_exact(kind: str, requests: int) -> None:
    trace = generate(kind, functions=20, requests=requests).trace
    assert len(trace) == requests
    assert trace.called == (min(requests, 20) if kind != "contest" else min(requests, 17))


def test_zipf_popularity_falls_with_the_rank_to_the_exponent() -> None:
    counts = np.bincount(generate("zipf:exponent=2", functions=50, requests=100_000).trace.function)
    ranks = np.arange(1, 51)
    assert counts / counts.sum() == pytest.approx(ranks**-2.0 / (ranks**-2.0).sum(), abs=0.001)


@pytest.mark.parametrize("seed", range(3))
def test_azure_kind_follows_the_published_marginals(seed: int) -> None:
    trace = generate("azure", functions=2_000, requests=400_000, seed=seed).trace
    counts = np.bincount(trace.function, minlength=2_000)
    assert counts.min() >= 1
    by_rank = np.sort(counts)
    assert by_rank[: round(0.81 * 2_000)].sum() / len(trace) == pytest.approx(0.005, abs=0.003)
    assert by_rank[-20:].sum() / len(trace) > 0.4
    means_s = np.log(np.bincount(trace.function, weights=trace.duration_ns) / counts / 1e9)
    assert np.mean(means_s) == pytest.approx(-0.38, abs=0.2)
    assert np.std(means_s) == pytest.approx(2.36, rel=0.07)
    memory_mb = trace.functions.memory_mb
    assert np.median(memory_mb) == pytest.approx(107.083 * (0.5 ** (-1 / 0.221) - 1) ** (1 / 11.652), rel=0.05)
    assert np.quantile(memory_mb, 0.9) == pytest.approx(107.083 * (0.1 ** (-1 / 0.221) - 1) ** (1 / 11.652), rel=0.1)


def test_cron_jobs_tick_when_their_expression_says() -> None:
    # The clock starts on Tuesday, 14 November 2023, 22:13:20 UTC.
    spec = "cron:schedule=0,30 9-10 * * 1-5|*/15 * * * *,jitter=0"
    trace = generate(spec, functions=2, length_s=4 * 86_400.0).trace
    weekdays, quarters = times_s(trace, 0), times_s(trace, 1)
    to_midnight = 6_400
    expected = [to_midnight + day * 86_400 + at for day in range(3) for at in (32_400, 34_200, 36_000, 37_800)]
    assert weekdays.tolist() == expected
    assert np.diff(quarters).tolist() == [900] * (len(quarters) - 1)
    assert quarters[0] == 100


def test_cron_jobs_are_late_by_the_jitter_at_most() -> None:
    sharp, late = (generate(f"cron:jitter={jitter}", functions=12).trace for jitter in ("0", "30s"))
    assert len(sharp) == len(late)
    for function in range(12):
        lateness = times_s(late, function) - times_s(sharp, function)
        assert 0 <= lateness.min() <= lateness.max() <= 30.001


@pytest.mark.parametrize("kind", TIMERS)
def test_kinds_without_a_number_of_requests_refuse_one_and_call_every_function(kind: str) -> None:
    with pytest.raises(TraceError, match=f"{kind}: the number of requests follows from"):
        generate(kind, requests=5)
    seconds = {"cron": 3 * 86_400.0}.get(kind, 30.0)
    assert generate(kind, functions=50, length_s=seconds).trace.called == 50


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "contest"])
def test_functions_differ_in_memory_init_and_duration(kind: str) -> None:
    trace = generate(kind).trace
    functions = trace.functions
    assert len(np.unique(functions.memory_mb)) >= 3
    assert len(np.unique(functions.init_ns)) >= 0.3 * len(functions)
    sums = np.bincount(trace.function, weights=trace.duration_ns, minlength=len(functions))
    means_ms = sums / np.bincount(trace.function, minlength=len(functions)) / 1e6
    assert means_ms.max() > 10 * means_ms.min()
    assert generate(kind, bad_share=0.2).trace.bad.mean() == pytest.approx(0.2, abs=0.05)


def test_contest_kind_is_the_contest_generator() -> None:
    settings = SynthSettings(functions=30, requests=900, length_s=90, seed=8, bad_share=0.1)
    made = generate("contest", functions=30, requests=900, length_s=90, seed=8, bad_share=0.1)
    assert digest(made.trace) == digest(synthesize(settings))


def test_poisson_gaps_vary_as_much_as_their_mean() -> None:
    assert variations("poisson") == pytest.approx([1] * 5, abs=0.1)


def test_constant_gaps_do_not_vary() -> None:
    assert max(variations("constant")) < 0.01


def test_bursty_gaps_vary_more_than_a_poisson_process() -> None:
    assert min(variations("bursty")) > 1.5


def test_bursty_rate_has_two_levels_of_the_factor() -> None:
    trace = generate("bursty:calm=100s,burst=100s,factor=20", functions=1, requests=400_000, length_s=20_000.0).trace
    counts = np.histogram(times_s(trace, 0), bins=2000, range=(0, 20_000))[0]
    low, high = np.quantile(counts, [0.25, 0.75])
    assert high / low == pytest.approx(20, rel=0.25)
    assert (counts > (low + high) / 2).mean() == pytest.approx(0.5, abs=0.15)


def test_on_off_load_is_silent_off_and_poisson_on() -> None:
    trace = generate("on_off:on=40s,off=160s", functions=4, requests=8_000, length_s=2000.0).trace
    for function in range(4):
        gaps = np.diff(times_s(trace, function))
        silences = gaps[gaps > 100]
        assert 9 <= len(silences) <= 10
        assert silences == pytest.approx([160] * len(silences), abs=8)
        assert variation(gaps[gaps <= 100]) == pytest.approx(1, abs=0.1)


def test_regimes_switch_rates_and_periods_by_the_factor() -> None:
    trace = generate("regime_switch:switches=3,factor=8", functions=4, requests=20_000, length_s=4000.0).trace
    for function in range(4):
        arrivals = times_s(trace, function)
        counts = np.histogram(arrivals, bins=4, range=(0, 4000))[0]
        ratios = counts[1:] / counts[:-1]
        up, down = (8, 1 / 8) if function < 2 else (1 / 8, 8)
        assert ratios == pytest.approx([up, down, up], rel=0.2)
        gaps = np.diff(arrivals[(arrivals > 1000) & (arrivals < 2000)])
        assert variation(gaps) == pytest.approx(0 if function % 2 else 1, abs=0.15)


@pytest.mark.parametrize(("drift", "shares"), [(4, (4, 1 / 4)), (1, (1, 1))])
def test_periods_drift_up_and_down_to_their_last_value(drift: float, shares: tuple[float, float]) -> None:
    trace = generate(f"drifting_period:drift={drift},period=20s", functions=2, length_s=20_000.0).trace
    for function, share in enumerate(shares):
        gaps = np.diff(times_s(trace, function))
        assert gaps[-1] / gaps[0] == pytest.approx(share, rel=0.03)
        assert 10 <= gaps[0] <= 40
        assert np.abs(np.diff(gaps) / gaps[1:]).max() < 0.01


def test_one_shot_functions_are_called_once() -> None:
    trace = generate("one_shot", functions=3000).trace
    assert np.bincount(trace.function).tolist() == [1] * 3000
    assert np.quantile(trace.arrival_ns / S, [0.25, 0.75]) == pytest.approx([900, 2700], rel=0.1)


def test_flash_crowd_bursts_a_hundredfold_where_it_was_put() -> None:
    trace = generate("flash_crowd:at=0.25,burst=20s", functions=5, requests=200_000, length_s=2000.0).trace
    arrivals = np.concatenate([times_s(trace, function) for function in range(5)])
    burst = ((arrivals >= 500) & (arrivals < 520)).sum() / 20
    steady = ((arrivals < 500) | (arrivals >= 520)).sum() / 1980
    assert burst / steady == pytest.approx(100, rel=0.05)


def test_periodic_ticks_keep_to_their_whole_minutes() -> None:
    trace = generate("periodic:jitter=1s", functions=60).trace
    found = set()
    for function in range(60):
        arrivals = times_s(trace, function)
        assert (arrivals % 60).max() <= 1.0
        gaps = np.rint(np.diff(arrivals) / 60)
        assert len(set(gaps.tolist())) == 1
        found.add(gaps[0])
    assert found == {1, 5, 15, 60}


def test_diurnal_load_peaks_at_noon_and_repeats() -> None:
    trace = generate("diurnal:depth=0.8", length_s=48 * 3600.0).trace
    arrivals = np.concatenate([times_s(trace, function) for function in range(20)])
    hours = np.histogram(arrivals, bins=48, range=(0, 48 * 3600))[0]
    assert hours[11:13].mean() / hours[[0, 23]].mean() == pytest.approx(1.8 / 0.2, rel=0.2)
    assert hours[:24] == pytest.approx(hours[24:], rel=0.2)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("bogus", "load of kind 'bogus' is not known; choose one of contest, azure, poisson"),
        ("poisson:rate=3", "poisson has no parameter 'rate'; it has none"),
        ("on_off:in=3s", "on_off has no parameter 'in'; it has on, off"),
        ("on_off:on=3", "on_off: on is '3', not a duration; write a number and its unit"),
        ("on_off:on=3s,on=4s", "on_off: on is given twice"),
        ("on_off:on=0", "on_off: on is 0; it must be from 1ms to 10000h"),
        ("on_off:off=2h", "on_off: the length is 3600 s; it must hold on and off, 7260 s together"),
        ("bursty:factor=x", "bursty: factor is 'x', not a number"),
        ("bursty:factor=nan", "bursty: factor is nan; it must be from 1 to"),
        ("bursty:calm=1ms,burst=1ms", "the load's rate turns every 0.002 s for 3600 s; at most 10000 turns fit"),
        ("regime_switch:switches=2.5", "regime_switch: switches is '2.5', not a whole number"),
        ("flash_crowd:at", "flash_crowd: at is '', not a number"),
        ("flash_crowd:", "flash_crowd has no parameter ''"),
        ("cron:schedule=61 * * * *", "cron: '61 * * * *' is no cron expression"),
        ("cron:schedule=0 0 29 2 *", "cron: no tick of 0 0 29 2 * lies in 86400 s; take a longer one"),
        ("cron:schedule=0,30 * * * *,schedule=1 * * * *", "cron: schedule is given twice"),
    ],
)
def test_wrong_specifications_are_named(spec: str, text: str) -> None:
    with pytest.raises(TraceError) as caught:
        generate(spec)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("size", ["functions", "requests", "length_s"])
def test_sizes_out_of_range_are_named(size: str) -> None:
    sizes: dict[str, Any] = {size: 0}
    with pytest.raises(TraceError, match=f"{size} is 0"):
        generate("poisson", **sizes)


def test_command_writes_load_of_a_kind_that_reads_back(tmp_path: Path) -> None:
    options = ["--kind", "on_off:on=10s,off=20s", "--seed", "2", "--functions", "5", "--requests", "300", "--length"]
    result = CliRunner().invoke(trace_command, ["synth", str(tmp_path / "out"), *options, "2m"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "300 requests of 5 functions in 120 s, seed 2" in result.output
    made = generate("on_off:on=10s,off=20s", functions=5, requests=300, length_s=120, seed=2)
    assert digest(read_contest(tmp_path / "out")) == digest(made.trace)
    sizes = {"functions": 5, "requests": 300, "length_s": 120, "seed": 2, "bad_share": 0.0}
    assert made.source == {"kind": "synth", "load": "on_off", "on_s": 10.0, "off_s": 20.0} | sizes


def test_command_ends_with_status_2_on_an_unknown_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", "synth", str(tmp_path / "out"), "--kind", "bogus"])
    assert ended.value.code == 2
    assert "load of kind 'bogus' is not known" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_kinds_are_listed_with_their_parameters() -> None:
    shown = CliRunner().invoke(trace_command, ["kinds"], catch_exceptions=False).stdout
    for name, kind in KINDS.items():
        assert f"{name}: {kind.summary}" in shown
        for parameter in kind.parameters:
            assert f"    {parameter.name}={parameter.shown(parameter.default)}  {parameter.meaning}" in shown
            assert f"({parameter.range})" in shown


def test_table_of_kinds_in_the_docs_is_complete() -> None:
    lines = (Path(__file__).resolve().parents[2] / "docs" / "traces.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("|")[1].strip(" `"): line for line in lines if line.startswith("| `")}
    for name, kind in KINDS.items():
        parameters = ", ".join(f"`{each.name}={each.shown(each.default)}`" for each in kind.parameters)
        requests = kind.requests or "-"
        sizes = f"{kind.functions}, {requests}, {format_duration(kind.length_s)}"
        cells = [cell.strip() for cell in rows[name].split("|")]
        assert cells[2] == parameters
        assert cells[4] == sizes
