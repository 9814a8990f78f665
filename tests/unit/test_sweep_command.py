"""`pilotlight sweep`: results that survive, rank and serve."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from pilotlight import _core, cli
from pilotlight.config import load
from pilotlight.errors import ConfigError
from pilotlight.simulation.runner import SimulationSettings, prepare, run_policies
from pilotlight.sweep.command import sweep
from pilotlight.sweep.objective import Limit, ranked
from pilotlight.sweep.points import SCHEMA, fingerprint, point_id
from pilotlight.sweep.run import on_threads, run_sweep
from pilotlight.sweep.store import Store
from pilotlight.traces import SynthSettings, read_contest, synthesize, write_contest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pilotlight.simulation.runner import PreparedTrace

GRID = ("--policy", "fixed", "--grid", "keep_alive=1s,5s,60s")
SPECS = ["fixed:keep_alive=1s", "fixed:keep_alive=5s", "fixed:keep_alive=60s"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [
        write_contest(
            synthesize(SynthSettings(functions=20, requests=400, length_s=60, seed=seed)),
            tmp_path_factory.mktemp("trace") / "set",
        ).requests.parent
        for seed in (1, 2)
    ]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(sweep, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_every_setting_over_every_trace_is_a_row_with_what_simulate_finds(folders: list[Path], tmp_path: Path) -> None:
    run(*folders, *GRID, "--out", tmp_path / "out.parquet")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.schema == SCHEMA
    assert frame.select("trace", "policy").sort("trace", "policy").rows() == sorted(
        (str(folder), spec) for folder in folders for spec in SPECS
    )
    for folder in folders:
        for result in run_policies(read_contest(folder), SPECS).results:
            (row,) = frame.filter(trace=str(folder), policy=result.policy).to_dicts()
            assert row["score"] == result.contest.score
            assert row["wait_s"] == result.wait_s
            assert row["slot_gb_s"] == result.slot_gb_s
            assert row["mean_wait_ms"] == pytest.approx(1000 * result.wait_s / 400)


def test_a_second_run_does_only_what_is_new(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(folders[0], *GRID, "--out", out)
    before = pl.read_parquet(out)
    shown = run(folders[0], "--policy", "fixed", "--grid", "keep_alive=1s,5s,60s,300s", "--out", out)
    after = pl.read_parquet(out)
    assert "3 of 4 points were there from before" in shown.stderr
    assert after.head(3).equals(before), "not even the run times are new"
    assert len(after) == 4


def test_another_platform_or_trace_is_another_point(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(folders[0], "--policy", "fixed", "--out", out)
    run(folders[0], "--policy", "fixed", "--tail", "1s", "--out", out)
    run(folders[1], "--policy", "fixed", "--out", out)
    assert len(pl.read_parquet(out)) == 3


def test_the_table_shows_only_settings_of_this_sweep(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(folders[0], *GRID, "--out", out)
    shown = run(folders[0], "--policy", "break_even", "--grid", "lambda=1,2", "--out", out).stdout
    assert "break_even:lambda=2" in shown
    assert "fixed" not in shown
    assert "2 of 2 settings by cost" in shown


class _StoppedError(Exception):
    pass


def test_what_has_finished_is_kept_when_the_run_is_interrupted(folders: list[Path], tmp_path: Path) -> None:
    started: list[str] = []

    def stops_after_two(prepared: PreparedTrace, policies: Sequence[str]) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(on_threads(1)(prepared, policies)):
            if number == 2:
                raise _StoppedError
            started.append(row["policy"])
            yield row

    trace = read_contest(folders[0])
    settings = SimulationSettings()
    with pytest.raises(_StoppedError):
        run_sweep({"t": lambda: trace}, SPECS, settings, Store(tmp_path / "out.parquet"), stops_after_two)
    assert pl.read_parquet(tmp_path / "out.parquet")["policy"].to_list() == started
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"], "nothing half written is left"
    again = Store(tmp_path / "out.parquet")
    seen: list[tuple[int, int]] = []
    run_sweep({"t": lambda: trace}, SPECS, settings, again, on_threads(1), progress=lambda *counts: seen.append(counts))
    assert seen == [(2, 2), (3, 2)]


def test_a_fingerprint_is_of_what_a_trace_says() -> None:
    trace = synthesize(SynthSettings(functions=5, requests=50, length_s=10))
    same = synthesize(SynthSettings(functions=5, requests=50, length_s=10))
    assert fingerprint(trace) == fingerprint(same)
    longer = trace.duration_ns.copy()
    longer[7] += np.uint64(1)
    assert fingerprint(dataclasses.replace(trace, duration_ns=longer)) != fingerprint(trace)
    table = dataclasses.replace(trace.functions, keys=(*trace.functions.keys[:-1], "other"))
    assert fingerprint(dataclasses.replace(trace, functions=table)) != fingerprint(trace)
    starts, other = prepare(trace).starts, prepare(trace, SimulationSettings(create_ms=1)).starts
    one, two = SimulationSettings(), SimulationSettings(seed=2)
    assert point_id("f", starts, "fixed", one) != point_id("f", starts, "fixed", two)
    assert point_id("f", starts, "fixed", one) != point_id("f", other, "fixed", one)


def points(**columns: list[Any]) -> pl.DataFrame:
    count = len(columns["policy"])
    blank = {name: pl.zeros(count, dtype=pl.Float64, eager=True) for name in SCHEMA}
    return pl.DataFrame({**blank, **columns})


def test_settings_are_summed_over_traces_and_limits_hold_on_each() -> None:
    frame = points(
        policy=["a", "b", "a", "b"],
        waste_gb_s=[10.0, 5.0, 10.0, 5.0],
        wait_s=[1.0, 10.0, 1.0, 10.0],
        score=[50.0, 60.0, 70.0, 60.0],
        p99_ms=[100.0, 100.0, 100.0, 900.0],
    )
    assert ranked(frame, "waste", 1, [])["policy"].to_list() == ["b", "a"]
    assert ranked(frame, "cost", 1, [])["objective"].to_list() == [22.0, 30.0]
    assert ranked(frame, "cost", 0.1, [])["objective"].to_list() == [12.0, 20.2]
    limited = ranked(frame, "waste", 1, [Limit.parse("p99=500ms")])
    assert limited.select("policy", "kept").rows() == [("a", True), ("b", False)]
    assert ranked(frame, "score", 1, [])["objective"].to_list() == [60.0, 60.0]


def test_the_exported_best_is_a_configuration_that_serve_takes(folders: list[Path], tmp_path: Path) -> None:
    best = tmp_path / "best.toml"
    run(*folders, *GRID, "--objective", "wait", "--out", tmp_path / "out.parquet", "--export", best)
    config = load(config_file=best)
    assert config.policy == "fixed:keep_alive=60s"
    _core.Scaler(policy=config.policy)
    assert "settings by wait" in best.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_the_picture_has_a_response_to_each_parameter_and_the_frontier(
    folders: list[Path], tmp_path: Path, suffix: str
) -> None:
    drawn = tmp_path / f"out{suffix}"
    run(
        folders[0], *GRID, "--grid", "handoff=oldest,none", "--limit", "p99=1ms", "--out", tmp_path / "o.parquet",
        "--plot", drawn,
    )  # fmt: skip
    text = drawn.read_text(encoding="utf-8")
    for title in ("cost answers to keep_alive", "cost answers to handoff", "Wasted memory against waiting"):
        assert title in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grid", "keep=1s"], "level_gap has no parameter keep; it has lambda"),
        (["--limit", "p98=1s"], "no limit is called 'p98'; there are mean_wait, p50, p95, p99, cold"),
        (["--limit", "p99=fast"], "write a duration, as p99=500ms"),
        (["--limit", "cold=few"], "write a share from 0 to 1, as cold=0.05"),
        (["--limit", "cold=nan"], "write a share from 0 to 1, as cold=0.05"),
        (["--limit", "cold=5"], "write a share from 0 to 1, as cold=0.05"),
        (["--limit", f"p99={'9' * 400}s"], "write a duration, as p99=500ms"),
        (["--out", "results.csv"], "must end in .parquet"),
        (["--on", "mars"], "--on"),
    ],
)
def test_bad_options_end_with_status_2_before_anything_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["sweep", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"not parquet", b""])
def test_a_file_that_is_no_sweep_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out.parquet").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read as Parquet"):
        Store(tmp_path / "out.parquet")
    pl.DataFrame({"policy": ["a"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ConfigError, match="not a sweep's results"):
        Store(tmp_path / "other.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == content
