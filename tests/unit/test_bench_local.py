"""`pilotlight bench core`, `ffi` and `sim`: their fields are the documented ones, their counts add up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pilotlight import _core
from pilotlight.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def run(tmp_path: Path, *arguments: str) -> list[dict[str, Any]]:
    file = tmp_path / "results.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments, "--rounds", "1", "--json", str(file)])
    assert ended.value.code == 0
    results: list[dict[str, Any]] = json.loads(file.read_text())["results"]
    return results


def test_core_crosses_policies_threads_and_functions(tmp_path: Path) -> None:
    flags = ("--policy", "fixed", "--threads", "1", "--threads", "2", "--functions", "1", "--functions", "9")
    rows = run(tmp_path, "core", *flags, "--duration", "1ms", "--skew", "1")
    wanted = [(1, 1, False), (2, 1, False), (2, 1, True), (1, 9, False), (2, 9, False), (2, 9, True)]
    assert [(row["threads"], row["functions"], row["shared"]) for row in rows] == wanted
    assert all(row["waited"] == 0 and row["warm_pair_ns"] > 0 for row in rows)
    assert all(row["warm_up_pairs"] >= 1000 for row in rows)
    named = {"policy", "scenario", "threads", "functions", "shared", "skew"}
    assert set(rows[0]) == named | {"warm_pair_ns", "pairs_per_s", "waited", "warm_up_pairs"}


def test_ffi_measures_every_policy_named(tmp_path: Path) -> None:
    rows = run(tmp_path, "ffi", "--policy", "fixed", "--policy", "level_gap")
    assert [row["policy"] for row in rows] == ["fixed", "level_gap"]
    assert all(row.keys() == {"policy", "warm_pair_ns"} for row in rows)


def test_sim_measures_generated_load(tmp_path: Path) -> None:
    (row,) = run(tmp_path, "sim", "--synth", "poisson", "--policy", "fixed")
    assert row["requests"] == 20_000
    assert row["invocations_per_s"] == pytest.approx(20_000 / row["run_s"])
    assert row.keys() == {"policy", "requests", "functions", "run_s", "invocations_per_s"}


def test_engine_load_refuses_what_it_cannot_do() -> None:
    with pytest.raises(_core.ConfigError):
        _core.load_engine(policy="no_such_policy", duration_ns=1)
    with pytest.raises(ValueError, match="zero"):
        _core.load_engine(policy="fixed", duration_ns=1, threads=0)
