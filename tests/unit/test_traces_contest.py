"""The reader and writer of contest data sets."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotlight.errors import TraceError
from pilotlight.traces import SynthSettings, Trace, lines, read_contest, synthesize, write_contest
from pilotlight.traces.readers import contest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "contest"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")

META = '{"key": "f", "runtime": "go", "timeoutInSecs": 60, "memoryInMb": 512, "initDurationInMs": 49}'
OTHER = META.replace('"f"', '"ü.two"')
REQUEST = '{"metaKey": "f", "startTime": 1685980824304, "durationsInMs": 50, "statusCode": 200}'
LATER = '{"metaKey": "ü.two", "startTime": 1685980824804, "durationsInMs": 0, "statusCode": 500}'


def data_set(folder: Path, requests: str = REQUEST, metas: str = META) -> Path:
    (folder / "requests").write_text(requests)
    (folder / "metas").write_text(metas)
    return folder


def refusal(folder: Path, **files: Path) -> str:
    with pytest.raises(TraceError) as caught:
        read_contest(folder, **files)
    return str(caught.value)


def same(one: Trace, other: Trace) -> bool:
    columns = ("arrival_ns", "function", "duration_ns", "status")
    table = ("timeout_s", "memory_mb", "init_ns")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
        and all(np.array_equal(getattr(one.functions, name), getattr(other.functions, name)) for name in table)
        and (one.functions.keys, one.functions.runtimes) == (other.functions.keys, other.functions.runtimes)
        and one.origin_ms == other.origin_ms
    )


def test_data_set_becomes_columns(tmp_path: Path) -> None:
    trace = read_contest(data_set(tmp_path, f"{REQUEST}\n{LATER}\n", f"{META}\n{OTHER}\n"))
    assert trace.origin_ms == 1685980824304
    assert trace.arrival_ns.tolist() == [0, 500_000_000]
    assert trace.function.tolist() == [0, 1]
    assert trace.duration_ns.tolist() == [50_000_000, 0]
    assert trace.status.tolist() == [200, 500]
    assert trace.functions.keys == ("f", "ü.two")
    assert trace.functions.memory_mb.tolist() == [512, 512]
    assert trace.functions.init_ns.tolist() == [49_000_000, 49_000_000]


@pytest.mark.parametrize(
    "unusual",
    [
        f"{REQUEST}\n\n  \n{LATER}\n\n",
        f"{REQUEST}\r\n{LATER}\r\n",
        f"{REQUEST}\n{LATER}",
        f'{REQUEST[:-1]}, "note": [1.5, null]}}\n{LATER}\n',
        f"{json.dumps(dict(reversed(json.loads(REQUEST).items())))}\n{json.dumps(json.loads(LATER))}\n",
        f"{REQUEST.replace(' ', '')}\n{LATER.replace(', ', ' ,	')}\n",
    ],
    ids=["blank lines", "windows line ends", "no last line end", "more fields", "other order, escapes", "spacing"],
)
def test_unusual_but_valid_files_read_the_same(tmp_path: Path, unusual: str) -> None:
    plain = read_contest(data_set(tmp_path, f"{REQUEST}\n{LATER}\n", f"{META}\n{OTHER}"))
    assert same(read_contest(data_set(tmp_path, unusual, f"{META}\n{OTHER}")), plain)


@pytest.mark.parametrize("suffix", ["", ".jsonl", ".gz", ".jsonl.gz"])
def test_files_are_found_by_their_usual_names(tmp_path: Path, suffix: str) -> None:
    for name, text in (("requests", REQUEST), ("metas", META)):
        data = gzip.compress(text.encode()) if suffix.endswith(".gz") else text.encode()
        (tmp_path / f"{name}{suffix}").write_bytes(data)
        (tmp_path / f"old_{name}").write_text("not looked at")
    assert len(read_contest(tmp_path)) == 1


def test_files_are_found_by_a_unique_part_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "my_requests_of_may.txt").write_text(REQUEST)
    (tmp_path / "metas-v2").write_text(META)
    assert len(read_contest(tmp_path)) == 1


def test_explicit_file_settles_which_of_several_is_meant(tmp_path: Path) -> None:
    (tmp_path / "requests").write_text(REQUEST)
    (tmp_path / "metas_1").write_text(META)
    (tmp_path / "metas_2").write_text(META)
    assert "has several metas files (metas_1, metas_2)" in refusal(tmp_path)
    assert len(read_contest(tmp_path, metas=tmp_path / "metas_2")) == 1
    assert len(read_contest(requests=tmp_path / "requests", metas=tmp_path / "metas_2")) == 1


def test_missing_files_say_which_names_were_looked_for(tmp_path: Path) -> None:
    assert "looked for requests, requests.jsonl, requests.gz, requests.jsonl.gz and *requests*" in refusal(tmp_path)
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "is a file" in refusal(data_set(tmp_path) / "requests")
    assert "No such file" in refusal(tmp_path, requests=tmp_path / "gone")
    assert "Is a directory" in refusal(tmp_path, requests=tmp_path)
    with pytest.raises(TraceError, match="metas file is not given"):
        read_contest(requests=tmp_path / "requests")


@pytest.mark.parametrize(
    ("changed", "texts"),
    [
        ({"metaKey": "nobody"}, ["metaKey nobody is not in", "metas"]),
        ({"metaKey": 7}, ["metaKey is 7", "must be a string"]),
        ({"metaKey": ""}, ["metaKey is empty"]),
        ({"metaKey": "\ud800"}, ["metaKey is", "not valid Unicode"]),
        ({"metaKey": None}, ["metaKey is null"]),
        ({"startTime": -5}, ["startTime is -5", "must be from 0"]),
        ({"startTime": 1685980824303}, ["startTime is 1685980824303, before 1685980824304", "sort"]),
        ({"startTime": 10**15}, ["startTime is 1000000000000000"]),
        ({"startTime": 1685980824304.5}, ["startTime is 1685980824304.5", "whole number"]),
        ({"startTime": "1685980824304"}, ["startTime is 1685980824304; it must be a whole number"]),
        ({"durationsInMs": -1}, ["durationsInMs is -1"]),
        ({"durationsInMs": 10**12 + 1}, ["durationsInMs is 1000000000001", "to 1000000000000"]),
        ({"durationsInMs": True}, ["durationsInMs is true", "whole number"]),
        ({"durationsInMs": None}, ["durationsInMs is null"]),
        ({"durationsInMs": [50]}, ["durationsInMs is [50]"]),
        ({"durationsInMs": float("nan")}, ["NaN is not a JSON value"]),
        ({"statusCode": False}, ["statusCode is false"]),
        ({"statusCode": 2**31}, ["statusCode is 2147483648"]),
    ],
    ids=str,
)
def test_wrong_field_is_named_with_file_line_and_value(
    tmp_path: Path, changed: dict[str, Any], texts: list[str]
) -> None:
    wrong = json.dumps(json.loads(REQUEST) | changed)
    message = refusal(data_set(tmp_path, f"{REQUEST}\n{REQUEST}\n{wrong}\n{REQUEST}\n"))
    assert message.startswith(f"{tmp_path / 'requests'}:3: ")
    for text in texts:
        assert text in message


@pytest.mark.parametrize("field", ["metaKey", "startTime", "durationsInMs", "statusCode"])
def test_missing_field_of_a_request_is_named(tmp_path: Path, field: str) -> None:
    fields = json.loads(REQUEST)
    del fields[field]
    message = refusal(data_set(tmp_path, f"{REQUEST}\n{json.dumps(fields)}\n"))
    assert message.startswith(f"{tmp_path / 'requests'}:2: the field {field} is missing")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"key": None}, "key is null"),
        ({"key": ""}, "key is empty"),
        ({"runtime": 3}, "runtime is 3"),
        ({"timeoutInSecs": -1}, "timeoutInSecs is -1"),
        ({"timeoutInSecs": 2**32}, "timeoutInSecs is 4294967296"),
        ({"memoryInMb": 0}, "memoryInMb is 0; it must be from 1"),
        ({"memoryInMb": True}, "memoryInMb is true"),
        ({"memoryInMb": 10**9}, "memoryInMb is 1000000000"),
        ({"initDurationInMs": 1.5}, "initDurationInMs is 1.5"),
        ({"initDurationInMs": -1}, "initDurationInMs is -1"),
    ],
    ids=str,
)
def test_wrong_field_of_a_function_is_named(tmp_path: Path, changed: dict[str, Any], text: str) -> None:
    wrong = json.dumps(json.loads(META) | changed)
    message = refusal(data_set(tmp_path, metas=f"{OTHER}\n{wrong}\n"))
    assert message.startswith(f"{tmp_path / 'metas'}:2: {text}")


def test_function_given_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    message = refusal(data_set(tmp_path, metas=f"{META}\n{OTHER}\n{META}\n"))
    assert message == f"{tmp_path / 'metas'}:3: key f was given in line 1; keep one of them"


def test_functions_never_called_are_kept(tmp_path: Path) -> None:
    trace = read_contest(data_set(tmp_path, metas=f"{META}\n{OTHER}"))
    assert (len(trace.functions), trace.called) == (2, 1)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "not JSON"),
        (REQUEST + REQUEST, "not JSON: Extra data at column"),
        ("[1, 2]", "found [1, 2]; each line must be a JSON object"),
        ("[" * 100_000, "not usable JSON"),
        ('{"a": ' + "1" * 5000 + "}", "not usable JSON"),
        ("\ufeff" + REQUEST, "not JSON"),
    ],
    ids=["cut", "two objects", "list", "deep", "long number", "byte order mark"],
)
def test_textsthat_are_no_objects_are_named(tmp_path: Path, line: str, text: str) -> None:
    message = refusal(data_set(tmp_path, f"{REQUEST}\n{line}\n"))
    assert message.startswith(f"{tmp_path / 'requests'}:2: ")
    assert text in message
    assert len(message) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("text", ["", "\n", "\n \n"])
def test_empty_files_are_refused(tmp_path: Path, text: str) -> None:
    assert "has no requests" in refusal(data_set(tmp_path, requests=text))
    assert "has no functions" in refusal(data_set(tmp_path, metas=text))


def test_bytes_that_are_not_utf_8_are_placed(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "requests").write_bytes(f"{REQUEST}\n".encode() + b'{"metaKey": "\xff"}\n')
    assert f"{tmp_path / 'requests'}:2: byte 14 of the line (0xff) is not UTF-8" in refusal(tmp_path)


def test_damaged_gzip_files_are_refused(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "requests").unlink()
    whole = gzip.compress(f"{REQUEST}\n".encode() * 1000, mtime=0)
    packed = tmp_path / "requests.gz"
    for data, text in (
        (whole[:-20], "ends early"),
        (whole[:40] + b"\x55" * 20 + whole[60:], "damaged gzip data"),
        (whole + b"tail", "damaged gzip data"),
        (b"\x1f\x8b", "ends early"),
        (f"{REQUEST}\n".encode(), "is not gzip data"),
        (b"", "is not gzip data"),
    ):
        packed.write_bytes(data)
        assert text in refusal(tmp_path)


def test_traces_of_more_than_32_years_are_refused(tmp_path: Path) -> None:
    late = REQUEST.replace("1685980824304", str(1685980824304 + 10**12 + 1))
    assert "startTime runs from" in refusal(data_set(tmp_path, f"{REQUEST}\n{late}\n"))


def test_line_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "requests").write_bytes(b" " * (2 * lines.BLOCK_BYTES))
    assert f"{tmp_path / 'requests'}:1: the line has more than" in refusal(tmp_path)


@pytest.mark.parametrize("order", list(itertools.permutations(json.loads(REQUEST))), ids=str)
def test_any_order_of_fields_is_read_without_a_look_at_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    monkeypatch.setattr(contest._CarefulReader, "read", lambda *_: pytest.fail("it was read line by line"))
    rows = [json.loads(REQUEST) | {"durationsInMs": row} for row in range(9)]
    texts = [json.dumps({name: row[name] for name in order}) for row in rows]
    trace = read_contest(data_set(tmp_path, "\n".join([*texts, ""])))
    assert (trace.duration_ns / 1e6).tolist() == list(range(9))


def test_block_borders_fall_between_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = synthesize(SynthSettings(functions=20, requests=500, length_s=60, bad_share=0.1))
    files = write_contest(trace, tmp_path / "set")
    unusual = files.requests.read_text().split("\n")
    unusual[250] = json.dumps(json.loads(unusual[250]), indent=None, separators=(" , ", " : ")) + " "
    files.requests.write_text("\n".join(unusual))
    for size in (1, 7, 100, 113, 4096):
        monkeypatch.setattr(lines, "BLOCK_BYTES", size)
        assert same(read_contest(tmp_path / "set"), trace)


def test_line_numbers_count_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 200)
    early = REQUEST.replace("1685980824304", "1685980824303")
    message = refusal(data_set(tmp_path, f"{REQUEST}\n" * 99 + f"{early}\n{REQUEST}\n"))
    assert message.startswith(f"{tmp_path / 'requests'}:100: startTime is 1685980824303, before")


@pytest.mark.parametrize("compress", [False, True])
def test_written_trace_reads_back_the_same(tmp_path: Path, compress: bool) -> None:
    trace = synthesize(SynthSettings(functions=50, requests=3000, length_s=300, seed=7, bad_share=0.05))
    write_contest(trace, tmp_path / "set", compress=compress)
    assert same(read_contest(tmp_path / "set"), trace)


def test_same_trace_gives_the_same_bytes(tmp_path: Path) -> None:
    trace = synthesize(SynthSettings(functions=5, requests=100, length_s=10))
    one = write_contest(trace, tmp_path / "one", compress=True)
    two = write_contest(trace, tmp_path / "two", compress=True)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_writer_spares_a_folder_that_has_files(tmp_path: Path) -> None:
    trace = synthesize(SynthSettings(functions=5, requests=100, length_s=10))
    write_contest(trace, tmp_path / "set")
    with pytest.raises(TraceError, match="is not empty"):
        write_contest(trace, tmp_path / "set", compress=True)
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match="cannot be written"):
        write_contest(trace, tmp_path / "file")


@needs_data
def test_first_public_data_set_reads_as_published() -> None:
    trace = read_contest(requests=DATA / "ds1_requests_first_18731s.jsonl.gz", metas=DATA / "ds1_metas_public.jsonl")
    assert (len(trace), len(trace.functions), trace.called) == (22_868, 6, 5)
    assert trace.origin_ms == 1_685_980_824_304
    assert not trace.bad.any()


@needs_data
def test_third_public_function_table_fits_any_of_its_functions(tmp_path: Path) -> None:
    (tmp_path / "requests").write_text(REQUEST.replace('"f"', '"d2b844a5da45df270c8d3d5702fb7ef1f8771796"'))
    trace = read_contest(tmp_path, metas=DATA / "ds3_metas.jsonl")
    assert len(trace.functions) == 613
    assert trace.functions.init_ns[trace.function[0]] == 7465 * 1_000_000
