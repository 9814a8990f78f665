"""The columnar trace: what it accepts, and slices of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pilotlight.errors import TraceError
from pilotlight.traces import FunctionTable, Trace
from pilotlight.traces.trace import MAX_TIME_MS, RESERVED_STAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

MS = 1_000_000
S = 1_000_000_000


def table(**changed: NDArray[Any] | tuple[str, ...]) -> FunctionTable:
    columns: dict[str, Any] = {
        "keys": ("a", "b"),
        "runtimes": ("go", "java"),
        "timeout_s": np.array([60, 60], dtype=np.uint32),
        "memory_mb": np.array([128, 2048], dtype=np.uint64),
        "init_ns": np.array([50 * MS, 900 * MS], dtype=np.uint64),
    }
    return FunctionTable(**(columns | changed))


def trace(**changed: NDArray[Any] | FunctionTable) -> Trace:
    columns: dict[str, Any] = {
        "arrival_ns": np.array([0, 1 * S, 2 * S, 2500 * MS], dtype=np.uint64),
        "function": np.array([0, 1, 0, 1], dtype=np.uint32),
        "duration_ns": np.array([100 * MS, 1 * S, 300 * MS, 2 * S], dtype=np.uint64),
        "status": np.array([200, 200, 500, 200], dtype=np.int32),
        "functions": table(),
        "origin_ms": 1_700_000_000_000,
    }
    return Trace(**(columns | changed))


def test_sums_weigh_durations_with_memory_in_gb() -> None:
    made = trace()
    assert made.execution_s == pytest.approx(3.4)
    assert made.execution_gb_s == pytest.approx(0.4 * 0.125 + 3.0 * 2)


def test_any_status_but_200_is_bad() -> None:
    assert trace().bad.tolist() == [False, False, True, False]


def test_columns_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        trace().arrival_ns[0] = 1


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"arrival_ns": np.array([], dtype=np.uint64)}, "no requests"),
        ({"arrival_ns": np.array([0, 2 * S, 1 * S, 3 * S], dtype=np.uint64)}, "row 2 lies before"),
        ({"arrival_ns": np.array([MS, S, S, S], dtype=np.uint64)}, "must start at origin_ms"),
        ({"arrival_ns": np.array([0, 1, 2, 2 * 10**18], dtype=np.uint64)}, "row 3 is more"),
        ({"function": np.array([0, 1, 2, 0], dtype=np.uint32)}, "row 2 does not"),
        ({"function": np.array([0, 1], dtype=np.uint32)}, "vector of 4 uint32"),
        ({"function": np.array([0, 1, 0, 1], dtype=np.int64)}, "found int64"),
        ({"duration_ns": [1, 2, 3, 4]}, "found list"),
        ({"origin_ms": MAX_TIME_MS + 1}, "origin_ms is 253402300800000; it must be from"),
        ({"origin_ms": -(2**63)}, "origin_ms is -9223372036854775808; it must be from"),
        ({"duration_ns": np.arange(8, dtype=np.uint64)[::2]}, "contiguous"),
    ],
)
def test_wrong_columns_are_named(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(TraceError, match=text):
        trace(**changed)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"keys": ("a", "a")}, "rows 0 and 1 have the same key"),
        ({"keys": ("a", "")}, "is empty"),
        ({"runtimes": ("go",)}, "1 runtimes for 2 keys"),
        ({"memory_mb": np.array([0, 128], dtype=np.uint64)}, "memory_mb must be from 1"),
        ({"init_ns": np.array([0, 2 * 10**18], dtype=np.uint64)}, "init_ns must be at most"),
        ({"timeout_s": np.array([1, 2, 3], dtype=np.uint32)}, "vector of 2 uint32"),
        *(
            ({"stages": {name: np.array([50 * MS, 900 * MS], dtype=np.uint64)}}, f"Init cannot be called {name}")
            for name in RESERVED_STAGES
        ),
    ],
)
def test_wrong_function_tables_are_named(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(TraceError, match=text):
        table(**changed)


def test_durations_that_add_up_to_centuries_are_refused() -> None:
    count = 11
    with pytest.raises(TraceError, match="adds up to more than"):
        trace(
            arrival_ns=np.zeros(count, dtype=np.uint64),
            function=np.zeros(count, dtype=np.uint32),
            duration_ns=np.full(count, 10**18, dtype=np.uint64),
            status=np.full(count, 200, dtype=np.int32),
        )


def test_slice_takes_the_window_and_starts_at_its_first_request() -> None:
    part = trace().slice(0.5, 2.0)
    assert part.arrival_ns.tolist() == [0, 1 * S]
    assert part.function.tolist() == [1, 0]
    assert part.status.tolist() == [200, 500]
    assert part.origin_ms == 1_700_000_001_000
    assert part.functions.keys == ("a", "b")


def test_slice_leaves_out_what_arrives_at_its_end() -> None:
    assert len(trace().slice(0, 2.0)) == 2
    assert len(trace().slice(2.0)) == 2


def test_slice_keeps_times_finer_than_the_origin() -> None:
    fine = trace(arrival_ns=np.array([5, S + 7, S + 9, 2 * S], dtype=np.uint64))
    assert fine.slice(1).arrival_ns.tolist() == [7, 9, S]


@pytest.mark.parametrize(("start_s", "length_s"), [(3.0, None), (0.1, 0.5), (-1.0, None), (0.0, 0.0)])
def test_windows_without_requests_are_refused(start_s: float, length_s: float | None) -> None:
    with pytest.raises(TraceError, match="window"):
        trace().slice(start_s, length_s)
