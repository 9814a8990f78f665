"""Commands that write a trace write it into a folder of its own, and say that they cannot before they read anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from trace_samples import SAMPLES, write

from pilotlight import cli
from pilotlight.errors import TraceError
from pilotlight.traces import SynthSettings, read_trace, synthesize, write_contest
from pilotlight.traces.convert import convert
from pilotlight.traces.parquet import write_parquet

COMMANDS = [["convert"], ["slice", "--length", "1h"], ["sample", "--top", "1"], ["synth"]]
READING = COMMANDS[:3]
KINDS = ["contest", "parquet"]


def refusal(capsys: pytest.CaptureFixture[str], command: list[str], given: Path | None, out: Path, kind: str) -> str:
    """Run the command on a trace and return its one line."""
    traces = [] if command == ["synth"] else [str(given)]
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", command[0], *traces, str(out), *command[1:], "--to", kind])
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1), error
    return error


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below", ["", "deeper"])
def test_output_that_cannot_be_a_folder_is_named(
    command: list[str], kind: str, below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("kept")
    given = write("csv", tmp_path / "in")
    assert f"{taken / below}: cannot be written" in refusal(capsys, command, given, taken / below, kind)
    assert taken.read_text() == "kept"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLES)
def test_folder_that_holds_a_data_set_stays_as_it_is(
    command: list[str], kind: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = tmp_path / "held"
    write(name, held)
    before = contents(held)
    unreadable = tmp_path / "unreadable.csv"
    unreadable.write_text("nothing of a trace")
    assert f"{held}: is not empty; choose a new folder" in refusal(capsys, command, unreadable, held, kind)
    assert contents(held) == before


@pytest.mark.parametrize("command", READING, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_trace_that_is_read_is_not_written_over_or_into(
    command: list[str], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = write("contest", tmp_path / "given")
    before = contents(given)
    monkeypatch.chdir(given)
    for out in (given, given / ".." / "given", given / "part", given / "deep" / "part"):
        error = refusal(capsys, command, given, out, kind)
        assert f"{out}: is the trace that is read" in error or f"{out}: lies inside {given}" in error
    assert "part: lies inside ., the trace that is read" in refusal(capsys, command, Path(), given / "part", kind)
    assert contents(given) == before


@pytest.mark.parametrize("kind", KINDS)
def test_folder_beside_a_file_that_is_read_is_written(tmp_path: Path, kind: str) -> None:
    given = write("csv", tmp_path)
    (tmp_path / "empty").mkdir()
    for out in ("made", "empty"):
        CliRunner().invoke(convert, [str(given), str(tmp_path / out), "--to", kind], catch_exceptions=False)
    assert len(read_trace(tmp_path / "made").trace) == len(read_trace(tmp_path / "empty").trace) == 3


def test_writers_refuse_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    trace = synthesize(SynthSettings(functions=2, requests=5, length_s=1))
    (tmp_path / "notes").touch()
    for written in (write_contest, write_parquet):
        with pytest.raises(TraceError, match="is not empty"):
            written(trace, tmp_path)
