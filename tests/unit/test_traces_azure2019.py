"""The reader of the Azure Functions trace of 2019."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from pilotlight.errors import TraceError
from pilotlight.simulation.command import simulate
from pilotlight.starts.huawei import BY_POD_S, pod_quantile
from pilotlight.traces import Azure2019, ReadOptions, Trace, read_azure2019, read_trace
from pilotlight.traces.readers.azure2019 import ORIGIN_MS
from pilotlight.traces.start_costs import CREATE_MS, REGION, draw_cold_starts

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "azure2019"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")

MS = 1_000_000
MINUTE_NS = 60_000 * MS

INVOCATIONS = """\
HashOwner,HashApp,HashFunction,Trigger,1,2,3
o1,a1,f1,http,2,0,3
o1,a1,f2,timer,0,1,0
o2,a2,f3,queue,0,0,0
"""
DURATIONS = """\
HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,percentile_Average_1,\
percentile_Average_25,percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100
o1,a1,f1,30,5,10.0,90.0,10,11,20,30,40,80,90
o2,a2,f3,3000,5,1000.0,900000.0,1000,1100,2000,3000,4000,8000,900000
o1,a1,f2,7,5,7.0,7.0,7,7,7,7,7,7,7
"""
MEMORY_BY_FUNCTION = """\
HashFunction,HashOwner,HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct1
f2,o1,a1,10,0.2,0.1
f1,o1,a1,10,120.5,100
f3,o2,a2,10,300.0,200
"""
MEMORY_BY_APP = """\
HashOwner,HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct1
o2,a2,10,300.0,200
o1,a1,10,120.5,100
"""


def data_set(
    folder: Path, invocations: str = INVOCATIONS, durations: str = DURATIONS, memory: str = MEMORY_BY_FUNCTION
) -> Path:
    (folder / "invocations_per_function_md.anon.d01.csv").write_text(invocations)
    (folder / "function_durations_percentiles.anon.d01.csv").write_text(durations)
    (folder / "app_memory_percentiles.anon.d01.csv").write_text(memory)
    return folder


def refusal(folder: Path, **options: Any) -> str:  # noqa: ANN401 - whatever the reader takes
    with pytest.raises(TraceError) as caught:
        read_azure2019(folder, **options)
    return str(caught.value)


def columns(trace: Trace) -> list[np.ndarray[Any, Any]]:
    return [trace.arrival_ns, trace.function, trace.duration_ns, trace.functions.init_ns, trace.functions.memory_mb]


def counted(made: Azure2019) -> dict[tuple[str, int], int]:
    """Count the requests of each function and minute of the day."""
    trace = made.trace
    minutes = ((trace.origin_ms - ORIGIN_MS) * MS + trace.arrival_ns.astype(np.int64)) // MINUTE_NS + 1
    pairs, counts = np.unique(np.stack([trace.function, minutes]), axis=1, return_counts=True)
    keys = trace.functions.keys
    return {(keys[function], minute): count for (function, minute), count in zip(pairs.T.tolist(), counts, strict=True)}


def test_counts_of_each_minute_are_exact(tmp_path: Path) -> None:
    made = read_azure2019(data_set(tmp_path))
    assert counted(made) == {("f1", 1): 2, ("f1", 3): 3, ("f2", 2): 1}
    assert made.trace.functions.keys == ("f1", "f2", "f3")
    assert made.without_memory is not None
    assert (made.without_durations[0].missing, made.without_memory.missing) == (0, 0)


def test_columns_of_minutes_need_not_start_at_the_first_or_be_in_order(tmp_path: Path) -> None:
    made = read_azure2019(data_set(tmp_path, INVOCATIONS.replace("1,2,3\n", "1440,480,481\n", 1)))
    assert counted(made) == {("f1", 1440): 2, ("f1", 481): 3, ("f2", 480): 1}


def test_durations_lie_between_the_functions_percentiles(tmp_path: Path) -> None:
    trace = read_azure2019(data_set(tmp_path)).trace
    of_first = trace.duration_ns[trace.function == 0]
    assert 10 * MS <= of_first.min() <= of_first.max() <= 90 * MS
    assert trace.duration_ns[trace.function == 1].tolist() == [7 * MS]
    assert trace.functions.timeout_s.tolist() == [600, 600, 900]


def test_many_durations_have_the_functions_percentiles(tmp_path: Path) -> None:
    trace = read_azure2019(data_set(tmp_path, INVOCATIONS.replace("http,2", "http,20000"))).trace
    of_first = trace.duration_ns[trace.function == 0] / MS
    assert np.quantile(of_first, [0.01, 0.25, 0.5, 0.75, 0.99]) == pytest.approx([11, 20, 30, 40, 80], rel=0.03)


def test_requests_are_spread_evenly_over_their_minute(tmp_path: Path) -> None:
    trace = read_azure2019(data_set(tmp_path, INVOCATIONS.replace("http,2", "http,20000"))).trace
    first = trace.arrival_ns[:20_000] / MINUTE_NS
    assert np.quantile(first, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.02)


@pytest.mark.parametrize("memory", [MEMORY_BY_FUNCTION.replace("0.2", "120.5"), MEMORY_BY_APP])
def test_memory_joins_by_function_or_by_app(tmp_path: Path, memory: str) -> None:
    assert read_azure2019(data_set(tmp_path, memory=memory)).trace.functions.memory_mb.tolist() == [121, 121, 300]


def test_memory_is_rounded_up_to_at_least_one(tmp_path: Path) -> None:
    assert read_azure2019(data_set(tmp_path)).trace.functions.memory_mb.tolist() == [121, 1, 300]
    none = MEMORY_BY_FUNCTION.replace("0.2", "0")
    assert read_azure2019(data_set(tmp_path, memory=none)).trace.functions.memory_mb.tolist() == [121, 1, 300]


def test_functions_without_a_row_get_the_median_of_the_others_and_are_counted(tmp_path: Path) -> None:
    durations = "".join(line for line in DURATIONS.splitlines(keepends=True) if not line.startswith("o1,a1,f2"))
    made = read_azure2019(data_set(tmp_path, durations=durations, memory=MEMORY_BY_APP.replace("o2,a2", "o9,a9")))
    assert (made.without_durations[0].missing, made.without_memory.missing) == (1, 1)
    assert made.trace.functions.memory_mb.tolist() == [121, 121, 121]
    (took,) = made.trace.duration_ns[made.trace.function == 1].tolist()
    assert (10 + 1000) / 2 * MS <= took <= (90 + 900_000) / 2 * MS


def test_same_hash_in_two_apps_stays_two_functions(tmp_path: Path) -> None:
    twice = {name: text.replace("f3", "f1") for name, text in (("invocations", INVOCATIONS), ("durations", DURATIONS))}
    made = read_azure2019(data_set(tmp_path, **twice, memory=MEMORY_BY_APP))
    assert made.trace.functions.keys == ("a1/f1", "a1/f2", "a2/f1")
    assert made.trace.functions.memory_mb.tolist() == [121, 121, 300]


def test_start_is_a_published_quantile_less_the_create_time() -> None:
    levels = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])
    small, large = BY_POD_S[REGION]
    for size, quartiles in enumerate((small, large)):
        times = pod_quantile(REGION, size, levels)
        assert times[2:5] == pytest.approx(quartiles)
        assert times[0] == times[1] < times[2]
        assert times[4] < times[5] == times[6]
        assert np.log(times[5] / times[4]) == pytest.approx(0.8 * np.log(times[4] / times[3]))
    memory_mb = np.repeat(np.array([256, 257], dtype=np.uint64), 4000)
    drawn = draw_cold_starts(memory_mb, np.random.default_rng(1))
    assert np.quantile(drawn[:4000], [0.25, 0.5, 0.75]) == pytest.approx(small, rel=0.1)
    assert np.quantile(drawn[4000:], [0.25, 0.5, 0.75]) == pytest.approx(large, rel=0.1)


def test_init_is_the_start_without_the_create_time(tmp_path: Path) -> None:
    init_ms = read_azure2019(data_set(tmp_path)).trace.functions.init_ns / MS
    low, high = pod_quantile(REGION, 0, np.array([0.0, 1.0])) * 1000 - CREATE_MS
    assert low - 1e-6 <= init_ms[:2].min() <= init_ms[:2].max() <= high + 1e-6
    assert len(set(init_ms.tolist())) == 3


def test_seed_decides_everything_that_is_drawn(tmp_path: Path) -> None:
    one, same, other = (read_azure2019(data_set(tmp_path), seed=seed).trace for seed in (5, 5, 6))
    assert all(np.array_equal(left, right) for left, right in zip(columns(one), columns(same), strict=True))
    assert one.origin_ms == same.origin_ms
    assert not np.array_equal(one.arrival_ns, other.arrival_ns)
    assert not np.array_equal(one.duration_ns, other.duration_ns)
    assert not np.array_equal(one.functions.init_ns, other.functions.init_ns)


def test_compressed_files_read_the_same(tmp_path: Path) -> None:
    plain = read_azure2019(data_set(tmp_path)).trace
    for path in list(tmp_path.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = read_azure2019(tmp_path).trace
    assert all(np.array_equal(left, right) for left, right in zip(columns(plain), columns(packed), strict=True))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("http,2,0,3", "http,2,-4,3", ":2: 2 is -4; it must be from 0"),
        ("http,2,0,3", "http,2,0,4294967296", ":2: 3 is 4294967296; it must be from 0"),
        ("timer,0,1,0", "timer,0,1.5,0", ":3: 2 is 1.5; it must be a whole number (requests in minute 2 of the day)"),
        ("timer,0,1,0", "timer,0,many,0", ":3: 2 is many; it must be a whole number"),
        ("timer,0,1,0", "timer,0,,0", ":3: 2 is empty"),
        ("timer,0,1,0", "timer,0,1", ":3: has 6 fields, the header names 7"),
        ("timer,0,1,0", "timer,0,1,0,0", ":3: has 8 fields, the header names 7"),
        ("o1,a1,f2", "o1,a1,", ":3: HashFunction is empty"),
        ("o1,a1,f2", "o1,a1,f1", ":3: HashFunction f1 was given in a line above"),
        ("o2,a2,f3", "\no2,a2,f3", ":4: the line is blank"),
        ("HashApp", "App", ":1: the column HashApp is missing (the app's hashed name); the header has HashOwner, App"),
        ("1,2,3\n", "1,2,2\n", ":1: the column 2 occurs twice"),
        ("1,2,3\n", "1,2,1441\n", ":1: the column 1441 is no minute of a day"),
        ("1,2,3\n", "x,y,z\n", ":1: has no column of counts"),
        (INVOCATIONS.partition("\n")[2], "", ": has a header and no rows"),
        (INVOCATIONS, "", ":1: the header is missing"),
        (INVOCATIONS.partition("\n")[2], "o1,a1,f1,http,0,0,0\n", ": counts 0 requests"),
    ],
    ids=str,
)
def test_wrong_invocations_are_named(tmp_path: Path, old: str, new: str, text: str) -> None:
    message = refusal(data_set(tmp_path, INVOCATIONS.replace(old, new, 1)))
    assert message.startswith(f"{tmp_path / 'invocations_per_function_md.anon.d01.csv'}{text}")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("10,11,20", "-1,11,20", ":2: percentile_Average_0 is -1; it must be from 0"),
        ("10,11,20", "10,nan,20", ":2: percentile_Average_1 is nan; it must be a number (milliseconds)"),
        ("10,11,20", "10,,20", ":2: percentile_Average_1 is empty"),
        ("10,11,20", "10,9,20", ":2: percentile_Average_1 is 9, less than 10 of percentile_Average_0"),
        ("percentile_Average_99", "p99", ":1: the column percentile_Average_99 is missing (milliseconds)"),
        ("HashFunction", "Function", ":1: has neither a column HashFunction nor HashOwner and HashApp"),
    ],
    ids=str,
)
def test_wrong_durations_are_named(tmp_path: Path, old: str, new: str, text: str) -> None:
    durations = DURATIONS.replace(old, new, 1)
    if old == "HashFunction":
        durations = durations.replace("HashApp", "App", 1)
    message = refusal(data_set(tmp_path, durations=durations))
    assert message.startswith(f"{tmp_path / 'function_durations_percentiles.anon.d01.csv'}{text}")


@pytest.mark.parametrize(
    ("memory", "text"),
    [
        (MEMORY_BY_FUNCTION.replace("120.5", "-3"), ":3: AverageAllocatedMb is -3; it must be from 0"),
        (MEMORY_BY_FUNCTION.replace("120.5", "1e9"), ":3: AverageAllocatedMb is 1e9; it must be from 0"),
        (MEMORY_BY_FUNCTION.replace("120.5", "much"), ":3: AverageAllocatedMb is much; it must be a number (MB)"),
        (MEMORY_BY_APP.replace("o1", "o7").replace("o2", "o8"), ": no row has the HashOwner, HashApp of an invoked"),
    ],
    ids=["negative", "huge", "words", "no join"],
)
def test_wrong_memory_is_named(tmp_path: Path, memory: str, text: str) -> None:
    message = refusal(data_set(tmp_path, memory=memory))
    assert message.startswith(f"{tmp_path / 'app_memory_percentiles.anon.d01.csv'}{text}")


def test_missing_and_several_files_are_named(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "memory_of_another_day.csv").write_text(MEMORY_BY_APP)
    assert "has several memory files (app_memory_percentiles.anon.d01.csv, memory_of_another_day.csv)" in refusal(
        tmp_path
    )
    for path in tmp_path.glob("*durations*"):
        path.unlink()
    assert (
        refusal(tmp_path)
        == f"{tmp_path}: has no durations file; looked for *durations*.csv and *durations*.csv.gz; put it there"
    )


def test_of_doubled_rows_the_one_with_more_samples_is_taken_and_they_are_counted(tmp_path: Path) -> None:
    less, more = "\no1,a1,f2,9,4,9.0,9.0,9,9,9,9,9,9,9", "\no1,a1,f2,8,6,8.0,8.0,8,8,8,8,8,8,8"
    memory = MEMORY_BY_APP + "o1,a1,11,64.0,64\no1,a1,,32.0,32\n"
    data_set(tmp_path, durations=DURATIONS.rstrip() + less + more + less, memory=memory)
    notes: list[str] = []
    trace = read_azure2019(tmp_path, notes=notes).trace
    assert set(trace.duration_ns[trace.function == 1].tolist()) == {8 * MS}
    assert trace.functions.memory_mb.tolist() == [64, 64, 300]
    assert "durations_percentiles.anon.d01.csv: rows that repeat a HashFunction: 3; the one" in notes[1]
    assert "app_memory_percentiles.anon.d01.csv: rows that repeat a HashApp: 2; the one" in notes[2]


def test_of_doubled_rows_without_samples_the_first_is_taken(tmp_path: Path) -> None:
    memory = "HashOwner,HashApp,AverageAllocatedMb\no1,a1,64\no2,a2,300\no1,a1,128\n"
    trace = read_azure2019(data_set(tmp_path, memory=memory)).trace
    assert trace.functions.memory_mb.tolist() == [64, 64, 300]


def test_a_function_counted_twice_is_refused(tmp_path: Path) -> None:
    message = refusal(data_set(tmp_path, invocations=INVOCATIONS + "o1,a1,f1,http,1,0,0\n"))
    assert ":5: HashFunction f1 was given in a line above; keep one of them" in message


def test_without_a_memory_table_every_function_has_the_default_and_it_is_said_once(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "app_memory_percentiles.anon.d01.csv").unlink()
    for path in list(tmp_path.iterdir()):
        (tmp_path / path.name.replace(".d01", ".d02")).write_text(path.read_text())
    found = read_trace(tmp_path)
    assert found.trace.functions.memory_mb.tolist() == [170, 170, 170]
    assert found.notes == (f"{tmp_path}: has no memory file; every function has 170 MB, --memory says otherwise",)
    assert "memory" not in found.source
    told = read_trace(tmp_path, options=ReadOptions(memory_mb=512))
    assert told.trace.functions.memory_mb.tolist() == [512, 512, 512]


def test_days_without_a_memory_table_are_said_once_and_have_that_of_the_others(tmp_path: Path) -> None:
    data_set(tmp_path)
    for path in list(tmp_path.iterdir()):
        for day in ("d02", "d03"):
            if "memory" not in path.name:
                (tmp_path / path.name.replace("d01", day)).write_text(path.read_text().replace("f2", "f4"))
    found = read_trace(tmp_path)
    assert dict(zip(found.trace.functions.keys, found.trace.functions.memory_mb.tolist(), strict=True)) == {
        "f1": 121,
        "f2": 1,
        "f3": 300,
        "f4": 121,
    }
    (said,) = (note for note in found.notes if "have no memory file" in note)
    assert said == f"{tmp_path}: 2 of 3 days have no memory file; functions have that of other days"


def test_damaged_file_is_named(tmp_path: Path) -> None:
    data_set(tmp_path)
    path = tmp_path / "app_memory_percentiles.anon.d01.csv"
    path.unlink()
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(MEMORY_BY_APP.encode())[:-12])
    assert str(packed) in refusal(tmp_path)
    assert "ends early" in refusal(tmp_path)


def test_options_out_of_range_are_named(tmp_path: Path) -> None:
    assert "seed is -1" in refusal(data_set(tmp_path), seed=-1)
    assert (
        refusal(tmp_path, placement="odd") == "placement odd is not known; choose one of uniform, poisson, even, timer"
    )


def test_command_plays_the_folder_and_reports_its_source(tmp_path: Path) -> None:
    data_set(tmp_path, memory=MEMORY_BY_APP.replace("o2,a2", "o9,a9"))
    arguments = [str(tmp_path), "--policy", "break_even", "--seed", "9", "--json=-"]
    result = CliRunner().invoke(simulate, arguments, catch_exceptions=False)
    assert "1 of 3 functions have no row; they get the median of the others" in result.stderr
    found = json.loads(result.stdout)["trace"]
    assert found["requests"] == 6
    source = found["source"]
    assert (source["kind"], source["seed"], source["placement"]) == ("azure2019", 9, "uniform")
    assert (source["without_durations"], source["without_memory"]) == (0, 1)
    assert source["invocations"] == str(tmp_path / "invocations_per_function_md.anon.d01.csv")


@needs_data
def test_recorded_sample_keeps_every_count() -> None:
    made = read_azure2019(DATA)
    table = pl.read_csv(DATA / "invocations.csv.gz")
    minutes = [name for name in table.columns if name.isdecimal()]
    expected = {
        (key, int(minute)): count
        for minute in minutes
        for key, count in zip(table["HashFunction"], table[minute], strict=True)
        if count
    }
    assert len(made.trace) == sum(expected.values()) == 3_037_902
    assert counted(made) == expected
    assert made.without_memory is not None
    assert (made.without_durations[0].missing, made.without_memory.missing) == (0, 0)
    durations = pl.read_csv(DATA / "durations.csv.gz").join(table.select("HashFunction"), on="HashFunction")
    longest = dict(zip(durations["HashFunction"], durations["percentile_Average_100"], strict=True))
    limit_ms = np.array([longest[key] for key in made.trace.functions.keys])
    assert (made.trace.duration_ns <= limit_ms[made.trace.function] * MS).all()
