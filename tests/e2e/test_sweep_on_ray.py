"""A sweep on a local Ray instance finds what a sweep here finds, in processes of their own: Ray leaves some behind."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pilotlight.traces import SynthSettings, synthesize, write_contest

if TYPE_CHECKING:
    from pathlib import Path

SWEEP = (sys.executable, "-c", "from pilotlight.cli import main; main()", "sweep")
BOUND_S = 100


@pytest.mark.timeout(3 * BOUND_S)
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no Ray here: pip install 'pilotlight[ray]'")
def test_a_sweep_on_ray_finds_what_a_sweep_here_finds_and_resumes_it(tmp_path: Path) -> None:
    folder = write_contest(synthesize(SynthSettings(functions=20, requests=400, length_s=60)), tmp_path / "set")
    trace = str(folder.requests.parent)
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}

    def sweep(keep_alives: str, out: str, where: str) -> str:
        chosen = [trace, "--policy", "fixed", "--grid", f"keep_alive={keep_alives}", "--out", out, "--on", where]
        done = subprocess.run(
            [*SWEEP, *chosen],
            cwd=tmp_path,
            env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
            check=False,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
        if "timed out during startup" in done.stderr:
            pytest.skip("this machine is too slow for Ray, which gives itself 30 s to start")
        assert done.returncode == 0, done.stderr
        return done.stderr

    sweep("1s,5s,60s", "here.parquet", "local")
    sweep("5s", "there.parquet", "local")
    assert "1 of 3 points were there from before" in sweep("1s,5s,60s", "there.parquet", "ray")
    here, there = (
        pl.read_parquet(tmp_path / f"{name}.parquet").drop("run_s").sort("policy") for name in ("here", "there")
    )
    assert len(there) == 3
    assert here.equals(there)
