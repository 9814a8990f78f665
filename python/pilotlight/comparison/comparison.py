"""The results of many policies beside each other: where each stands against the frontier, the bound and every curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotlight.comparison.families import family_of
from pilotlight.comparison.frontier import Curve, Gain, Point, dominators

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilotlight.simulation.runner import PolicyResult, Simulation


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where one policy stands.

    Attributes:
        result: what it made of the trace.
        family: the policy's name without parameters.
        point: seconds waited, and GB·s wasted: slot time in which nothing executed.
        above_bound_gb_s: waste above the clairvoyant's; negative if letting requests wait paid.
        cold_share: cold starts as a share of all requests.
        dominated_by: a policy that neither waits nor wastes more, and less of one; None: it is on the frontier.
        against: the other families' curves at its waiting and at its waste.
    """

    result: PolicyResult
    family: str
    point: Point
    above_bound_gb_s: float
    cold_share: float
    dominated_by: str | None
    against: dict[str, Gain]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All policies that ran over one trace.

    Attributes:
        simulation: the results.
        standings: one for each result, in its order.
        curves: of the families that ran with several settings, as far as these make a curve.
        bound: the clairvoyant's point; it makes nobody wait.
        lambda_: GB·s that one second of waiting is worth, by which costs are added up.
    """

    simulation: Simulation
    standings: list[Standing]
    curves: dict[str, Curve]
    bound: Point
    lambda_: float

    def cost(self, standing: Standing) -> float:
        """Add up waste and priced waiting, in GB·s."""
        return standing.point.waste_gb_s + self.lambda_ * standing.point.wait_s

    def cheapest(self, limit: int) -> list[Standing]:
        """Pick who is shown where there is no room for all: everybody if they fit, else each family's least cost."""
        return self._picked(limit, self.cost)

    def best_scores(self, limit: int) -> list[Standing]:
        """Pick likewise by the contest's score, the best first."""
        picked = self._picked(limit, lambda standing: -standing.result.contest.score)
        return sorted(picked, key=lambda standing: -standing.result.contest.score)

    def _picked(self, limit: int, cost: Callable[[Standing], float]) -> list[Standing]:
        if len(self.standings) <= limit:
            return list(self.standings)
        families = dict.fromkeys(standing.family for standing in self.standings)
        return [min((one for one in self.standings if one.family == family), key=cost) for family in families]


def compare_results(simulation: Simulation, lambda_: float) -> Comparison:
    """Set results against each other, the bound, and the curves that they make.

    Args:
        simulation: results of distinct policies, at least one.
        lambda_: GB·s that one second of waiting is worth; 0 or more.
    """
    results = simulation.results
    points = [Point(result.wait_s, wasted_gb_s(result)) for result in results]
    bound = Point(0.0, simulation.bound.slot_gb_s - simulation.trace.execution_gb_s)
    curves = _curves(results, points)
    standings = []
    for result, point, better in zip(results, points, dominators(points), strict=True):
        family = family_of(result.policy)
        standings.append(
            Standing(
                result=result,
                family=family,
                point=point,
                above_bound_gb_s=point.waste_gb_s - bound.waste_gb_s,
                cold_share=result.ledger["cold_starts"] / len(simulation.trace),
                dominated_by=None if better is None else results[better].policy,
                against={name: curve.gain(point) for name, curve in curves.items() if name != family},
            )
        )
    return Comparison(simulation, standings, curves, bound, lambda_)


def wasted_gb_s(result: PolicyResult) -> float:
    """Add up the slot time in which nothing executed: starting, idle, retiring, leaked."""
    return float(sum(held for state, held in result.ledger["gb_s"].items() if state != "busy"))


def _curves(results: Sequence[PolicyResult], points: Sequence[Point]) -> dict[str, Curve]:
    """Make a curve of each family with at least two points that do not dominate each other."""
    members: dict[str, list[Point]] = {}
    for result, point in zip(results, points, strict=True):
        members.setdefault(family_of(result.policy), []).append(point)
    curves = {family: Curve(family_points) for family, family_points in members.items()}
    return {family: curve for family, curve in curves.items() if len(curve.points) > 1}
