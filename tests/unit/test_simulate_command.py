"""`pilotlight simulate` and `pilotlight policies`: options, tables and files."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from pilotlight import cli
from pilotlight.simulation.command import DEFAULT_POLICIES, policies, simulate
from pilotlight.traces import SynthSettings, synthesize, write_contest

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = synthesize(SynthSettings(functions=40, requests=REQUESTS, length_s=60, bad_share=0.05))
    return write_contest(made, tmp_path_factory.mktemp("trace") / "set").requests.parent


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(simulate, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def document(*arguments: object) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run(*arguments, "--json=-").stdout)


def test_tables_compare_the_usual_policies_with_the_clairvoyant_last(folder: Path) -> None:
    lines = run(folder).stdout.splitlines()
    firsts = [line.split()[0] for line in lines if line.strip()]
    rows = [first for first in firsts if first in {*DEFAULT_POLICIES, "clairvoyant"}]
    assert rows == [*DEFAULT_POLICIES, "clairvoyant", *DEFAULT_POLICIES], "scores, then waits and memory"
    assert max(map(len, lines)) <= 100


def test_numbers_of_the_table_end_in_the_same_columns(folder: Path) -> None:
    lines = run(folder).stdout.splitlines()
    named = [line.rstrip() for line in lines if line.startswith((*DEFAULT_POLICIES, "clairvoyant"))]
    rows, details = named[: len(DEFAULT_POLICIES) + 1], named[len(DEFAULT_POLICIES) + 1 :]
    assert len({len(row) for row in rows}) == len({len(row) for row in details}) == 1
    points = [{position for position, character in enumerate(row[30:60]) if character == "."} for row in rows]
    assert all(position == points[0] for position in points)


def test_parameters_of_a_long_policy_stay_whole(folder: Path) -> None:
    shown = run(folder, "--policy", "fixed:keep_alive=300s,handoff=none,surplus=keep", "--per-function").stdout
    words = shown.replace(",", " ").split()
    assert {"fixed:keep_alive=300s", "handoff=none", "surplus=keep"} <= set(words)
    assert max(map(len, shown.splitlines())) <= 100


def test_json_has_every_result_beside_trace_settings_and_version(folder: Path) -> None:
    found = document(folder, "--policy", "break_even", "--policy", "fixed:keep_alive=2s", "--tail", "30s")
    assert list(found) == ["results", "clairvoyant", "trace", "start", "settings", "version"]
    assert [result["policy"] for result in found["results"]] == ["break_even", "fixed:keep_alive=2s"]
    for result in found["results"]:
        assert {"score", "resource", "cold", "cold_starts", "wait_s", "slot_gb_s", "bound"} <= result.keys()
        assert result["bound"] == found["clairvoyant"]
        assert result["score"] == pytest.approx(result["resource"] + result["cold"])
        assert result["slot_gb_s"] == pytest.approx(sum(result["gb_s"].values()))
        assert "functions" not in result
    assert found["trace"]["requests"] == REQUESTS
    assert found["trace"]["source"]["requests"] == str(folder / "requests")
    assert found["settings"]["tail_s"] == 30.0


def test_json_file_comes_beside_the_table(folder: Path, tmp_path: Path) -> None:
    shown = run(folder, "--policy", "break_even", "--json", tmp_path / "out.json").stdout
    assert "clairvoyant" in shown
    assert len(json.loads((tmp_path / "out.json").read_text())["results"]) == 1


def test_per_function_lists_all_functions_in_json_and_csv(folder: Path, tmp_path: Path) -> None:
    found = document(folder, "--policy", "break_even", "--per-function", "--csv", tmp_path / "out.csv")
    (result,) = found["results"]
    assert sum(row["requests"] for row in result["functions"]) == REQUESTS
    assert len(result["functions"]) == found["trace"]["called"]
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["key"] for row in rows] == [row["key"] for row in result["functions"]]


def test_per_function_table_shows_the_dearest(folder: Path) -> None:
    shown = run(folder, "--policy", "break_even", "--per-function").stdout
    found = document(folder, "--policy", "break_even", "--per-function")
    dearest = [row["key"] for row in found["results"][0]["functions"][:10]]
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("synth-")] == dearest
    assert max(map(len, shown.splitlines())) <= 100


def test_csv_has_a_row_for_each_policy_and_the_clairvoyant(folder: Path, tmp_path: Path) -> None:
    run(folder, "--csv", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["policy"] for row in rows] == [*DEFAULT_POLICIES, "clairvoyant"]
    assert float(rows[0]["gb_s_busy"]) <= float(rows[0]["slot_gb_s"])
    assert float(rows[-1]["slot_gb_s"]) == float(rows[0]["bound_slot_gb_s"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_per_request_file_has_a_row_for_each_policy_and_request(folder: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"requests{suffix}"
    found = document(folder, "--policy", "break_even", "--policy", "fixed:keep_alive=1s", "--per-request", path)
    frame = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    assert len(frame) == 2 * REQUESTS
    for result in found["results"]:
        mine = frame.filter(pl.col("policy") == result["policy"])
        assert mine["wait_ns"].to_numpy().sum() / 1e9 == pytest.approx(result["wait_s"])
        assert (mine["outcome"] == "cold_start").sum() == result["cold_starts"]


def test_window_limits_the_trace(folder: Path) -> None:
    found = document(folder, "--policy", "break_even", "--start", "10s", "--length", "0.5m")
    assert 0 < found["trace"]["requests"] < REQUESTS
    assert found["trace"]["length_s"] < 30
    assert found["trace"]["source"]["window"] == {"start_s": 10.0, "length_s": 30.0}


def test_without_a_trace_the_generated_load_is_announced_on_stderr() -> None:
    result = run("--policy", "break_even", "--seed", 4, "--length", "30s", "--json=-")
    assert "seed 4" in result.stderr
    assert json.loads(result.stdout)["trace"]["source"]["seed"] == 4


def test_explicit_files_need_no_folder(folder: Path) -> None:
    found = document("--requests", folder / "requests", "--metas", folder / "metas", "--policy", "break_even")
    assert found["trace"]["requests"] == REQUESTS


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--policy", "bogus"], "bogus"),
        (["--start", "1h"], "no request arrives in the window"),
        (["--create-ms", "-1"], "create_ms is -1.0"),
        (["--tail", "5"], "not a duration"),
        (["--create-failure", "2"], "2"),
        (["--json", "no/such/folder.json"], "is not a folder; make it first"),
        (["--csv", "."], "is a folder"),
        (["--per-request", "out.txt"], "must end in .csv or .parquet"),
    ],
    ids=str,
)
def test_bad_input_ends_with_status_2_and_its_name(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", str(folder), *arguments])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


def test_bad_trace_ends_with_status_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_policies_are_listed_with_parameters_and_defaults() -> None:
    shown = CliRunner().invoke(policies, [], catch_exceptions=False).stdout
    listed = json.loads(CliRunner().invoke(policies, ["--json"], catch_exceptions=False).stdout)
    assert {"fixed", "break_even", "level_gap"} <= {policy["name"] for policy in listed}
    for policy in listed:
        assert policy["name"] in shown
        for parameter in policy["parameters"]:
            assert f"{parameter['name']}={parameter['default']}" in shown
    assert max(map(len, shown.splitlines())) <= 100
