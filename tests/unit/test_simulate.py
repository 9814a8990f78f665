"""Simulation: policies over a trace, and the figures made of the engine's ledger."""

from __future__ import annotations

import numpy as np
import pytest

from pilotlight.errors import ConfigError
from pilotlight.simulation.frames import HELD_STATES, function_frame, request_frame
from pilotlight.simulation.runner import PolicyResult, Simulation, SimulationSettings, run_policies
from pilotlight.traces import FunctionTable, SynthSettings, Trace, synthesize

MS = 1_000_000
S = 1_000_000_000
SETTINGS = SimulationSettings(create_ms=100)
POLICIES = ["fixed:keep_alive=300s", "fixed:keep_alive=5s", "fixed:keep_alive=1s", "break_even"]


def trace_of(*rows: tuple[float, int, float, int], memory_mb: tuple[int, ...] = (1024,)) -> Trace:
    """Make a trace of (arrival s, function, duration s, status); every Init takes 400 ms."""
    arrival_s, function, duration_s, status = zip(*rows, strict=True)
    count = len(memory_mb)
    return Trace(
        arrival_ns=np.array([round(s * S) for s in arrival_s], dtype=np.uint64),
        function=np.array(function, dtype=np.uint32),
        duration_ns=np.array([round(s * S) for s in duration_s], dtype=np.uint64),
        status=np.array(status, dtype=np.int32),
        functions=FunctionTable(
            keys=tuple(f"f{n}" for n in range(count)),
            runtimes=("go",) * count,
            timeout_s=np.full(count, 60, dtype=np.uint32),
            memory_mb=np.array(memory_mb, dtype=np.uint64),
            init_ns=np.full(count, 400 * MS, dtype=np.uint64),
        ),
        origin_ms=0,
    )


def only(simulation: Simulation) -> PolicyResult:
    (result,) = simulation.results
    return result


@pytest.fixture(scope="module")
def synthetic() -> Simulation:
    trace = synthesize(SynthSettings(functions=80, requests=4_000, length_s=300, bad_share=0.02))
    return run_policies(trace, POLICIES)


def test_two_cold_starts_cost_what_one_counts_by_hand() -> None:
    simulation = run_policies(trace_of((0, 0, 1, 200), (10, 0, 1, 200)), ["fixed:keep_alive=5s"], SETTINGS)
    result = only(simulation)
    assert (result.ledger["warm_starts"], result.ledger["cold_starts"], result.failed) == (0, 2, 0)
    assert result.wait_s == 1.0
    assert result.ledger["gb_s"] == {"starting": 1.0, "idle": 10.0, "busy": 2.0, "retiring": 0.0, "leaked": 0.0}
    assert result.slot_gb_s == 13.0
    assert result.statistics == (2, 2, 1, 0, 13)
    assert result.contest.score == pytest.approx(50 * 2 / 13 + 50 * 2 / 3)
    assert result.wait_ms == pytest.approx({"p50": 500, "p95": 500, "p99": 500, "max": 500}, rel=1e-2)
    assert (result.peak_instances, result.peak_memory_mb) == (1, 1024)


def test_kept_instance_serves_the_next_request_at_once() -> None:
    result = only(run_policies(trace_of((0, 0, 1, 200), (10, 0, 1, 200)), ["fixed:keep_alive=60s"], SETTINGS))
    assert (result.ledger["warm_starts"], result.ledger["cold_starts"]) == (1, 1)
    assert result.requests["wait_ns"].tolist() == [500 * MS, 0]
    assert result.ledger["gb_s"]["idle"] == pytest.approx(8.5 + 60)


def test_bad_request_takes_its_instance_along() -> None:
    result = only(run_policies(trace_of((0, 0, 1, 500), (10, 0, 1, 200)), ["fixed:keep_alive=60s"], SETTINGS))
    assert result.ledger["cold_starts"] == 2
    assert result.ledger["gb_s"]["idle"] == pytest.approx(60)


def test_freed_instance_serves_the_waiting_request() -> None:
    result = only(run_policies(trace_of((0, 0, 1, 200), (1.4, 0, 1, 200)), ["fixed:keep_alive=60s"], SETTINGS))
    assert result.requests["outcome"].tolist() == [1, 2]
    assert result.requests["wait_ns"].tolist() == [500 * MS, 100 * MS]


def test_clairvoyant_starts_just_in_time_and_bridges_short_gaps() -> None:
    simulation = run_policies(trace_of((0, 0, 1, 200), (1.2, 0, 1, 200), (10, 0, 1, 200)), ["break_even"], SETTINGS)
    assert simulation.bound.slot_gb_s == pytest.approx(0.5 + 1 + 0.2 + 1 + 0.5 + 1)
    assert simulation.bound.cold == 50
    assert simulation.bound.resource == pytest.approx(50 * 3 / 4)
    assert simulation.bound_gb_s.tolist() == pytest.approx([4.2])
    distance = only(simulation).distance
    assert distance.score == pytest.approx(simulation.bound.score - only(simulation).contest.score)
    assert distance.gb_s == pytest.approx(only(simulation).slot_gb_s - 4.2)


def test_run_ends_with_its_tail_and_execution_counts_until_then() -> None:
    settings = SimulationSettings(create_ms=100, tail_s=10)
    result = only(run_policies(trace_of((0, 0, 100, 200)), ["fixed:keep_alive=60s"], settings))
    assert result.slot_gb_s == pytest.approx(10)
    assert result.statistics.execution_s == result.statistics.execution_gb_s == 9
    assert result.contest.resource <= 50


