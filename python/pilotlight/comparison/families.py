"""Which policies a comparison runs when none are named, and in which order and colour they are shown.

The table is data: a policy that the core does not list is skipped, a listed policy without an entry runs once with its
defaults, after the others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pilotlight import _core


class Family(NamedTuple):
    """A policy and the knob whose values make its curve.

    Attributes:
        policy: the policy's name in a specification.
        colour: of its points and lines, legible on white and on black.
        knob: the parameter that trades memory for waiting, if there is one.
        values: of the knob, in order; without any the policy runs once with its defaults.
    """

    policy: str
    colour: str
    knob: str = ""
    values: tuple[str, ...] = ()

    @property
    def specs(self) -> tuple[str, ...]:
        """Specifications, one a value."""
        return tuple(f"{self.policy}:{self.knob}={value}" for value in self.values) or (self.policy,)

    def specs_for(self, largest_mb: int) -> tuple[str, ...]:
        """Return `specs`, their memory limits scaled so that the function of the most memory fits into the least."""
        if self.knob != "memory":
            return self.specs
        limits_gb = [int(value.removesuffix("GB")) for value in self.values]
        scale = max(1, math.ceil(largest_mb / 1024 / limits_gb[0]))
        return self._replace(values=tuple(f"{limit * scale}GB" for limit in limits_gb)).specs


KEEP_ALIVES = ("1s", "2s", "5s", "10s", "20s", "30s", "60s", "120s", "300s", "600s", "1200s")
LAMBDAS = ("0", "0.1", "0.3", "1", "3", "10", "30", "100", "300")
"""GB·s per second waited: from memory alone to hardly any waiting."""

MEMORIES = ("8GB", "16GB", "32GB", "64GB", "128GB", "256GB")
"""Limits on all slots together, for the policies that keep instances until memory is short."""

FAMILIES = (
    Family("fixed", "#7d8590", "keep_alive", KEEP_ALIVES),
    Family("break_even", "#2f7fd6", "lambda", LAMBDAS),
    Family("level_gap", "#d9480f", "lambda", (*LAMBDAS[1:], "1000", "3000")),
    Family("hybrid_histogram", "#0c8599"),
    Family("lsth", "#ae3ec9"),
    Family("greedy_dual", "#2b8a3e", "memory", MEMORIES),
    Family("lru", "#b08900", "memory", MEMORIES),
    Family("icebreaker", "#5a67e8"),
    Family("knative", "#e64980"),
    Family("hpa", "#a0643c"),
    Family("seasonal_quantile", "#5c940d"),
    Family("floor", "#868e96"),
)

FURTHER_COLOURS = ("#1098ad", "#c2255c", "#7c6f00", "#6741d9")
"""Of policies that have no entry, in turn."""


def available() -> dict[str, Family]:
    """Name the families of every policy there is, in the order they are shown."""
    listed = [str(policy["name"]) for policy in _core.policies()]
    known = {family.policy: family for family in FAMILIES if family.policy in listed}
    further = [name for name in listed if name not in known]
    for place, name in enumerate(further):
        known[name] = Family(name, FURTHER_COLOURS[place % len(FURTHER_COLOURS)])
    return known


def family_of(spec: str) -> str:
    """Name the policy of a specification."""
    return spec.partition(":")[0].strip()


def short_label(spec: str) -> str:
    """Shorten a specification for a chart: a knob whose value has a unit goes without its name, as in ``fixed 5s``."""
    name, _, parameters = spec.partition(":")
    family = available().get(name.strip())
    if family is not None and family.knob and "," not in parameters and parameters[-1:].isalpha():
        parameters = parameters.removeprefix(f"{family.knob}=")
    return f"{name} {parameters}".strip()
