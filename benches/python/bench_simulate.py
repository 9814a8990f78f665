"""A small simulation: twenty thousand generated requests, the full ledger on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pilotlight.simulation.runner import SimulationSettings, prepare, run_policy
from pilotlight.traces import synthesize
from pilotlight.traces.synth import SynthSettings

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

REQUESTS = 20_000


@pytest.mark.parametrize("policy", ["fixed:keep_alive=300s", "break_even", "level_gap"])
def test_simulate(benchmark: BenchmarkFixture, policy: str) -> None:
    trace = synthesize(SynthSettings(functions=200, requests=REQUESTS, length_s=600.0))
    prepared = prepare(trace, SimulationSettings())
    assert benchmark(run_policy, prepared, policy).contest.score > 0
