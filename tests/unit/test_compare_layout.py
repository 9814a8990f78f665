"""Where things go in the chart: axes with a place for zero, labels beside their points."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.comparison.layout import LogAxis, place_labels

VALUES = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e9)), min_size=1, max_size=20)
bounded = settings(deadline=None, derandomize=True, database=None)


@bounded
@given(VALUES)
def test_every_value_has_a_place_on_the_axis_in_its_order(values: list[float]) -> None:
    axis = LogAxis.over(values)
    shares = [axis.share(value) for value in sorted(values)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


def test_zero_stands_apart_from_the_least_value() -> None:
    axis = LogAxis.over([0.0, 10.0, 1000.0])
    assert axis.zero is not None
    assert axis.zero == axis.place(0.0) < 10.0 / 1.5
    assert axis.ticks[0] == axis.zero
    assert set(axis.ticks[1:]) == {10, 20, 50, 100, 200, 500, 1000}


def test_axis_without_zeros_has_no_place_for_them() -> None:
    axis = LogAxis.over([10.0, 1000.0])
    assert axis.zero is None
    assert axis.place(10.0) == 10.0


def test_long_axis_has_ticks_at_powers_of_ten() -> None:
    assert LogAxis.over([1.0, 1e6]).ticks == tuple(pytest.approx(10.0**power) for power in range(7))


def test_labels_keep_clear_of_each_other_and_inside() -> None:
    spots = [(100.0, 100.0), (100.0, 104.0), (296.0, 100.0)]
    first, second, at_the_edge = place_labels(spots, ["first one", "second one", "third"], spots, (300, 200))
    assert (first.dx, first.align) != (second.dx, second.align) or abs(first.dy - second.dy - 4) >= 13
    assert at_the_edge.align == "right"
