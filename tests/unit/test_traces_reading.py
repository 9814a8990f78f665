"""Telling the format of a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.errors import TraceError
from pilotlight.traces import ReadOptions, SynthSettings, read_trace, synthesize, write_contest


@pytest.fixture
def contest(tmp_path: Path) -> Path:
    made = synthesize(SynthSettings(functions=4, requests=20, length_s=5))
    return write_contest(made, tmp_path / "set").requests.parent


@pytest.fixture
def azure(tmp_path: Path) -> Path:
    folder = tmp_path / "azure"
    folder.mkdir()
    levels = ",".join(f"percentile_Average_{level}" for level in (0, 1, 25, 50, 75, 99, 100))
    (folder / "invocations.csv").write_text("HashOwner,HashApp,HashFunction,Trigger,480\no,a,f,http,3\n")
    (folder / "durations.csv").write_text(f"HashOwner,HashApp,HashFunction,{levels}\no,a,f,1,2,3,4,5,6,7\n")
    (folder / "memory.csv").write_text("HashOwner,HashApp,AverageAllocatedMb\no,a,64\n")
    return folder


def test_names_of_the_files_tell_the_format(contest: Path, azure: Path) -> None:
    of_contest, of_azure = read_trace(contest), read_trace(azure)
    assert (of_contest.source["kind"], len(of_contest.trace)) == ("contest", 20)
    assert (of_azure.source["kind"], len(of_azure.trace)) == ("azure2019", 3)
    assert of_contest.notes == of_azure.notes == ()


def test_named_files_are_a_contest_data_set(contest: Path) -> None:
    options = ReadOptions(requests=contest / "requests", metas=contest / "metas")
    assert len(read_trace(None, options=options).trace) == 20


def test_format_settles_a_folder_that_holds_two(contest: Path, azure: Path) -> None:
    for path in azure.iterdir():
        (contest / path.name).write_bytes(path.read_bytes())
    with pytest.raises(TraceError, match=r"several formats \(contest, azure2019\); choose one with --format"):
        read_trace(contest)
    assert [len(read_trace(contest, format_name=name).trace) for name in ("contest", "azure2019")] == [20, 3]


@pytest.mark.parametrize(
    "name", ["trace.txt", "TRACE.CSV", "trace", "AzureFunctionsInvocationTraceForTwoWeeksJan2021.txt"]
)
def test_tables_are_found_whatever_their_files_are_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("app,func,end_timestamp,duration\na,f,10.5,0.25\n")
    assert read_trace(path).source["kind"] == "azure2021"
    if path.suffix:
        assert read_trace(tmp_path).source["kind"] == "azure2021"


def test_single_file_of_another_table_is_named_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TraceError, match=r"^h\.csv: no table has a column time_worker"):
        read_trace(Path("h.csv"), format_name="huawei2025")


def test_folder_without_a_trace_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"is no trace; looked for .*files named requests and metas \(contest\)"):
        read_trace(tmp_path)
    with pytest.raises(TraceError, match="no such folder or file"):
        read_trace(tmp_path / "nowhere")


def test_wrong_use_is_named(contest: Path, azure: Path) -> None:
    with pytest.raises(TraceError, match="format nope is not known; choose one of parquet, contest, azure2019"):
        read_trace(contest, format_name="nope")
    with pytest.raises(TraceError, match="name a contest data set, not azure2019"):
        read_trace(azure, format_name="azure2019", options=ReadOptions(metas=contest / "metas"))
