"""What every function costs under every policy: who wins and who loses where.

Cost is GB·s held without executing plus lambda times seconds waited, so that one figure decides. A policy wins a
function if no other is cheaper there, and loses it if none is dearer; functions that cost the same everywhere are
neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from pilotlight.simulation.frames import HELD_STATES
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pilotlight.comparison.comparison import Comparison, Standing

SAME = 1e-9
"""Relative difference below which costs count as equal: they are sums of the same terms in another order."""


@dataclass(frozen=True, slots=True, eq=False)
class FunctionCosts:
    """Costs of the called functions (f) under policies (p).

    Attributes:
        policies: specifications, shape (p,).
        families: their families, shape (p,).
        keys: functions, shape (f,), those with the widest `spread` first.
        memory_mb: uint64, shape (f,).
        requests: uint64, shape (f,).
        waste_gb_s: float64, shape (p, f).
        wait_s: float64, shape (p, f).
        cost: float64, shape (p, f), in GB·s.
        bound: float64, shape (f,), what the clairvoyant wastes; it makes nobody wait.
    """

    policies: tuple[str, ...]
    families: tuple[str, ...]
    keys: tuple[str, ...]
    memory_mb: NDArray[np.uint64]
    requests: NDArray[np.uint64]
    waste_gb_s: NDArray[np.float64]
    wait_s: NDArray[np.float64]
    cost: NDArray[np.float64]
    bound: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """How much dearer a function's dearest policy is than its cheapest, in GB·s, shape (f,)."""
        spread: NDArray[np.float64] = self.cost.max(axis=0) - self.cost.min(axis=0)
        return spread

    @property
    def wins(self) -> NDArray[np.bool_]:
        """Where no other policy is cheaper, shape (p, f)."""
        wins: NDArray[np.bool_] = self._differing & (self.cost <= self.cost.min(axis=0) * (1 + SAME))
        return wins

    @property
    def losses(self) -> NDArray[np.bool_]:
        """Where no other policy is dearer, shape (p, f)."""
        losses: NDArray[np.bool_] = self._differing & (self.cost >= self.cost.max(axis=0) * (1 - SAME))
        return losses

    @property
    def _differing(self) -> NDArray[np.bool_]:
        differing: NDArray[np.bool_] = self.spread > self.cost.max(axis=0) * SAME
        return differing

    def take(self, places: Sequence[int] | NDArray[np.intp]) -> FunctionCosts:
        """Keep some functions, in the order given."""
        return FunctionCosts(
            self.policies,
            self.families,
            tuple(self.keys[place] for place in places),
            self.memory_mb[places],
            self.requests[places],
            self.waste_gb_s[:, places],
            self.wait_s[:, places],
            self.cost[:, places],
            self.bound[places],
        )

    def dearest(self, count: int) -> FunctionCosts:
        """Keep the functions that cost most, as a mean over the policies."""
        return self.take(np.argsort(-self.cost.mean(axis=0), kind="stable")[:count])


class PolicySummary(NamedTuple):
    """What one policy is worth over all functions.

    Attributes:
        policy: its specification.
        cost: of all functions, in GB·s.
        above_best: cost above choosing the cheapest of the policies for each function.
        won: functions where no other is cheaper.
        lost: functions where no other is dearer.
        worst_key: the function where it is furthest above the cheapest; empty if there is none.
        worst: how far, in GB·s.
    """

    policy: str
    cost: float
    above_best: float
    won: int
    lost: int
    worst_key: str
    worst: float


def function_costs(comparison: Comparison, standings: Sequence[Standing]) -> FunctionCosts:
    """Lay the costs of the called functions out under some of a comparison's policies, at least one."""
    trace = comparison.simulation.trace
    waste = np.array(
        [np.sum([one.result.functions[f"{state}_gb_s"] for state in HELD_STATES], axis=0) for one in standings]
    )
    wait_s = np.array([one.result.functions["wait_s"] for one in standings], dtype=np.float64)
    totals = trace.totals
    requests = totals.requests
    costs = FunctionCosts(
        policies=tuple(one.result.policy for one in standings),
        families=tuple(one.family for one in standings),
        keys=trace.functions.keys,
        memory_mb=trace.functions.memory_mb,
        requests=requests,
        waste_gb_s=waste,
        wait_s=wait_s,
        cost=waste + comparison.lambda_ * wait_s,
        bound=comparison.simulation.bound_gb_s - totals.execution_ns / NS_PER_S * trace.functions.memory_gb,
    )
    order = np.argsort(-costs.spread, kind="stable")
    return costs.take(order[(requests > 0)[order]])


def summaries(costs: FunctionCosts) -> list[PolicySummary]:
    """Sum up each policy over the functions, in the order of the policies."""
    above = costs.cost - costs.cost.min(axis=0)
    worst = above.argmax(axis=1)
    return [
        PolicySummary(
            policy=policy,
            cost=float(costs.cost[row].sum()),
            above_best=float(above[row].sum()),
            won=int(costs.wins[row].sum()),
            lost=int(costs.losses[row].sum()),
            worst_key=costs.keys[worst[row]] if above[row, worst[row]] > 0 else "",
            worst=float(above[row, worst[row]]),
        )
        for row, policy in enumerate(costs.policies)
    ]


def costs_frame(costs: FunctionCosts) -> pl.DataFrame:
    """Make one row a function and policy, in the order of `costs`."""
    count, functions = costs.cost.shape
    wins, losses = costs.wins, costs.losses
    return pl.DataFrame(
        {
            "key": np.repeat(np.array(costs.keys, dtype=object), count),
            "memory_mb": np.repeat(costs.memory_mb, count),
            "requests": np.repeat(costs.requests, count),
            "policy": list(costs.policies) * functions,
            "waste_gb_s": costs.waste_gb_s.T.ravel(),
            "wait_s": costs.wait_s.T.ravel(),
            "cost": costs.cost.T.ravel(),
            "above_best": (costs.cost - costs.cost.min(axis=0)).T.ravel(),
            "wins": wins.T.ravel(),
            "loses": losses.T.ravel(),
            "bound_gb_s": np.repeat(costs.bound, count),
        }
    )
