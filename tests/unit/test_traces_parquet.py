"""Traces as Parquet: what is written is read back, block by block as well, and goes into the engine without copying."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from trace_samples import write

from pilotlight.errors import TraceError
from pilotlight.replay.session import find_data_set
from pilotlight.simulation import options as workload_options
from pilotlight.simulation.command import simulate
from pilotlight.simulation.frames import request_frame
from pilotlight.simulation.runner import SimulationSettings, run_policies
from pilotlight.traces import Trace, generate, parquet, read_trace
from pilotlight.traces.command import trace as trace_command
from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.parquet import StoredTrace, open_parquet, write_blocks, write_parquet
from pilotlight.traces.trace import MAX_TIME_MS, BlockChecker

if TYPE_CHECKING:
    from pathlib import Path

POLICIES = ["fixed:keep_alive=5s", "level_gap"]


@pytest.fixture
def made() -> Trace:
    return generate("bursty", functions=7, requests=3_000, length_s=600, bad_share=0.1).trace


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 128)


def assert_same(one: Trace, other: Trace) -> None:
    for name in ("arrival_ns", "function", "duration_ns", "status", "context_tokens", "generated_tokens"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.origin_ms == other.origin_ms
    table, read = one.functions, other.functions
    assert (table.keys, table.runtimes, table.apps, table.triggers) == (
        read.keys,
        read.runtimes,
        read.apps,
        read.triggers,
    )
    for name in ("timeout_s", "memory_mb", "init_ns", "create_ns"):
        assert np.array_equal(getattr(table, name), getattr(read, name)), name
    assert {name: column.tolist() for name, column in table.stages.items()} == {
        name: column.tolist() for name, column in read.stages.items()
    }


def full(made: Trace) -> Trace:
    """Give a trace every optional column."""
    count = len(made.functions)
    half = made.functions.init_ns // 2
    table = replace(
        made.functions,
        create_ns=np.arange(count, dtype=np.uint64),
        stages={"code": half, "user": made.functions.init_ns - half},
        apps=("a",) * count,
        triggers=("http", *("timer",) * (count - 1)),
    )
    tokens = np.arange(len(made), dtype=np.uint32)
    return replace(made, functions=table, context_tokens=tokens, generated_tokens=tokens + 1)


@pytest.mark.usefixtures("small_blocks")
def test_what_is_written_is_read_back(tmp_path: Path, made: Trace) -> None:
    for index, trace in enumerate((made, full(made))):
        folder = tmp_path / str(index)
        write_parquet(trace, folder, {"kind": "test", "seed": 1})
        stored = open_parquet(folder / "requests.parquet" if index else folder)
        assert (len(stored), stored.source) == (len(trace), {"kind": "test", "seed": 1})
        assert_same(trace, stored.load())
        assert len(list(stored.blocks())) == -(-len(trace) // 128)


def test_same_trace_gives_the_same_bytes(tmp_path: Path, made: Trace) -> None:
    for name in ("one", "other"):
        write_parquet(made, tmp_path / name)
    for file in ("requests.parquet", "functions.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_other_tools_find_plain_columns(tmp_path: Path, made: Trace) -> None:
    write_parquet(full(made), tmp_path / "t")
    requests = pl.read_parquet(tmp_path / "t" / "requests.parquet")
    functions = pl.read_parquet(tmp_path / "t" / "functions.parquet").with_row_index("function")
    joined = requests.join(functions, on="function")
    assert joined.height == len(made)
    assert {"key", "memory_mb", "stage_code_ns", "stage_user_ns", "create_ns", "app", "trigger"} <= set(joined.columns)


def test_columns_of_a_file_are_read_in_place(tmp_path: Path, made: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays that the engine gets lie where Polars put what it read."""
    addresses: dict[str, int] = {}
    collect = pl.LazyFrame.collect

    def watched(frame: pl.LazyFrame, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        rows = collect(frame, *arguments, **options)
        views = [(column.name, column.to_numpy(allow_copy=False)) for column in rows if len(rows) == len(made)]
        addresses.update({name: view.ctypes.data for name, view in views})
        return rows

    write_parquet(made, tmp_path / "t")
    stored = open_parquet(tmp_path / "t")
    monkeypatch.setattr(pl.LazyFrame, "collect", watched)
    block = next(stored.blocks())
    for name in ("arrival_ns", "function", "duration_ns", "status"):
        assert getattr(block, name).ctypes.data == addresses[name], name


def test_trace_makes_no_copy_of_the_columns_it_is_given(made: Trace) -> None:
    frame = pl.DataFrame({"arrival_ns": made.arrival_ns, "duration_ns": made.duration_ns})
    trace = replace(made, **{name: frame[name].to_numpy(allow_copy=False) for name in frame.columns})
    for name in frame.columns:
        assert getattr(trace.block, name).ctypes.data == frame[name].to_numpy(allow_copy=False).ctypes.data


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("failure", [0.0, 0.2])
def test_trace_on_disk_simulates_as_in_memory(tmp_path: Path, made: Trace, failure: float) -> None:
    write_parquet(made, tmp_path / "t")
    settings = SimulationSettings(tail_s=2, create_failure=failure, init_failure=failure)
    one, other = (run_policies(trace, POLICIES, settings) for trace in (made, open_parquet(tmp_path / "t")))
    assert one.bound == other.bound
    for here, there in zip(one.results, other.results, strict=True):
        assert (here.contest, here.statistics, here.failed) == (there.contest, there.statistics, there.failed)
        assert (here.ledger, here.wait_ms, here.events) == (there.ledger, there.wait_ms, there.events)
    with pytest.raises(TraceError, match="kept only for a trace in memory"):
        request_frame(other, other.results[0])


def test_sums_on_disk_are_those_in_memory(tmp_path: Path, made: Trace) -> None:
    write_parquet(made, tmp_path / "t")
    stored = open_parquet(tmp_path / "t")
    for name in ("called", "bad_requests", "length_ns", "execution_s", "execution_gb_s"):
        assert getattr(stored, name) == getattr(made, name), name


@pytest.mark.parametrize("command", ["simulate", "per request", "window"])
def test_long_trace_stays_on_disk_unless_it_must_not(
    tmp_path: Path, made: Trace, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(workload_options, "IN_MEMORY", 1_000)
    write_parquet(made, tmp_path / "t")
    more = {"simulate": [], "per request": ["--per-request", str(tmp_path / "r.csv")], "window": ["--length", "60s"]}
    if command != "per request":
        monkeypatch.delattr(StoredTrace, "load")
    arguments = [str(tmp_path / "t"), "--policy", "break_even", "--json=-", *more[command]]
    result = CliRunner().invoke(simulate, arguments, catch_exceptions=False)
    found = json.loads(result.stdout)
    assert found["trace"]["requests"] == (made.slice(0, 60) if command == "window" else made).__len__()
    assert found["trace"]["source"]["kind"] == "parquet"


def test_any_format_converts_and_loads_alike(tmp_path: Path) -> None:
    path = write("azure-llm", tmp_path / "in")
    result = CliRunner().invoke(trace_command, ["convert", str(path), str(tmp_path / "out")], catch_exceptions=False)
    assert "3 requests of 2 functions" in result.stdout
    found = read_trace(tmp_path / "out")
    assert_same(read_trace(path).trace, found.trace)
    assert found.source["made_from"]["kind"] == "azure-llm"


def test_convert_writes_contest_data_sets_too(tmp_path: Path, made: Trace) -> None:
    write_parquet(made, tmp_path / "in")
    arguments = ["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "contest", "--start", "1m"]
    CliRunner().invoke(trace_command, arguments, catch_exceptions=False)
    assert len(read_trace(tmp_path / "out").trace) == len(made.slice(60))


@pytest.mark.parametrize("origin_ms", [-1, MAX_TIME_MS])
def test_times_that_a_contest_data_set_cannot_hold_are_named(tmp_path: Path, made: Trace, origin_ms: int) -> None:
    with pytest.raises(TraceError, match=f"arrivals from {origin_ms} to .* do not fit a contest data set"):
        write_contest(replace(made, origin_ms=origin_ms), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_blocks_that_are_no_trace_leave_no_file(tmp_path: Path, made: Trace) -> None:
    backwards = made.block._replace(arrival_ns=made.arrival_ns.max() - made.arrival_ns)
    with pytest.raises(TraceError, match=r"arrival_ns must|must ascend"):
        write_blocks(tmp_path / "t", made.functions, 0, [backwards])
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("start_s", "length_s"), [(0, None), (0, 60), (100, 7), (300, None), (599, 100)])
def test_window_on_disk_is_that_in_memory(tmp_path: Path, made: Trace, start_s: float, length_s: float | None) -> None:
    whole = full(made)
    write_parquet(whole, tmp_path / "t")
    assert_same(whole.slice(start_s, length_s), open_parquet(tmp_path / "t").slice(start_s, length_s))


@pytest.mark.usefixtures("small_blocks")
def test_nothing_behind_a_window_on_disk_is_read(tmp_path: Path, made: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(made, tmp_path / "t")
    checked = []
    check = BlockChecker.check
    monkeypatch.setattr(BlockChecker, "check", lambda self, block: (checked.append(len(block[0])), check(self, block)))
    stored = open_parquet(tmp_path / "t")
    taken = stored.slice(0, 60)
    assert len(taken) <= sum(checked[:-1]) < len(taken) + 2 * 128


def test_window_on_disk_without_requests_is_refused(tmp_path: Path, made: Trace) -> None:
    write_parquet(made, tmp_path / "t")
    with pytest.raises(TraceError, match=r"no request arrives in the window from 700 s on; the trace lasts 599\.\d+ s"):
        open_parquet(tmp_path / "t").slice(700)


def test_second_trace_in_a_folder_is_refused(tmp_path: Path, made: Trace) -> None:
    write_parquet(made, tmp_path / "t")
    with pytest.raises(TraceError, match="is not empty"):
        write_parquet(made, tmp_path / "t")


def test_replay_takes_any_format(tmp_path: Path, made: Trace) -> None:
    write_parquet(made, tmp_path / "run")
    found = find_data_set(tmp_path / "run", start_s=60)
    assert (found.run_id, len(found.trace)) == ("run", len(made.slice(60)))
