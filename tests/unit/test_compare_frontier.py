"""Dominance, frontiers and curves, by hand-made points and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.comparison.frontier import Curve, Point, dominates, dominators, frontier

SMALL = st.integers(0, 12).map(float)
POINTS = st.lists(st.builds(Point, SMALL, SMALL), min_size=1, max_size=25)
bounded = settings(deadline=None, derandomize=True, database=None)


def test_frontier_holds_who_wastes_less_or_waits_less() -> None:
    points = [Point(5, 5), Point(1, 9), Point(3, 3), Point(9, 1), Point(4, 3)]
    assert frontier(points) == [1, 2, 3]
    assert dominators(points) == [2, None, None, None, 2]


def test_dominator_is_the_one_that_wastes_least() -> None:
    points = [Point(0, 8), Point(2, 4), Point(6, 9)]
    assert dominators(points) == [None, None, 1]


def test_equal_points_do_not_dominate_each_other() -> None:
    points = [Point(2, 2), Point(2, 2), Point(3, 2)]
    assert frontier(points) == [0, 1]
    assert dominators(points) == [None, None, 0]


def test_equal_waiting_and_more_waste_is_dominated() -> None:
    assert dominates(Point(1, 1), Point(1, 2))
    assert dominates(Point(1, 1), Point(2, 1))
    assert not dominates(Point(1, 2), Point(2, 1))


@bounded
@given(POINTS)
def test_nobody_on_the_frontier_is_dominated_and_everybody_else_is(points: list[Point]) -> None:
    best = set(frontier(points))
    for index, point in enumerate(points):
        assert (index in best) == (not any(dominates(other, point) for other in points))


@bounded
@given(POINTS)
def test_named_dominator_dominates_and_is_on_the_frontier(points: list[Point]) -> None:
    best = set(frontier(points))
    for index, named in enumerate(dominators(points)):
        assert (named is None) == (index in best)
        if named is not None:
            assert named in best
            assert dominates(points[named], points[index])


@bounded
@given(POINTS.flatmap(lambda points: st.tuples(st.just(points), st.permutations(points))))
def test_order_of_the_points_does_not_matter(both: tuple[list[Point], list[Point]]) -> None:
    points, shuffled = both

    def named(given_points: list[Point]) -> dict[Point, Point | None]:
        found = dominators(given_points)
        return {
            point: None if index is None else given_points[index]
            for point, index in zip(given_points, found, strict=True)
        }

    assert named(points) == named(shuffled)
    assert Curve(points).points == Curve(shuffled).points


def test_curve_is_straight_between_neighbours() -> None:
    curve = Curve([Point(0, 10), Point(4, 2), Point(5, 9)])
    assert curve.points == [Point(0, 10), Point(4, 2)]
    assert curve.waste_at(0) == 10
    assert curve.waste_at(1) == pytest.approx(8)
    assert curve.wait_at(8) == pytest.approx(1)
    assert curve.wait_at(2) == 4


def test_curve_stays_level_past_its_end_and_is_not_there_before_its_start() -> None:
    curve = Curve([Point(2, 10), Point(4, 3)])
    assert curve.waste_at(100) == 3
    assert curve.waste_at(1.9) is None
    assert curve.wait_at(100) == 2
    assert curve.wait_at(2.9) is None


def test_gain_says_what_a_point_saves_at_equal_waiting_and_at_equal_waste() -> None:
    curve = Curve([Point(10, 100), Point(20, 50)])
    gain = curve.gain(Point(15, 60))
    assert (gain.waste_gb_s, gain.wait_s) == pytest.approx((75, 18))
    assert gain.less_waste == pytest.approx(0.2)
    assert gain.less_wait == pytest.approx(1 / 6)
    assert curve.gain(Point(15, 90)).less_waste == pytest.approx(-0.2)
    assert curve.gain(Point(5, 20)) == (None, None, None, None)


@bounded
@given(POINTS, SMALL, SMALL)
def test_curve_falls(points: list[Point], one: float, other: float) -> None:
    curve = Curve(points)
    short, long = curve.waste_at(min(one, other)), curve.waste_at(max(one, other))
    assert short is None or (long is not None and long <= short)


@bounded
@given(POINTS)
def test_points_of_a_curve_gain_nothing_on_it(points: list[Point]) -> None:
    curve = Curve(points)
    for point in curve.points:
        assert curve.waste_at(point.wait_s) == point.waste_gb_s
        assert curve.wait_at(point.waste_gb_s) == point.wait_s
