"""What is wrong with a trace is said in one line, with the file, the place and the remedy, and ends with status 2."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pytest
from trace_samples import SAMPLES, write

from pilotlight import cli
from pilotlight.traces import generate, read_trace
from pilotlight.traces.parquet import META, write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Case(NamedTuple):
    """A file of a sample, what is put into it instead of what, and what the error must say."""

    name: str
    file: str
    old: str
    new: str
    text: str


AZURE_2019 = tuple(SAMPLES["azure2019"])
AZURE_2021, CODE, R2 = "trace.csv", "code.csv", "R2_00000.csv"
WHOLE = "*"
"""In place of `old`: the whole file."""

CASES = [
    # contest
    Case("contest", "requests", '"startTime": 1500', '"startTime": 500', "requests:2: startTime is 500, before 1000"),
    Case("contest", "requests", '"durationsInMs": 30', '"durationsInMs": -30', "requests:2: durationsInMs is -30"),
    Case("contest", "requests", '"durationsInMs": 30', '"durationsInMs": NaN', "requests:2: not usable JSON: NaN"),
    Case("contest", "requests", '"metaKey": "g"', '"metaKey": "h"', "requests:2: metaKey h is not in"),
    Case("contest", "requests", ', "statusCode": 500', "", "requests:2: the field statusCode is missing"),
    Case("contest", "requests", WHOLE, "", "has no requests"),
    Case("contest", "metas", '"key": "g"', '"key": "f"', "metas:2: key f was given in line 1; keep one of them"),
    Case("contest", "metas", '"memoryInMb": 512', '"memoryInMb": 1e30', "metas:2: memoryInMb is 1e+30"),
    Case("contest", "metas", '"memoryInMb": 512', '"memoryInMb": 99999999999', "metas:2: memoryInMb is 99999999999"),
    # tables of counts
    Case("azure2019", AZURE_2019[0], "1,3", "1,-3", ".csv:3: 2 is -3; it must be from 0"),
    Case("azure2019", AZURE_2019[0], "1,3", "1,99999999999", ".csv:3: 2 is 99999999999; it must be from 0"),
    Case("azure2019", AZURE_2019[0], "HashApp", "App", ".csv:1: the column HashApp is missing"),
    Case("azure2019", AZURE_2019[1], "1,2,3,4,5,6,7", "1,2,3,4,9,6,7", "percentiles must ascend"),
    Case("huawei2023", "requests_minute/day_000.csv", "0,0,3.0,", "0,0,-3.0,", "day_000.csv:2: 28 is -3.0"),
    Case("huawei2023", "requests_minute/day_000.csv", "28,33", "28,28", "day_000.csv:1: the column 28 occurs twice"),
    Case("huawei2023", "requests_minute/day_000.csv", "day,time,28,33", "day,time", "1: has no column of a function"),
    Case("huawei2023", "requests_minute/day_000.csv", "3.0", "1e12", "28 is 1e12; it must be from 0 to 1e+09"),
    Case("huawei2023", "instances_minute/day_000.csv", "\n0,60,3.0,1.0", "", "take both of one day"),
    # tables of requests
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,f,12.5,-0.125", "trace.csv:4: duration is -0.125"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,f,nan,0.125", "trace.csv:4: end_timestamp is nan"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,f,inf,0.125", "trace.csv:4: end_timestamp is inf"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,f,1e300,0.125", "trace.csv:4: end_timestamp is 1e300"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,,12.5,0.125", "trace.csv:4: func is empty"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,f,12.5", "trace.csv:4: has 3 fields, the header names 4"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "b,f,12.5,0.125,9", "trace.csv:4: has 5 fields"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", "\nb,f,12.5,0.125", "trace.csv:4: the line is blank"),
    Case("azure2021", AZURE_2021, "b,f,12.5,0.125", '"b,f,12.5,0.125', "trace.csv:4: is not CSV"),
    Case("azure2021", AZURE_2021, WHOLE, "app,func,end_timestamp,duration\n", "has a header and no rows"),
    Case("azure-llm", CODE, "4808", "-4808", "code.csv:2: ContextTokens is -4808"),
    Case("azure-llm", CODE, "4808", "1.5", "code.csv:2: ContextTokens is 1.5; it must be a whole number"),
    Case("azure-llm", CODE, "2023-11-16", "16/11/2023", "code.csv:2: TIMESTAMP is 16/11/2023"),
    Case("azure-llm", CODE, "2023-11-16", "9999-11-16", "it must be like 2024-05-10 17:03:04.979, from 1970 to 2199"),
    Case("azure-llm", CODE, "2023-11-16", "2023-02-30", "code.csv:2: TIMESTAMP is 2023-02-30"),
    Case("huawei2025", R2, "pool22-300-128-0000618412", "pod-1", "2: podID is pod-1; it must begin with its pool"),
    Case(
        "huawei2025", "day_00.csv", "0,1.0,1,296,224,aa,3.0", "0,1.0,1,296,224,aa,", "2: totalCost_cold_start is empty"
    ),
    Case("genai2026", "lora_request_trace.csv", "32.0", "many", ".csv:2: exec_time_seconds is many"),
    Case("genai2026", "base_model_update_latency_anon.csv", "8000.0", "-1", ".csv:2: value is -1; it must be from 0"),
    Case("mooncake", "conversation_trace.jsonl", '"timestamp": 3000', '"timestamp": "x"', ".jsonl:2: timestamp is x"),
    Case("mooncake", "conversation_trace.jsonl", "[0, 14]}", "[0, 14]", ".jsonl:2: not JSON"),
    Case("servegen", "chunk-0-trace.csv", "Weibull", "Pareto", "chunk-0-trace.csv:3: Pareto with rate 0.25"),
    Case("servegen", "chunk-0-trace.csv", "1200,", "300,", "chunk-0-trace.csv:3: timestamp does not ascend"),
    Case("servegen", "chunk-0-dataset.json", WHOLE, "version https://git-lfs", "is not JSON"),
    Case("servegen", "chunk-0-dataset.json", WHOLE, "{}", "no window has distributions"),
    Case("servegen", "chunk-0-dataset.json", "100: 0.5", "100: 0.5e", "dataset.json: window 0: 100: 0.5e is no count"),
    Case("servegen", "chunk-0-dataset.json", "7: 1.0", "7: 1.2.3", "dataset.json: window 0: 7: 1.2.3 is no count"),
    Case("servegen", "chunk-0-dataset.json", "7: 1.0", "7: nan", "dataset.json: window 0: 7: nan is no count"),
    Case("servegen", "chunk-0-dataset.json", "100: 0.5", "9.5: 0.5", "dataset.json: window 0: 9.5: 0.5 is no count"),
    Case("servegen", "chunk-0-trace.csv", "1.0,2.0", "1.0,1e-9", "chunk-0-trace.csv:1: Gamma with shape 1.0, scale"),
    Case("servegen", "chunk-0-trace.csv", "1.0,2.0", "1e-9,2.0", "makes far more requests than the rate of 0.5"),
    Case("genai2026", "lora_request_trace.csv", "gmt_create", "created", "one table of requests is needed"),
    Case("csv", "log.csv", "arrival,", "when,", "log.csv"),
    Case("csv", "log.csv", "5.5,b", "-5.5,b", "log.csv:2: arrival is -5.5"),
    Case("csv", "log.csv", "5.5,b", "9e18,b", "log.csv:2: arrival is 9e18"),
    Case("csv", "log.csv", "256", "99999999999", "log.csv:2: memory_mb is 99999999999"),
    Case("csv", "log.csv", "5.5,b,0.25", "5.5,b,2e9", "duration is 2e9"),
]


def refusal(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command and return its one line."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", str(path), "--policy", "break_even", *arguments])
    captured = capsys.readouterr()
    assert ended.value.code == 2, captured.err
    assert captured.out == ""
    assert captured.err.startswith("pilotlight: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}:{case.new[:20]}")
def test_wrong_text_is_named(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SAMPLES[case.name][case.file]
    assert case.old == WHOLE or case.old in text
    changed = case.new if case.old == WHOLE else text.replace(case.old, case.new, 1)
    path = write(case.name, tmp_path, {case.file: changed.encode()})
    assert case.text in refusal(path, capsys, "--format", case.name)


@pytest.mark.parametrize(
    ("name", "file", "old"),
    [
        ("azure-llm", CODE, "10"),
        ("mooncake", "conversation_trace.jsonl", "500"),
        ("servegen", "chunk-0-dataset.json", "7"),
    ],
)
def test_tokens_that_take_longer_than_64_bits_hold_are_named(
    name: str, file: str, old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = SAMPLES[name][file].replace(old, "2000000000", 1).encode()
    message = refusal(write(name, tmp_path, {file: changed}), capsys, "--format", name, "--decode-per-s", "0.001")
    assert str(tmp_path) in message
    assert "it must be at most 1e+09 s: raise --prefill-per-s or --decode-per-s" in message


def test_folder_without_tables_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (
        ("genai2026", "one table of requests is needed"),
        ("huawei2025", "has no CSV files"),
        ("azure-llm", "has no CSV files"),
        ("azure2021", "is a folder with 0 tables of app, func, end_timestamp, duration; give the path of one file"),
        ("csv", "is a folder with 0 tables; give the path of one file"),
        ("mooncake", "is a folder with 0 files of JSON lines with input_length; give the path of one"),
    ):
        assert f"{tmp_path}: {text}" in refusal(tmp_path, capsys, "--format", name)


def test_wrong_bytes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = SAMPLES["azure2021"][AZURE_2021].encode()
    packed = gzip.compress(data * 2000)
    cut, bent = bytearray(packed), bytearray(packed)
    bent[len(bent) // 2] ^= 0xFF
    for index, (name, content, text) in enumerate(
        [
            ("cut.csv.gz", bytes(cut[: len(cut) // 2]), "the gzip file ends early, somewhere from line 1 on"),
            ("bent.csv.gz", bytes(bent), "damaged gzip data somewhere from line 1 on"),
            ("plain.csv.gz", data, "is named .gz but is not gzip data"),
            ("latin.csv", data.replace(b"b,f", b"\xe9,f"), "latin.csv:4: byte 1 of the line (0xe9) is not UTF-8"),
            ("long.csv", b"app,func,end_timestamp,duration\n" + b"x" * 5_000_000, "has more than 1048576 characters"),
            ("empty.csv", b"", "empty.csv:1: the header is missing"),
            ("nul.csv", data.replace(b"12.5", b"12\x00.5"), "nul.csv:4: end_timestamp is"),
        ]
    ):
        path = tmp_path / str(index) / name
        path.parent.mkdir()
        path.write_bytes(content)
        assert text in refusal(path, capsys, "--format", "azure2021"), name
        if name not in {"empty.csv", "nul.csv"}:
            assert text in refusal(path, capsys), name


def test_line_ends_and_byte_order_marks_of_other_systems_are_read(tmp_path: Path) -> None:
    for name in ("azure2021", "azure-llm", "csv", "genai2026", "huawei2023", "mooncake"):
        changed = {file: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for file, text in SAMPLES[name].items()}
        usual, other = write(name, tmp_path / name / "usual"), write(name, tmp_path / name / "other", changed)
        one, two = read_trace(usual).trace, read_trace(other).trace
        assert np.array_equal(one.arrival_ns, two.arrival_ns), name
        assert one.functions.keys == two.functions.keys, name


def test_paths_that_are_no_trace_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder or file" in refusal(tmp_path / "nowhere", capsys)
    assert "is no trace; looked for" in refusal(tmp_path, capsys)
    (tmp_path / "notes.txt").write_text("nothing")
    assert "is no trace; looked for" in refusal(tmp_path / "notes.txt", capsys)
    (tmp_path / "empty").touch()
    assert "empty: is empty; write or fetch it again" in refusal(tmp_path / "empty", capsys)
    write("azure2021", tmp_path)
    write("csv", tmp_path, {"more.csv": SAMPLES["azure-llm"][CODE].encode()})
    assert "files of several formats (azure2021, azure-llm)" in refusal(tmp_path, capsys)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--memory", "0"], "memory_mb is 0; it must be from 1"),
        (["--prefill-per-s", "0"], "prefill_per_s is 0"),
        (["--decode-per-s", "nan"], "decode_per_s is nan"),
        (["--duration-ms", "-1"], "duration_ms is -1"),
        (["--columns", "end=arrival"], "log.csv:1: the column arrival is given to both arrival and end"),
        (["--columns", "function=app"], "log.csv:1: the column app is given to both function and app"),
        (["--columns", "arrival=nope"], "log.csv:1: the column nope is missing"),
        (["--columns", "arrival=arrival:h"], "the unit of arrival=arrival:h is 'h'; choose one of s, ms, us, ns"),
    ],
    ids=str,
)
def test_wrong_options_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert text in refusal(write("csv", tmp_path), capsys, *arguments)


def _version(folder: Path) -> None:
    pl.read_parquet(folder / "requests.parquet").write_parquet(
        folder / "requests.parquet", metadata={f"{META}schema": "7", f"{META}origin_ms": "0"}
    )


def _origin(folder: Path) -> None:
    pl.read_parquet(folder / "requests.parquet").write_parquet(
        folder / "requests.parquet", metadata={f"{META}schema": "1", f"{META}origin_ms": str(2**63)}
    )


def _rewrite(folder: Path, file: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    about = pl.read_parquet_metadata(folder / file)
    kept = {name: value for name, value in about.items() if name.startswith(META)}
    change(pl.read_parquet(folder / file)).write_parquet(folder / file, metadata=kept)


def _requests(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    return lambda folder: _rewrite(folder, "requests.parquet", change)


def _functions(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    return lambda folder: _rewrite(folder, "functions.parquet", change)


def _at_row_5(name: str, value: int | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(pl.lit(value, dtype=frame[name].dtype)).otherwise(name).alias(name)
    )


PARQUET_CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "not Parquet": (lambda folder: (folder / "requests.parquet").write_text("x" * 50), "is not a Parquet file"),
    "cut": (
        lambda folder: (folder / "functions.parquet").write_bytes((folder / "functions.parquet").read_bytes()[:-20]),
        "functions.parquet: is not a Parquet file",
    ),
    "other version": (_version, "is of schema version 7, this Pilotlight reads 1"),
    "column missing": (_requests(lambda frame: frame.drop("status")), "the column status is missing"),
    "wrong type": (_requests(lambda frame: frame.cast({"function": pl.Int64})), "function is Int64; it must be UInt32"),
    "unsorted": (_requests(_at_row_5("arrival_ns", 0)), "arrival_ns must ascend: row 5"),
    "empty cell": (_requests(_at_row_5("duration_ns", None)), "duration_ns has empty cells"),
    "unknown function": (_requests(_at_row_5("function", 10**6)), "function must index the table of 3: row 5 does not"),
    "overflowing": (
        _requests(_at_row_5("duration_ns", 2**63)),
        "duration_ns must be at most 1000000000000000000: row 5",
    ),
    "other clock": (_origin, "requests.parquet: origin_ms is 9223372036854775808; it must be from"),
    "no requests": (_requests(lambda frame: frame.head(0)), "has no requests"),
    "key twice": (_functions(lambda frame: frame.with_columns(key=pl.lit("k"))), "rows 0 and 1 have the same key 'k'"),
    "no memory": (_functions(lambda frame: frame.with_columns(memory_mb=pl.lit(0, dtype=pl.UInt64))), "row 0 has 0"),
    "stages": (
        _functions(lambda frame: frame.with_columns(stage_code_ns=pl.lit(1, dtype=pl.UInt64))),
        "the stages of row 0 do not add up to its init_ns",
    ),
}


@pytest.mark.parametrize("name", PARQUET_CASES)
def test_wrong_parquet_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, text = PARQUET_CASES[name]
    folder = tmp_path / "t"
    write_parquet(generate("poisson", functions=3, requests=20).trace, folder)
    spoil(folder)
    message = refusal(folder, capsys)
    assert text in message
    assert str(folder) in message


def test_further_columns_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    write_parquet(generate("poisson", functions=3, requests=20).trace, folder)
    _rewrite(folder, "requests.parquet", lambda frame: frame.with_columns(note=pl.lit("x")))
    _rewrite(folder, "functions.parquet", lambda frame: frame.with_columns(note=pl.lit(None)))
    assert len(read_trace(folder).trace) == 20
    changed = SAMPLES["azure2021"][AZURE_2021].replace("\n", ",more\n")
    assert len(read_trace(write("azure2021", tmp_path / "a", {AZURE_2021: changed.encode()})).trace) == 3
    line = json.loads(SAMPLES["mooncake"]["conversation_trace.jsonl"].splitlines()[0]) | {"more": 1}
    path = write("mooncake", tmp_path / "m", {"conversation_trace.jsonl": json.dumps(line).encode()})
    assert len(read_trace(path).trace) == 1
