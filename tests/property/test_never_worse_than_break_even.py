"""A policy that learns the gaps between requests costs, whatever the load, hardly more than break-even.

Break-even knows nothing of the load and costs at most twice the optimum. What learns can be led astray by load that
changes, by load without a pattern and by functions it never sees again; it must not pay more than a hundredth for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pilotlight.comparison.comparison import wasted_gb_s
from pilotlight.simulation.runner import run_policies
from pilotlight.traces import KINDS, generate

if TYPE_CHECKING:
    from pilotlight.simulation.runner import PolicyResult

pytestmark = pytest.mark.timeout(120)

POLICIES = ("level_gap",)
LAMBDAS = (0.3, 1.0, 5.0)
"""GB·s that one second of waiting is worth."""

ALLOWED = 1.01


class Shape(NamedTuple):
    """What is drawn for one kind of load, at sizes at which there is something to learn.

    Attributes:
        functions: how many, least and most.
        length_s: how long the load lasts, least and most.
        parameters: specifications of the kind's parameters, with a pair of braces for each value, and their values.
    """

    functions: tuple[int, int] = (3, 12)
    length_s: tuple[int, int] = (1800, 5400)
    parameters: str = ""
    values: tuple[tuple[int, int], ...] = ()


REQUESTS = (2_000, 6_000)
SHAPES = {
    "poisson": Shape(),
    "constant": Shape(),
    "on_off": Shape(parameters="on={}s,off={}s", values=((5, 120), (5, 900))),
    "regime_switch": Shape(parameters="switches={},factor={}", values=((1, 20), (2, 50))),
    "drifting_period": Shape((10, 20), (3600, 7200), "period={}s,drift={}", ((5, 30), (2, 8))),
    "one_shot": Shape(functions=(2_000, 4_000)),
    "flash_crowd": Shape(parameters="factor={},burst={}s", values=((10, 200), (5, 60))),
}


class Load(NamedTuple):
    """The arguments of `generate`: all there is to say about a trace, and short enough to be shown when it fails."""

    spec: str
    functions: int
    requests: int | None
    length_s: float
    seed: int


@st.composite
def loads(draw: st.DrawFn, kind: str) -> Load:
    """Draw load of a kind, thousands of requests."""
    shape = SHAPES[kind]
    values = [draw(st.integers(*bounds)) for bounds in shape.values]
    return Load(
        spec=f"{kind}:{shape.parameters.format(*values)}" if values else kind,
        functions=draw(st.integers(*shape.functions)),
        requests=None if KINDS[kind].requests is None else draw(st.integers(*REQUESTS)),
        length_s=draw(st.integers(*shape.length_s)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def cost_gb_s(result: PolicyResult, lambda_: float) -> float:
    """Add up waste and priced waiting."""
    return wasted_gb_s(result) + lambda_ * result.wait_s


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", SHAPES)
def test_cost_is_at_most_a_hundredth_above_break_even(kind: str, policy: str) -> None:
    # Without shrinking: a smaller load is none from which there is anything to learn, and the search takes minutes.
    @settings(max_examples=6, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(loads(kind))
    def check(load: Load) -> None:
        specs = [f"{name}:lambda={lambda_}" for lambda_ in LAMBDAS for name in (policy, "break_even")]
        results = run_policies(generate(**load._asdict()).trace, specs).results
        for lambda_, learned, plain in zip(LAMBDAS, results[::2], results[1::2], strict=True):
            cost, allowed = cost_gb_s(learned, lambda_), ALLOWED * cost_gb_s(plain, lambda_)
            assert cost <= allowed, f"{learned.policy} costs {cost:.1f} GB·s, {allowed:.1f} are allowed"

    check()
