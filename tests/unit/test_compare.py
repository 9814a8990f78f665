"""A comparison: what runs, in parallel as one after the other, and who wins which function."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from pilotlight import _core
from pilotlight.comparison.comparison import Comparison, compare_results
from pilotlight.comparison.families import FAMILIES, available, family_of, short_label
from pilotlight.comparison.frontier import Point
from pilotlight.comparison.functions import costs_frame, function_costs, summaries
from pilotlight.comparison.runs import run_parallel, usable_cores
from pilotlight.errors import ConfigError
from pilotlight.simulation.runner import SimulationSettings, check_policies, run_policies
from pilotlight.traces import SynthSettings, Trace, synthesize

SPECS = [
    *(f"fixed:keep_alive={window}" for window in ("1s", "5s", "30s", "300s")),
    *(f"break_even:lambda={price}" for price in ("0", "1", "10")),
]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return synthesize(SynthSettings(functions=60, requests=3_000, length_s=240, bad_share=0.02))


@pytest.fixture(scope="module")
def comparison(trace: Trace) -> Comparison:
    return compare_results(run_parallel(trace, SPECS), 1.0)


def test_everything_that_runs_by_default_parses() -> None:
    check_policies([spec for family in available().values() for spec in family.specs])


def test_memory_limits_grow_until_the_largest_function_fits_into_the_least() -> None:
    lru = available()["lru"]
    assert lru.specs_for(8 * 1024) == lru.specs
    assert lru.specs_for(140_000)[:2] == ("lru:memory=144GB", "lru:memory=288GB")
    assert available()["fixed"].specs_for(140_000) == available()["fixed"].specs


def test_every_listed_policy_runs_and_no_other() -> None:
    listed = [policy["name"] for policy in _core.policies()]
    assert sorted(available()) == sorted(listed)


def test_colours_tell_families_apart() -> None:
    assert len({family.colour for family in FAMILIES}) == len({family.policy for family in FAMILIES}) == len(FAMILIES)


def test_labels_leave_a_knob_with_a_unit_unnamed_and_keep_the_rest() -> None:
    assert short_label("fixed:keep_alive=5s") == "fixed 5s"
    assert short_label("fixed:keep_alive=5s,handoff=none") == "fixed keep_alive=5s,handoff=none"
    assert short_label("break_even:lambda=2") == "break_even lambda=2"
    assert short_label("break_even") == "break_even"
    assert family_of("break_even:lambda=2") == "break_even"


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_parallel_runs_give_what_sequential_ones_give(trace: Trace, jobs: int) -> None:
    settings = SimulationSettings(create_failure=0.05, seed=7)
    one_by_one = run_policies(trace, SPECS, settings)
    at_once = run_parallel(trace, SPECS, settings, jobs=jobs)
    assert [result.policy for result in at_once.results] == SPECS
    assert at_once.bound == one_by_one.bound
    for one, other in zip(one_by_one.results, at_once.results, strict=True):
        assert (one.contest, one.ledger, one.wait_ms, one.events) == (
            other.contest,
            other.ledger,
            other.wait_ms,
            other.events,
        )
        assert all(np.array_equal(one.functions[name], other.functions[name]) for name in one.functions)


def test_progress_reaches_the_end_of_every_policy(trace: Trace) -> None:
    played: dict[str, int] = {}
    run_parallel(trace, SPECS, progress=played.__setitem__)
    assert played == dict.fromkeys(SPECS, len(trace))


def test_error_in_one_run_ends_the_others(trace: Trace) -> None:
    started: list[str] = []

    def fail(policy: str, _played: int) -> None:
        started.append(policy)
        if policy == SPECS[1]:
            raise RuntimeError("enough")
        Event().wait(0.05)  # so slow that the error is noticed long before all have run

    with pytest.raises(RuntimeError, match="enough"):
        run_parallel(trace, [*SPECS, *(f"fixed:keep_alive={n}ms" for n in range(200))], progress=fail, jobs=2)
    assert len(started) < 200


def test_wrong_policy_is_found_before_the_first_run(trace: Trace) -> None:
    played: dict[str, int] = {}
    with pytest.raises(ConfigError, match="no_such_policy"):
        run_parallel(trace, [*SPECS, "no_such_policy"], progress=played.__setitem__)
    assert not played


def test_there_is_a_core_to_run_on() -> None:
    assert usable_cores() >= 1


def test_waste_is_slot_time_without_execution(comparison: Comparison) -> None:
    for standing in comparison.standings:
        ledger = standing.result.ledger["gb_s"]
        assert standing.point.waste_gb_s == pytest.approx(standing.result.slot_gb_s - ledger["busy"])
        assert standing.point.wait_s == standing.result.wait_s
        assert standing.above_bound_gb_s == pytest.approx(standing.point.waste_gb_s - comparison.bound.waste_gb_s)


def test_bound_makes_nobody_wait(comparison: Comparison) -> None:
    assert comparison.bound.wait_s == 0
    trace = comparison.simulation.trace
    assert comparison.bound == Point(0, comparison.simulation.bound.slot_gb_s - trace.execution_gb_s)


def test_policies_are_held_against_the_curves_of_other_families_only(comparison: Comparison) -> None:
    assert set(comparison.curves) == {"fixed", "break_even"}
    for standing in comparison.standings:
        assert set(standing.against) == {"fixed", "break_even"} - {standing.family}


def test_one_setting_makes_no_curve(trace: Trace) -> None:
    found = compare_results(run_parallel(trace, ["break_even", "fixed:keep_alive=5s"]), 1.0)
    assert found.curves == {}


def test_each_family_is_represented_by_its_least_cost(comparison: Comparison) -> None:
    assert comparison.cheapest(len(SPECS)) == comparison.standings
    shown = comparison.cheapest(3)
    assert [standing.family for standing in shown] == ["fixed", "break_even"]
    for standing in shown:
        family = [one for one in comparison.standings if one.family == standing.family]
        assert comparison.cost(standing) == min(map(comparison.cost, family))
    scores = [standing.result.contest.score for standing in comparison.best_scores(len(SPECS))]
    assert scores == sorted(scores, reverse=True)


def test_functions_add_up_to_the_policies(comparison: Comparison) -> None:
    costs = function_costs(comparison, comparison.standings)
    assert costs.requests.sum() == len(comparison.simulation.trace)
    assert costs.bound.sum() == pytest.approx(comparison.bound.waste_gb_s)
    for row, standing in enumerate(comparison.standings):
        assert costs.waste_gb_s[row].sum() == pytest.approx(standing.point.waste_gb_s)
        assert costs.wait_s[row].sum() == pytest.approx(standing.point.wait_s)
        assert costs.cost[row].sum() == pytest.approx(comparison.cost(standing))
    assert (np.diff(costs.spread) <= 0).all()


def test_someone_wins_and_someone_loses_where_costs_differ(comparison: Comparison) -> None:
    costs = function_costs(comparison, comparison.standings)
    differs = costs.spread > 1e-6
    assert differs.any()
    assert costs.wins[:, differs].any(axis=0).all()
    assert costs.losses[:, differs].any(axis=0).all()
    assert not (costs.wins & costs.losses).any()


def test_summary_names_the_function_where_a_policy_loses_most(comparison: Comparison) -> None:
    costs = function_costs(comparison, comparison.standings)
    for row, summary in enumerate(summaries(costs)):
        above = costs.cost[row] - costs.cost.min(axis=0)
        assert summary.above_best == pytest.approx(above.sum())
        assert summary.worst == pytest.approx(above.max())
        assert summary.worst_key == costs.keys[int(above.argmax())]
        assert summary.won == costs.wins[row].sum()


def test_policies_that_cost_the_same_neither_win_nor_lose(trace: Trace) -> None:
    twins = compare_results(run_parallel(trace, ["fixed:keep_alive=5s", "fixed:keep_alive=5000ms"]), 1.0)
    costs = function_costs(twins, twins.standings)
    assert not costs.wins.any()
    assert not costs.losses.any()
    assert [standing.dominated_by for standing in twins.standings] == [None, None]


def test_frame_has_a_row_for_each_function_and_policy(comparison: Comparison) -> None:
    costs = function_costs(comparison, comparison.standings)
    frame = costs_frame(costs)
    assert len(frame) == len(costs.keys) * len(SPECS)
    first = frame.filter(frame["key"] == costs.keys[0])
    assert first["policy"].to_list() == SPECS
    assert first["cost"].to_list() == costs.cost[:, 0].tolist()
