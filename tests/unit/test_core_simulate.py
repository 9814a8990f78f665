"""The simulator as Python sees it: columns in, columns out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pilotlight._core import SimReport, clairvoyant, simulate
from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

S = 1_000_000_000


def columns(**changed: object) -> dict[str, Any]:
    """Two functions of 1 GB, of which the second is never called; a start takes 0.5 s."""
    table: dict[str, Any] = {
        "arrival_ns": np.array([0, 10 * S, 12 * S], np.uint64),
        "function": np.zeros(3, np.uint32),
        "duration_ns": np.full(3, S, np.uint64),
        "bad": np.zeros(3, np.bool_),
        "memory_mb": np.full(2, 1024, np.uint64),
        "create_ns": np.full(2, S // 10, np.uint64),
        "init_ns": np.full(2, 4 * S // 10, np.uint64),
    }
    return {**table, **changed}


def run(*, policy: str = "fixed:keep_alive=5s", tail_ns: int = 2 * S, **changed: object) -> SimReport:
    options: dict[str, Any] = {"keys": ["a", "b"], "policy": policy, "tail_ns": tail_ns}
    return simulate(**{**columns(), **options, **changed})


def test_a_run_accounts_for_every_request_and_second() -> None:
    report = run(per_request=True)
    ledger = report.ledger
    assert (ledger["assigns"], ledger["cold_starts"], ledger["warm_starts"]) == (3, 2, 1)
    assert ledger["wait_s"]["cold_start"] == 1.0
    # Idle: 5 s of keep-alive, 0.5 s until the third request, 1 s until the end.
    assert ledger["gb_s"] == {"starting": 1.0, "idle": 6.5, "busy": 3.0, "retiring": 0.0, "leaked": 0.0}
    assert report.requests is not None
    assert report.requests["wait_ns"].tolist() == [S // 2, S // 2, 0]
    assert report.requests["outcome"].tolist() == [1, 1, 0]
    assert report.requests["wait_ns"].dtype == np.uint64
    assert report.requests["outcome"].dtype == np.uint8
    assert (report.peak_instances, report.peak_memory_mb, report.end_ns) == (1, 1024, 14 * S)
    assert report.wait_quantiles_ns["max"] == S // 2
    assert report.wait_quantiles_ns["p50"] == pytest.approx(S // 2, rel=1e-3)
    assert report.events > 0


def test_functions_are_columns_in_the_order_of_the_table() -> None:
    functions = run().functions
    expected = {
        "assigns": [3, 0],
        "warm_starts": [1, 0],
        "cold_starts": [2, 0],
        "handoffs": [0, 0],
        "failed": [0, 0],
        "wait_s": [1.0, 0.0],
        "cold_start_wait_s": [1.0, 0.0],
        "handoff_wait_s": [0.0, 0.0],
        "failed_wait_s": [0.0, 0.0],
        "starting_gb_s": [1.0, 0.0],
        "idle_gb_s": [6.5, 0.0],
        "busy_gb_s": [3.0, 0.0],
        "retiring_gb_s": [0.0, 0.0],
        "leaked_gb_s": [0.0, 0.0],
    }
    assert {name: column.tolist() for name, column in functions.items() if name in expected} == expected
    assert {column.dtype.name for column in functions.values()} == {"uint64", "float64"}


def test_function_columns_add_up_to_the_ledger() -> None:
    report = run()
    counts = {name for name, column in report.functions.items() if column.dtype == np.uint64}
    assert {"starts", "starts_ahead", "starts_cancelled", "held_back", "retired"} < counts
    assert {name: report.functions[name].sum() for name in counts} == {name: report.ledger[name] for name in counts}
    for cause, wait_s in report.ledger["wait_s"].items():
        assert report.functions[f"{cause}_wait_s"].sum() == wait_s


def test_requests_are_kept_only_when_asked_for() -> None:
    assert run().requests is None


def test_an_empty_trace_costs_nothing() -> None:
    nothing = {
        name: column[:0] for name, column in columns().items() if name not in {"memory_mb", "create_ns", "init_ns"}
    }
    report = run(per_request=True, **nothing)
    assert (report.end_ns, report.ledger["assigns"], report.wait_quantiles_ns["max"]) == (0, 0, 0)
    assert clairvoyant(**columns(**nothing))["slot_gb_s"] == 0.0


def test_equal_seeds_give_equal_runs() -> None:
    arrivals = np.arange(2_000, dtype=np.uint64) * np.uint64(7 * S)
    many = {
        "arrival_ns": arrivals,
        "function": np.zeros(len(arrivals), np.uint32),
        "duration_ns": np.full(len(arrivals), S, np.uint64),
        "bad": np.zeros(len(arrivals), np.bool_),
    }
    first, second, other = (run(create_failure=0.2, init_failure=0.2, seed=seed, **many).ledger for seed in (1, 1, 2))
    assert first == second
    assert first["starts_failed"] > 0
    assert first != other


def test_progress_is_told_and_its_error_ends_the_run() -> None:
    n = 100_000
    told: list[int] = []

    def blocks() -> Iterator[tuple[Any, ...]]:
        # As many as it takes, however fast the machine is.
        for first in itertools.count(0, n):
            arrival_ns = np.arange(first, first + n, dtype=np.uint64) * np.uint64(S)
            yield arrival_ns, np.zeros(n, np.uint32), np.full(n, S // 2, np.uint64), np.zeros(n, np.bool_)

    def progress(played: int) -> None:
        told.append(played)
        if len(told) == 2:
            raise KeyboardInterrupt

    columns_left_out = dict.fromkeys(("arrival_ns", "function", "duration_ns", "bad"))
    with pytest.raises(KeyboardInterrupt):
        run(progress=progress, blocks=blocks(), **columns_left_out)
    assert 0 < told[0] < told[1]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"arrival_ns": np.array([0, 9, 8], np.uint64)}, "row 2 arrives at 8 ns"),
        ({"function": np.array([0, 2, 3], np.uint32)}, "row 1 is of function 2, but the function table has 2 rows"),
        ({"bad": np.zeros(2, np.bool_)}, "column `bad` has 2 rows"),
        ({"init_ns": np.zeros(3, np.uint64)}, "column `init_ns` has 3 rows, the function table has 2"),
        ({"memory_mb": np.array([1, 0], np.uint64)}, "row 1 of the function table: memory_mb is 0"),
        ({"duration_ns": np.zeros(6, np.uint64)[::2]}, "column `duration_ns` is not contiguous"),
    ],
)
def test_a_wrong_column_is_named(changed: dict[str, Any], expected: str) -> None:
    for call in (lambda: run(**changed), lambda: clairvoyant(**columns(**changed))):
        with pytest.raises(ValueError, match=expected):
            call()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"keys": ["a", "a"]}, "rows 0 and 1 of the function table are both `a`"),
        ({"keys": ["a"]}, "the function table has 1"),
        ({"init_failure": 1.5}, "init_failure is 1.5"),
    ],
)
def test_a_wrong_option_is_named(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        run(**changed)


def test_a_policy_that_does_not_parse_is_named() -> None:
    with pytest.raises(ConfigError, match="`ttl`"):
        run(policy="ttl")


def test_a_column_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="function"):
        run(function=np.zeros(3, np.int64))


def test_the_bound_keeps_an_instance_for_gaps_shorter_than_a_start() -> None:
    bound = clairvoyant(**columns(arrival_ns=np.array([0, S + S // 4, 12 * S], np.uint64)))
    # Two starts of 0.5 s, one gap of 0.25 s, three executions of 1 s.
    assert bound["slot_gb_s"] == 4.25
    assert bound["busy_gb_s"] == 3.0
    assert bound["functions"].tolist() == [4.25, 0.0]


REQUESTS = ("arrival_ns", "function", "duration_ns", "bad")
NO_COLUMNS = dict.fromkeys(REQUESTS)


def in_blocks(size: int) -> dict[str, Any]:
    """Hand the requests over block by block."""
    requests = [columns()[name] for name in REQUESTS]
    cuts = range(0, len(requests[0]), size)
    return {**NO_COLUMNS, "blocks": (tuple(column[cut : cut + size] for column in requests) for cut in cuts)}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_blocks_give_what_columns_give(size: int) -> None:
    whole, cut = run(per_request=True), run(**in_blocks(size), per_request=True)
    assert (whole.ledger, whole.events, whole.end_ns) == (cut.ledger, cut.events, cut.end_ns)
    assert whole.requests is not None
    assert cut.requests is not None
    assert np.array_equal(whole.requests["wait_ns"], cut.requests["wait_ns"])
    bounds = [clairvoyant(**columns()), clairvoyant(**(columns() | in_blocks(size)))]
    assert bounds[0]["slot_gb_s"] == bounds[1]["slot_gb_s"] > 0


def test_what_the_blocks_raise_ends_the_run() -> None:
    def blocks() -> Iterator[Any]:
        yield next(in_blocks(1)["blocks"])
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        run(**NO_COLUMNS, blocks=blocks())
    with pytest.raises(ValueError, match="tuple of length 4"):
        run(**NO_COLUMNS, blocks=[(1, 2)])
    with pytest.raises(ValueError, match="row 1 arrives at 0 ns, before the row above it"):
        run(**NO_COLUMNS, blocks=[tuple(columns()[name][at : at + 1] for name in REQUESTS) for at in (1, 0)])


def test_requests_come_as_columns_or_as_blocks() -> None:
    for wrong in ({"blocks": []}, {"bad": None}, NO_COLUMNS):
        with pytest.raises(ValueError, match="either as `arrival_ns`"):
            run(**wrong)


def test_waits_that_the_end_cuts_off_are_counted() -> None:
    report = run(arrival_ns=np.array([0, 10 * S, 30 * S], np.uint64), tail_ns=S // 10, per_request=True)
    assert report.requests is not None
    assert report.unfinished_wait_ns == report.requests["wait_ns"][2] == S // 10


@pytest.mark.parametrize("policy", ["fixed", "break_even", "level_gap", "level_gap:lambda=contest"])
def test_callers_of_a_function_whose_inits_all_fail_learn_it_at_once_and_cost_few_starts(policy: str) -> None:
    requests = 1_760
    report = run(
        policy=policy,
        init_failure=1.0,
        per_request=True,
        arrival_ns=np.arange(requests, dtype=np.uint64) * np.uint64(S // 10),
        function=np.zeros(requests, np.uint32),
        duration_ns=np.full(requests, S // 2, np.uint64),
        bad=np.zeros(requests, np.bool_),
    )
    assert report.requests is not None
    assert report.ledger["starts_exhausted"] == requests
    # A start takes 0.5 s; three in a row, one after the other, are what the first request may wait for.
    assert np.quantile(report.requests["wait_ns"], [0.5, 1.0]).tolist() <= [0, 1.6 * S]
    assert report.ledger["starts"] <= 30
