"""`pilotlight trace slice` and `pilotlight trace sample`: what is kept is kept whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from pilotlight import cli
from pilotlight.errors import TraceError
from pilotlight.traces import Trace, generate, read_contest, read_trace, write_contest
from pilotlight.traces.command import trace as trace_command
from pilotlight.traces.cutting import functions_at_random, functions_most_called, functions_named, keep_functions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def whole() -> Trace:
    return generate("contest", functions=40, requests=2_000, length_s=600.0).trace


@pytest.fixture(scope="module")
def folder(whole: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cutting") / "set"
    write_contest(whole, path)
    return path


def requests_of(trace: Trace, key: str) -> list[tuple[int, int, int]]:
    rows = trace.function == trace.functions.keys.index(key)
    at_ms = trace.origin_ms + trace.arrival_ns[rows] // 1_000_000
    return list(zip(at_ms.tolist(), trace.duration_ns[rows].tolist(), trace.status[rows].tolist(), strict=True))


def test_functions_keep_all_their_requests_and_their_row_of_the_table(whole: Trace) -> None:
    rows = functions_at_random(whole, 7, seed=3)
    kept = keep_functions(whole, rows)
    assert kept.functions.keys == tuple(whole.functions.keys[row] for row in sorted(rows.tolist()))
    assert len(kept) == int(np.isin(whole.function, rows).sum())
    for place, row in enumerate(sorted(rows.tolist())):
        key = whole.functions.keys[row]
        assert requests_of(kept, key) == requests_of(whole, key)
        assert kept.functions.init_ns[place] == whole.functions.init_ns[row]
        assert kept.functions.runtimes[place] == whole.functions.runtimes[row]
    assert kept.arrival_ns[0] < 1_000_000


def test_seed_decides_which_functions(whole: Trace) -> None:
    drawn = [sorted(functions_at_random(whole, 7, seed=seed).tolist()) for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]
    called = set(np.unique(whole.function).tolist())
    assert len(set(drawn[0])) == 7
    assert set(drawn[0]) <= called


def test_most_called_functions_are_those(whole: Trace) -> None:
    rows = functions_most_called(whole, 3)
    counts = np.bincount(whole.function)
    assert sorted(counts[rows].tolist(), reverse=True) == sorted(counts.tolist(), reverse=True)[:3]


@pytest.mark.parametrize("count", [0, 36, -1])
def test_more_functions_than_are_called_are_refused(whole: Trace, count: int) -> None:
    for choose in (lambda: functions_most_called(whole, count), lambda: functions_at_random(whole, count, 1)):
        with pytest.raises(TraceError, match=f"{count} functions cannot be taken: 35 are called"):
            choose()


def test_unknown_and_uncalled_functions_are_refused(whole: Trace) -> None:
    with pytest.raises(TraceError, match="no function of the trace is called 'bogus'"):
        functions_named(whole, ["synth-0001", "bogus"])
    idle = np.setdiff1d(np.arange(40), np.unique(whole.function))
    with pytest.raises(TraceError, match="none of the functions to keep is called"):
        keep_functions(whole, idle)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(trace_command, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_command_slices_a_window(whole: Trace, folder: Path, tmp_path: Path) -> None:
    shown = run("slice", folder, tmp_path / "out", "--start", "100s", "--length", "5m")
    taken, expected = read_trace(tmp_path / "out").trace, whole.slice(100, 300)
    assert taken.arrival_ns.tolist() == expected.arrival_ns.tolist()
    assert taken.origin_ms == expected.origin_ms
    assert f"{len(expected)} requests" in shown


def test_command_slices_functions(whole: Trace, folder: Path, tmp_path: Path) -> None:
    keys = [whole.functions.keys[row] for row in functions_most_called(whole, 2).tolist()]
    run("slice", folder, tmp_path / "out", "--function", keys[0], "--function", keys[1])
    taken = read_trace(tmp_path / "out").trace
    assert set(taken.functions.keys) == set(keys)
    for key in keys:
        assert requests_of(taken, key) == requests_of(whole, key)


@pytest.mark.parametrize("how", ["--functions", "--top"])
def test_command_samples_functions(whole: Trace, folder: Path, tmp_path: Path, how: str) -> None:
    run("sample", folder, tmp_path / "out", how, 5, "--seed", 9, "--to", "contest")
    taken = read_contest(tmp_path / "out")
    rows = functions_at_random(whole, 5, 9) if how == "--functions" else functions_most_called(whole, 5)
    assert set(taken.functions.keys) == {whole.functions.keys[row] for row in rows.tolist()}


def test_command_wants_one_way_to_sample(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--top", "3", "--functions", "3"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["trace", "sample", str(folder), str(tmp_path / "out"), *options])
        assert ended.value.code == 2
        assert "say how many functions to keep" in capsys.readouterr().err
