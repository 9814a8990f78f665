"""Every reader against a small data set in its published layout, and against the recorded ones where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trace_samples import SAMPLES, write

from pilotlight.errors import TraceError
from pilotlight.traces import FORMATS, ReadOptions, Trace, read_trace

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")

MS = 1_000_000
S = 1000 * MS


def sample(name: str, folder: Path, options: ReadOptions | None = None) -> Trace:
    return read_trace(write(name, folder), options=options).trace


def seconds(column: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> list[float]:
    return (column / S).tolist()


def test_every_format_but_parquet_has_a_sample() -> None:
    assert {*SAMPLES, "parquet"} == set(FORMATS)


@pytest.mark.parametrize("name", SAMPLES)
def test_format_is_told_by_its_files_plain_or_compressed(name: str, tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    found = [read_trace(write(name, plain)), read_trace(write(name, packed, compress=True))]
    assert [one.source["kind"] for one in found] == [name, name]
    one, other = (each.trace for each in found)
    assert one.functions.keys == other.functions.keys or name == "servegen"
    for column in ("arrival_ns", "function", "duration_ns", "status"):
        assert np.array_equal(getattr(one, column), getattr(other, column)), column


@pytest.mark.parametrize("name", SAMPLES)
def test_same_files_and_seed_give_the_same_trace(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    one, other = (read_trace(path, format_name=name, options=ReadOptions(seed=5)).trace for _ in range(2))
    for column in ("arrival_ns", "function", "duration_ns"):
        assert np.array_equal(getattr(one, column), getattr(other, column))
    assert np.array_equal(one.functions.init_ns, other.functions.init_ns)


def test_azure2021_arrivals_are_ends_less_durations(tmp_path: Path) -> None:
    trace = sample("azure2021", tmp_path)
    assert trace.origin_ms == 10_000
    assert trace.functions.keys == ("a/f", "a/g", "b/f")
    assert trace.functions.apps == ("a", "a", "b")
    assert trace.function.tolist() == [1, 0, 2]
    assert seconds(trace.arrival_ns) == [0.0, 0.25, 2.375]
    assert seconds(trace.duration_ns) == [2.0, 0.25, 0.125]
    assert set(trace.functions.memory_mb.tolist()) == {170}


def test_memory_that_is_not_told_is_what_the_user_says(tmp_path: Path) -> None:
    assert set(sample("azure2021", tmp_path, ReadOptions(memory_mb=512)).functions.memory_mb.tolist()) == {512}


def test_azure_llm_durations_follow_from_tokens(tmp_path: Path) -> None:
    trace = sample("azure-llm", tmp_path, ReadOptions(prefill_per_s=1000, decode_per_s=10))
    assert trace.functions.keys == ("code", "conv")
    assert trace.origin_ms == 1_700_158_623_979
    assert trace.arrival_ns[:2].tolist() == [960_000, 52_960_000]
    assert seconds(trace.duration_ns) == [5.808, 3.98, 4.774]
    assert trace.context_tokens is not None
    assert trace.generated_tokens is not None
    assert (trace.context_tokens.tolist(), trace.generated_tokens.tolist()) == ([4808, 3180, 374], [10, 8, 44])
    assert {name: seconds(column) for name, column in trace.functions.stages.items()} == {"load": [28.0, 28.0]}


def test_huawei2023_counts_durations_and_memory_are_those_of_the_tables(tmp_path: Path) -> None:
    trace = sample("huawei2023", tmp_path)
    assert trace.functions.keys == ("28", "33")
    assert trace.function.tolist() == [0, 0, 0, 1, 1]
    assert (trace.duration_ns / MS).tolist() == [40.0, 40.0, 40.0, 75.5, 75.5]
    assert trace.functions.memory_mb.tolist() == [256, 300]
    moments_s = trace.origin_ms / 1000 + trace.arrival_ns / S
    assert (moments_s < 60).tolist() == [True, True, True, False, False]


def test_huawei2023_without_durations_takes_the_stated_one(tmp_path: Path) -> None:
    folder = write("huawei2023", tmp_path)
    (folder / "function_delay_minute" / "day_000.csv").unlink()
    assert set(read_trace(folder, options=ReadOptions(duration_ms=7)).trace.duration_ns.tolist()) == {7 * MS}


def test_huawei2023_seconds_are_slots_of_a_second(tmp_path: Path) -> None:
    (tmp_path / "requests_second").mkdir()
    (tmp_path / "requests_second" / "day_000.csv").write_text("day,time,5\n0,0,100\n0,7,100\n")
    trace = read_trace(tmp_path).trace
    moments_s = trace.origin_ms / 1000 + trace.arrival_ns / S
    assert np.floor(moments_s).tolist() == [0.0] * 100 + [7.0] * 100
    assert len(np.unique(moments_s)) > 150


def test_huawei2025_starts_are_the_parts_of_the_median_event(tmp_path: Path) -> None:
    trace = sample("huawei2025", tmp_path)
    table = trace.functions
    assert table.keys == ("296---224---pool22-300-128", "400---418---pool24-600-512")
    assert table.memory_mb.tolist() == [128, 512]
    assert (table.runtimes, table.triggers, table.apps) == (("Python3", ""), ("workflow-S", ""), ("224", "418"))
    assert table.create_ns is not None
    assert seconds(table.create_ns) == [0.5, 0.5]
    assert {name: seconds(column) for name, column in table.stages.items()} == {
        "deploy_code": [0.5, 0.5],
        "deploy_dependency": [0.25, 0.25],
        "scheduling": [0.75, 0.75],
    }
    assert seconds(table.init_ns) == [1.5, 1.5]
    assert (trace.origin_ms, seconds(trace.arrival_ns)) == (100_000, [0.0, 0.75])


def test_huawei2025_requests_alone_are_enough(tmp_path: Path) -> None:
    write("huawei2025", tmp_path)
    trace = read_trace(tmp_path / "R2_00000.csv").trace
    assert (len(trace), trace.functions.create_ns, dict(trace.functions.stages)) == (2, None, {})


def test_genai2026_leaves_out_what_was_not_executed_and_says_so(tmp_path: Path) -> None:
    found = read_trace(write("genai2026", tmp_path))
    trace = found.trace
    assert trace.functions.keys == ("M0000", "M0001")
    assert seconds(trace.duration_ns) == [32.0, 3.0]
    assert trace.status.tolist() == [200, 500]
    assert found.source["left_out"] == 1
    assert "1 requests were not executed" in found.notes[0]
    stages = {name: seconds(column) for name, column in trace.functions.stages.items()}
    assert stages == {"base_model": [8.0, 8.0], "lora": [0.0, 0.5]}


def test_mooncake_times_are_milliseconds(tmp_path: Path) -> None:
    trace = sample("mooncake", tmp_path, ReadOptions(prefill_per_s=1000, decode_per_s=100))
    assert seconds(trace.arrival_ns) == [0.0, 3.0]
    assert seconds(trace.duration_ns) == [11.758, 12.222]
    assert trace.functions.keys == ("conversation_trace",)


def test_servegen_draws_as_many_requests_as_its_rates_say(tmp_path: Path) -> None:
    windows = "".join(f"{600 * window},0.5,1.0,Gamma,1.0,2.0\n" for window in range(100))
    folder = write("servegen", tmp_path, {"chunk-0-trace.csv": windows.encode()})
    trace = read_trace(folder).trace
    assert len(trace) == pytest.approx(30_000, rel=0.03)
    assert trace.context_tokens is not None
    assert np.unique(trace.context_tokens).tolist() == [100, 200]
    assert np.mean(trace.context_tokens == 100) == pytest.approx(0.5, abs=0.02)
    gaps_s = np.diff(trace.arrival_ns) / S
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=0.05)


def test_servegen_windows_are_filled_to_their_end_when_the_law_disagrees_with_the_rate(tmp_path: Path) -> None:
    window = b"0,0.5,1.0,Gamma,1.0,0.1\n"
    trace = read_trace(write("servegen", tmp_path, {"chunk-0-trace.csv": window})).trace
    assert len(trace) == pytest.approx(6_000, rel=0.05)
    assert trace.length_ns / S > 599


def test_servegen_windows_without_a_law_are_silent(tmp_path: Path) -> None:
    trace = sample("servegen", tmp_path)
    moments_s = trace.origin_ms / 1000 + trace.arrival_ns / S
    assert not ((moments_s >= 600) & (moments_s < 1200)).any()
    assert (moments_s < 1800).all()


def test_csv_roles_are_columns_of_their_own_name(tmp_path: Path) -> None:
    trace = sample("csv", tmp_path)
    assert trace.functions.keys == ("b", "a")
    assert (trace.function.tolist(), seconds(trace.arrival_ns)) == ([1, 0, 0], [0.0, 4.5, 5.0])
    assert (trace.status.tolist(), seconds(trace.duration_ns)) == ([500, 200, 200], [0.5, 0.25, 0.125])
    assert (trace.functions.memory_mb.tolist(), trace.functions.apps) == ([300, 64], ("web", "web"))


CSV_FILES = {
    "milliseconds": (
        "ts,fn,ms\n1500,a,20\n2000,b,30\n",
        ReadOptions(columns={"arrival": "ts", "function": "fn", "duration": "ms"}, time_unit="ms"),
        ([0, 0.5], [0.02, 0.03]),
    ),
    "unit of a column": (
        "t,ms\n1.5,20\n2,30\n",
        ReadOptions(columns={"arrival": "t:s", "duration": "ms:ms"}, time_unit="ns"),
        ([0, 0.5], [0.02, 0.03]),
    ),
    "spans": (
        "name,b,e\nGET /,1700158623979960001,1700158623980960001\nGET /,1700158624979960001,1700158624979960002\n",
        ReadOptions(columns={"arrival": "b", "end": "e", "function": "name"}, time_unit="ns"),
        ([0.000960001, 1.000960001], [0.001, 1e-9]),
    ),
    "access log": (
        "time,uri,request_time\n2024-05-10T17:03:04+02:00,/a,1\n2024-05-10T15:03:04.5Z,/b,0.5\n",
        ReadOptions(columns={"end": "time", "function": "uri", "duration": "request_time"}),
        ([0, 1], [1, 0.5]),
    ),
    "arrivals alone": ("at\n0\n3\n", ReadOptions(columns={"arrival": "at"}), ([0, 3], [0.1, 0.1])),
    "tokens": (
        "at,i,o\n0,100,0\n3,0,20\n",
        ReadOptions(
            columns={"arrival": "at", "context_tokens": "i", "generated_tokens": "o"},
            prefill_per_s=100,
            decode_per_s=10,
        ),
        ([0, 3], [1, 2]),
    ),
}


@pytest.mark.parametrize("name", CSV_FILES)
def test_csv_columns_are_mapped(tmp_path: Path, name: str) -> None:
    text, options, (arrivals_s, durations_s) = CSV_FILES[name]
    (tmp_path / "log.csv").write_text(text)
    trace = read_trace(tmp_path / "log.csv", options=options).trace
    assert seconds(trace.arrival_ns) == pytest.approx(arrivals_s, abs=1e-10)
    assert seconds(trace.duration_ns) == pytest.approx(durations_s, abs=1e-10)


def test_timer_placement_puts_timers_at_the_minute_and_no_others(tmp_path: Path) -> None:
    trace = sample("azure2019", tmp_path, ReadOptions(placement="timer"))
    moments_s = trace.origin_ms / 1000 % 86_400 + trace.arrival_ns / S
    timer = trace.functions.keys.index("g")
    assert moments_s[trace.function == timer].tolist() == [0.0, 60.0, 80.0, 100.0]
    assert (moments_s[trace.function != timer] % 1 != 0).all()


@pytest.mark.parametrize("placement", ["uniform", "even", "timer"])
def test_placements_keep_every_count(tmp_path: Path, placement: str) -> None:
    trace = sample("azure2019", tmp_path, ReadOptions(placement=placement))
    minute = ((trace.origin_ms * MS + trace.arrival_ns.astype(np.int64)) // (60 * S)) % 1440
    assert [(minute == wanted).sum() for wanted in (0, 1)] == [3, 3]


def test_several_azure_days_follow_each_other(tmp_path: Path) -> None:
    folder = write("azure2019", tmp_path)
    for path in list(folder.iterdir()):
        if "memory" not in path.name:
            text = path.read_text().replace("o,a,g", "o,b,h")
            (folder / path.name.replace(".d01", ".d02")).write_text(text)
    found = read_trace(folder)
    trace = found.trace
    assert trace.functions.keys == ("f", "g", "h")
    assert trace.functions.memory_mb.tolist() == [101, 101, 101]
    day = (trace.origin_ms * MS + trace.arrival_ns.astype(np.int64)) // (86_400 * S)
    assert (len(trace), np.unique(day - day[0], return_counts=True)[1].tolist()) == (12, [6, 6])
    assert set(trace.function[:6].tolist()) == {0, 1}
    assert set(trace.function[6:].tolist()) == {0, 2}
    assert found.source["without_memory"] == 1
    assert [Path(name).name[-7:] for name in found.source["durations"]] == ["d01.csv", "d02.csv"]


def test_days_that_lack_a_table_are_named(tmp_path: Path) -> None:
    folder = write("azure2019", tmp_path)
    (folder / "invocations.d02.csv").write_text((folder / "invocations_per_function_md.anon.d01.csv").read_text())
    with pytest.raises(TraceError, match="has no durations file of day 02; put it there"):
        read_trace(folder)


def test_wrong_format_by_force_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = write("mooncake", tmp_path)
    with pytest.raises(TraceError, match=r"conversation_trace.jsonl:1: the column app is missing"):
        read_trace(path, format_name="azure2021")


@needs_data
@pytest.mark.parametrize(
    ("name", "kind", "requests", "functions"),
    [
        ("azure2021", "azure2021", 998, 49),
        ("azure_llm_2023", "azure-llm", 28_185, 2),
        ("azure_llm_2023/code.csv.gz", "azure-llm", 8_819, 1),
    ],
)
def test_recorded_data_is_read_whole(name: str, kind: str, requests: int, functions: int) -> None:
    found = read_trace(DATA / name)
    assert (found.source["kind"], len(found.trace), len(found.trace.functions)) == (kind, requests, functions)
