"""Dominance, frontiers and curves of points "waiting, waste", both the less the better. Plain arithmetic, no state.

A curve joins the points of one family that no other of the family dominates. Between two neighbours it is straight:
that is what serving part of the load with one setting and the rest with the other costs. The settings in between
usually do a little better than this chord, so a comparison with a curve leans, by little, against the curve.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Point(NamedTuple):
    """What a policy costs.

    Attributes:
        wait_s: seconds waited by all requests.
        waste_gb_s: GB·s held by slots in which nothing executed.
    """

    wait_s: float
    waste_gb_s: float


def dominates(one: Point, other: Point) -> bool:
    """Tell whether `one` costs no more in either respect and less in at least one."""
    return one != other and one.wait_s <= other.wait_s and one.waste_gb_s <= other.waste_gb_s


def frontier(points: Sequence[Point]) -> list[int]:
    """Find the points that no other dominates.

    Returns:
        Their indices, by waiting ascending; equal points are all on the frontier, in the order given.
    """
    order = sorted(range(len(points)), key=lambda index: points[index])
    found: list[int] = []
    for index in order:
        last = points[found[-1]] if found else None
        if last is None or points[index] == last or points[index].waste_gb_s < last.waste_gb_s:
            found.append(index)
    return found


def dominators(points: Sequence[Point]) -> list[int | None]:
    """Name for each point one that dominates it; None for those on the frontier.

    Of several, it is the one on the frontier that wastes least: the most memory to be had without waiting longer.
    """
    best = frontier(points)
    waits = [points[index].wait_s for index in best]
    named: list[int | None] = []
    for point in points:
        place = bisect_right(waits, point.wait_s) - 1
        # Equal points stand side by side on the frontier; the first of them is as good a witness as any.
        while place > 0 and points[best[place - 1]] == points[best[place]]:
            place -= 1
        candidate = best[place]
        named.append(candidate if dominates(points[candidate], point) else None)
    return named


class Gain(NamedTuple):
    """A point beside a curve; None where the curve does not get that low.

    Attributes:
        waste_gb_s: what the curve wastes at the point's waiting.
        wait_s: how long the curve waits at the point's waste.
        less_waste: share of `waste_gb_s` that the point saves; negative where it wastes more.
        less_wait: share of `wait_s` that the point saves; negative where it waits longer.
    """

    waste_gb_s: float | None
    wait_s: float | None
    less_waste: float | None
    less_wait: float | None


class Curve:
    """The cost of a family over its knob.

    Args:
        points: what the family's settings cost, at least one, in any order.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self.points: list[Point] = sorted({points[index] for index in frontier(points)})

    def waste_at(self, wait_s: float) -> float | None:
        """Say what the curve wastes if requests may wait this long; None if its least waiting is longer."""
        return _interpolated(self.points, wait_s)

    def wait_at(self, waste_gb_s: float) -> float | None:
        """Say how long requests wait if the curve may waste this much; None if its least waste is more."""
        return _interpolated([(waste, wait) for wait, waste in reversed(self.points)], waste_gb_s)

    def gain(self, point: Point) -> Gain:
        """Compare a point with the curve at equal waiting and at equal waste."""
        waste_gb_s, wait_s = self.waste_at(point.wait_s), self.wait_at(point.waste_gb_s)
        return Gain(waste_gb_s, wait_s, _less(point.waste_gb_s, waste_gb_s), _less(point.wait_s, wait_s))


def _interpolated(points: Sequence[tuple[float, float]], at: float) -> float | None:
    """Read a falling curve of (x, y), x ascending: level right of its end, not there left of its start."""
    after = bisect_right(points, at, key=lambda point: point[0])
    if after == 0:
        return None
    (x0, y0) = points[after - 1]
    if after == len(points):
        return y0
    (x1, y1) = points[after]
    share = (at - x0) / (x1 - x0)
    return y0 * (1 - share) + y1 * share


def _less(found: float, reference: float | None) -> float | None:
    """Tell which share of the reference is saved; None where there is no reference or nothing to save."""
    return 1 - found / reference if reference else None
