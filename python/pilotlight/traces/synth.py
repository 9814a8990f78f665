"""What generated traces have in common: their sizes, their clock, their function tables and their chance.

Memory and runtimes are drawn independently, from the mix of the contest's third set; Init is log-normal for each
runtime. All chance comes from NumPy's PCG64 and the seed: the same settings give the same trace, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.trace import NS_PER_MS, FunctionTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCH_MS = 1_700_000_000_000
"""Where generated traces start in time: 14 November 2023, 22:13:20 UTC."""

MEMORY_MIX = {128: 36, 256: 5, 384: 1, 512: 34, 768: 1, 1024: 18, 1536: 1, 2048: 2, 3072: 1, 4096: 1}
"""MB and how many functions in a hundred have it."""

TIMEOUT_S = 3600
STATUS_BAD = 500


class LogNormal(NamedTuple):
    """A log-normal law, cut off at both ends; the unit is the user's."""

    median: float
    sigma: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        """Draw `size` values."""
        return np.clip(self.median * np.exp(self.sigma * rng.standard_normal(size)), self.low, self.high)


class Runtime(NamedTuple):
    """How many functions in a thousand have a runtime, and how long its Init takes in ms."""

    weight: int
    init_ms: LogNormal


RUNTIMES = {
    "custom": Runtime(421, LogNormal(1834, 1.12, 9, 120_000)),
    "nodejs": Runtime(199, LogNormal(237, 0.79, 9, 120_000)),
    "python": Runtime(197, LogNormal(177, 0.82, 9, 120_000)),
    "php": Runtime(113, LogNormal(196, 0.29, 9, 120_000)),
    "java": Runtime(48, LogNormal(431, 0.64, 9, 120_000)),
    "container": Runtime(11, LogNormal(308, 0.21, 9, 120_000)),
    "go": Runtime(11, LogNormal(154, 0.61, 9, 120_000)),
}


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """What to generate.

    Attributes:
        functions: size of the function table.
        requests: how many requests, exactly.
        length_s: they arrive within this time.
        seed: of the random generator.
        bad_share: share of requests that end badly (status 500), 0 to 1.

    Raises:
        TraceError: a value is out of range; the text names it.
    """

    functions: int = 613
    requests: int = 60_000
    length_s: float = 1200.0
    seed: int = 1
    bad_share: float = 0.0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("functions", self.functions, 1, 1_000_000),
            ("requests", self.requests, 1, 1_000_000_000),
            ("length_s", self.length_s, 1, 10**8),
            ("seed", self.seed, 0, 2**64 - 1),
            ("bad_share", self.bad_share, 0, 1),
        ):
            if not low <= value <= high:
                raise TraceError(f"synthetic trace: {name} is {value}; it must be from {low} to {high}")


def source_of_chance(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of one purpose: the same seed and key give the same draws."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def draw_functions(count: int, rng: np.random.Generator, prefix: str = "synth") -> FunctionTable:
    """Draw a function table; keys are the prefix and a number."""
    weights = [runtime.weight for runtime in RUNTIMES.values()]
    names = rng.choice(list(RUNTIMES), size=count, p=draw_shares(weights)).tolist()
    memory_mb = rng.choice(list(MEMORY_MIX), size=count, p=draw_shares(list(MEMORY_MIX.values())))
    init_ms = np.array([RUNTIMES[name].init_ms.draw(rng, 1)[0] for name in names])
    return FunctionTable(
        keys=tuple(f"{prefix}-{index:04d}" for index in range(count)),
        runtimes=tuple(names),
        timeout_s=np.full(count, TIMEOUT_S, dtype=np.uint32),
        memory_mb=memory_mb.astype(np.uint64),
        init_ns=np.rint(init_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
    )


def draw_shares(weights: list[int]) -> NDArray[np.float64]:
    """Turn weights into probabilities."""
    return np.array(weights) / sum(weights)
