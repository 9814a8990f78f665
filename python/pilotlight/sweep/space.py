"""Which settings a sweep tries: every combination of a grid, or seeded draws, written as policy specifications.

Everything is checked before anything runs: names against the policies there are, every specification by the engine.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from pilotlight import _core
from pilotlight.errors import ConfigError
from pilotlight.simulation.runner import check_policies

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_POINTS = 1_000_000
DIGITS = 4
"""Significant digits of a drawn value."""

_RANGE = re.compile(
    r"(?P<kind>uniform|log):(?P<low>\d+(?:\.\d+)?)(?P<low_unit>[A-Za-z]*)\.\.(?P<high>\d+(?:\.\d+)?)(?P<unit>[A-Za-z]*)"
)
RANGE_FORM = "uniform:LOW..HIGH or log:LOW..HIGH, both ends in the same unit, for example log:0.1..100 or log:1s..600s"


@dataclass(frozen=True, slots=True)
class Grid:
    """A parameter and the values it is to have."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read ``lambda=0.5,1,2``.

        Raises:
            ConfigError: it is not NAME=VALUE,VALUE…
        """
        name, _, values = text.partition("=")
        listed = tuple(dict.fromkeys(value.strip() for value in values.split(",")))
        if not name.strip() or "" in listed:
            raise ConfigError(f"--grid {text!r}: write NAME=VALUE,VALUE, for example lambda=0.5,1,2")
        return cls(name.strip(), listed)


@dataclass(frozen=True, slots=True)
class Range:
    """A parameter and the range its values are drawn from, evenly or evenly by logarithm."""

    name: str
    low: float
    high: float
    unit: str
    log: bool

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read ``lambda=log:0.1..100``.

        Raises:
            ConfigError: it is not a range.
        """
        name, _, rest = text.partition("=")
        found = _RANGE.fullmatch(rest.strip())
        if not name.strip() or found is None or (found["low_unit"] or found["unit"]) != found["unit"]:
            raise ConfigError(f"--random {text!r}: write NAME={RANGE_FORM}")
        low, high, log = float(found["low"]), float(found["high"]), found["kind"] == "log"
        if low >= high or (log and low == 0):
            positive = ", and log's above 0" if log else ""
            raise ConfigError(f"--random {text!r}: LOW must be below HIGH{positive}")
        return cls(name.strip(), low, high, found["unit"], log)

    def draw(self, generator: random.Random) -> str:
        """Draw a value and write it as a specification has it."""
        if self.log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        return f"{float(f'{value:.{DIGITS}g}'):.12g}{self.unit}"


def settings(
    policy: str, grids: Sequence[Grid], ranges: Sequence[Range] = (), *, samples: int = 1, seed: int = 1
) -> list[str]:
    """List the distinct specifications to try: the grid's combinations, each with every draw.

    Args:
        policy: a policy, with parameters that all of them have.
        grids: parameters to combine.
        ranges: parameters to draw.
        samples: how often, if there are ranges.
        seed: of the draws.

    Raises:
        ConfigError: the policy or a parameter does not exist, one is given twice, or a value does not fit; the text
            names it and what is allowed.
    """
    name, _, fixed = policy.partition(":")
    _check_names(name, fixed, [*(grid.name for grid in grids), *(drawn.name for drawn in ranges)])
    points = math.prod(len(grid.values) for grid in grids) * (samples if ranges else 1)
    if points > MOST_POINTS:
        raise ConfigError(f"these are {points:,} settings; a sweep takes at most {MOST_POINTS:,}")
    generator = random.Random(seed)  # noqa: S311 - a search, not a secret
    draws = [[f"{each.name}={each.draw(generator)}" for each in ranges] for _ in range(samples if ranges else 1)]
    specs = []
    for draw in draws:
        for combination in product(*(grid.values for grid in grids)):
            chosen = [f"{grid.name}={value}" for grid, value in zip(grids, combination, strict=True)]
            parameters = ",".join([*filter(None, [fixed]), *chosen, *draw])
            specs.append(f"{name}:{parameters}" if parameters else name)
    distinct = list(dict.fromkeys(specs))
    check_policies(distinct)
    return distinct


def parameters_of(spec: str) -> dict[str, str]:
    """Read the parameters of a specification."""
    return dict(part.split("=", 1) for part in spec.partition(":")[2].split(",") if "=" in part)


def _check_names(policy: str, fixed: str, swept: Sequence[str]) -> None:
    listed = {each["name"]: [parameter["name"] for parameter in each["parameters"]] for each in _core.policies()}
    if policy not in listed:
        raise ConfigError(f"--policy {policy}: no policy is called so; there are {', '.join(listed)}")
    for name in swept:
        if name not in listed[policy]:
            raise ConfigError(f"{policy} has no parameter {name}; it has {', '.join(listed[policy])}")
    given = [*parameters_of(f"{policy}:{fixed}"), *swept]
    for name in given:
        if given.count(name) > 1:
            raise ConfigError(f"{name} is given twice; a parameter is in --policy, in one --grid or in one --random")