def test_request_still_waiting_at_the_end_has_failed() -> None:
    settings = SimulationSettings(create_ms=100, tail_s=0.2)
    result = only(run_policies(trace_of((0, 0, 1, 200)), ["fixed:keep_alive=60s"], settings))
    assert result.failed == 1
    assert result.wait_s == pytest.approx(0.2)
    assert result.contest.score == 0


def test_ledger_accounts_for_every_request_and_second(synthetic: Simulation) -> None:
    trace = synthetic.trace
    for result in synthetic.results:
        ledger = result.ledger
        assert ledger["warm_starts"] + ledger["cold_starts"] + ledger["handoffs"] + result.failed == len(trace)
        assert result.wait_s == pytest.approx(sum(ledger["wait_s"].values()))
        end_ns = int(trace.arrival_ns[-1]) + 300 * S
        served_until = trace.arrival_ns + result.requests["wait_ns"] + trace.duration_ns
        executed_ns = trace.duration_ns - np.maximum(served_until, end_ns) + np.uint64(end_ns)
        gb_s = (executed_ns / S * trace.functions.memory_gb[trace.function]).sum()
        assert ledger["gb_s"]["busy"] == pytest.approx(gb_s)
        assert result.slot_gb_s >= ledger["gb_s"]["busy"]


def test_no_policy_without_waiting_holds_less_than_the_bound(synthetic: Simulation) -> None:
    for result in synthetic.results:
        waits_gb_s = (result.functions["wait_s"] * synthetic.trace.functions.memory_gb).sum()
        assert result.slot_gb_s + waits_gb_s >= synthetic.bound.slot_gb_s * 0.999


def test_longer_keep_alive_waits_less_and_holds_more(synthetic: Simulation) -> None:
    long, middle, short, _break_even = synthetic.results
    assert long.wait_s < middle.wait_s < short.wait_s
    assert long.slot_gb_s > middle.slot_gb_s > short.slot_gb_s


def test_same_run_gives_the_same_figures(synthetic: Simulation) -> None:
    again = run_policies(synthetic.trace, POLICIES)
    for one, two in zip(synthetic.results, again.results, strict=True):
        assert (one.contest, one.ledger, one.wait_ms, one.events) == (two.contest, two.ledger, two.wait_ms, two.events)
        assert np.array_equal(one.requests["wait_ns"], two.requests["wait_ns"])


def test_functions_add_up_to_the_whole(synthetic: Simulation) -> None:
    for result in synthetic.results:
        frame = function_frame(synthetic, result)
        assert frame["requests"].sum() == len(synthetic.trace)
        assert frame["wait_s"].sum() == pytest.approx(result.wait_s)
        assert frame["slot_gb_s"].sum() == pytest.approx(result.slot_gb_s)
        assert frame["bound_gb_s"].sum() == pytest.approx(synthetic.bound.slot_gb_s)
        assert frame["lost_points"].sum() == pytest.approx(100 - result.contest.resource - result.contest.cold)
        assert frame["lost_points"].is_sorted(descending=True)
        states = frame.select([f"{state}_gb_s" for state in (*HELD_STATES, "busy")])
        assert states.to_numpy().sum() == pytest.approx(result.slot_gb_s)


def test_request_frame_names_what_each_request_met() -> None:
    simulation = run_policies(trace_of((0, 0, 1, 200), (1.4, 0, 1, 500)), ["fixed:keep_alive=60s"], SETTINGS)
    rows = request_frame(simulation, only(simulation)).to_dicts()
    assert [row["outcome"] for row in rows] == ["cold_start", "handoff"]
    assert [row["wait_ns"] for row in rows] == [500 * MS, 100 * MS]
    assert [row["bad"] for row in rows] == [False, True]
    assert {row["key"] for row in rows} == {"f0"}


def test_failed_starts_fail_requests_and_the_seed_decides_which() -> None:
    trace = synthesize(SynthSettings(functions=30, requests=1_000, length_s=120))
    policy = ["fixed:keep_alive=1s"]
    some = only(run_policies(trace, policy, SimulationSettings(create_failure=0.3, seed=1)))
    same = only(run_policies(trace, policy, SimulationSettings(create_failure=0.3, seed=1)))
    other = only(run_policies(trace, policy, SimulationSettings(create_failure=0.3, seed=2)))
    assert some.ledger == same.ledger
    assert some.ledger != other.ledger
    assert some.ledger["starts_failed"] > 0
    none_start = only(run_policies(trace, policy, SimulationSettings(create_failure=1.0)))
    assert none_start.failed == len(trace)
    assert none_start.contest.score == 0


def test_wrong_policy_is_found_before_the_first_run() -> None:
    played: list[str] = []
    with pytest.raises(ConfigError, match="no_such_policy"):
        run_policies(
            trace_of((0, 0, 1, 200)),
            ["break_even", "no_such_policy"],
            progress=lambda policy, _played: played.append(policy),
        )
    assert not played


@pytest.mark.parametrize(
    "wrong", [{"create_ms": -1.0}, {"tail_s": float("nan")}, {"create_failure": 1.1}, {"init_failure": -0.1}], ids=str
)
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SimulationSettings(**wrong)  # type: ignore[arg-type]
