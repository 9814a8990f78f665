"""Tables of text: what is wrong is found fast, and how a file may end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trace_samples import SAMPLES, write

from pilotlight.errors import TraceError
from pilotlight.traces import csv_table, read_trace
from pilotlight.traces.columns import Moment, Real
from pilotlight.traces.csv_table import scan_table
from pilotlight.traces.fields import Text, Whole

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.traces.columns import Column

FIELDS: tuple[Column, ...] = (
    Moment("at", "when"),
    Text("name", may_be_empty=False, meaning="who"),
    Whole("count", 0, 100, "how many"),
    Real("cost", 0, 10, "how much", may_be_empty=True),
)
HEADER = "at,name,count,cost,more\n"
ROW = '2024-05-10 17:03:04.979,"f, g",7,0.5,\n'
ROWS = 2000

WRONG = {
    "no moment": ('2024-05-10 17:61:04,"f, g",7,0.5,\n', "at is 2024-05-10 17:61:04"),
    "empty": ("2024-05-10 17:03:04,,7,0.5,\n", "name is empty"),
    "no number": ("2024-05-10 17:03:04,f,x,0.5,\n", "count is x"),
    "out of range": ("2024-05-10 17:03:04,f,7,11,\n", "cost is 11"),
    "too few": ("2024-05-10 17:03:04,f\n", "has 2 fields, the header names 5"),
    "too many": ("2024-05-10 17:03:04,f,7,0.5,,\n", "has 6 fields, the header names 5"),
    "blank": ("\n", "the line is blank"),
    "open quotation": ('2024-05-10 17:03:04,"f,7,0.5,\n', "is not CSV"),
    "open quotation where nobody looks": ('2024-05-10 17:03:04,f,7,0.5,"\n', "is not CSV"),
}


def read(path: Path, block_bytes: int = 2**20) -> list[str]:
    notes: list[str] = []
    rows = sum(rows.table.height for rows in scan_table(path, FIELDS, notes, block_bytes=block_bytes))
    assert rows == path.read_text().count(ROW.rstrip())
    return notes


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", [0, 1, 999, ROWS - 2, ROWS - 1])
def test_first_wrong_line_is_named_and_no_other_line_is_looked_at_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, place: int
) -> None:
    line, text = WRONG[wrong]
    rows = [ROW] * ROWS + [ROW]
    rows[place] = line
    if place != ROWS - 2:
        rows[ROWS - 1] = WRONG["no number"][0] if place != ROWS - 1 else line
    path = tmp_path / "table.csv"
    path.write_text(HEADER + "".join(rows))
    checked: list[str] = []
    check = csv_table.check_cell
    monkeypatch.setattr(csv_table, "check_cell", lambda field, cell: checked.append(cell) or check(field, cell))
    with pytest.raises(TraceError, match=rf"table\.csv:{place + 2}: {text}"):
        read(path)
    assert len(checked) <= len(FIELDS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", "\n  \n\t\n", "\r\n\r\n", "\n\n  "])
@pytest.mark.parametrize("block_bytes", [1, 30, 2**20])
def test_blank_lines_at_the_end_of_a_table_are_no_rows(tmp_path: Path, end: str, block_bytes: int) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes((HEADER + ROW * 3).encode() + end.encode())
    assert read(path, block_bytes) == []


@pytest.mark.parametrize("block_bytes", [1, 30, 2**20])
def test_blank_line_between_rows_is_named(tmp_path: Path, block_bytes: int) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + ROW * 2 + "\n\n" + ROW)
    with pytest.raises(TraceError, match=r"table\.csv:4: the line is blank; remove it"):
        read(path, block_bytes)


def test_table_of_a_header_and_blank_lines_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + "\n\n")
    with pytest.raises(TraceError, match="has a header and no rows"):
        read(path)


def test_last_line_without_an_end_is_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text((HEADER + ROW * 3).rstrip("\n"))
    (note,) = read(path)
    assert note.startswith(f"{path}:4: the last line has no end; if the file was cut off")


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n \n\n"])
def test_text_of_every_format_may_end_in_blank_lines(tmp_path: Path, name: str, end: bytes) -> None:
    changed = {file: text.encode() + end for file, text in SAMPLES[name].items()}
    usual, longer = read_trace(write(name, tmp_path / "usual")), read_trace(write(name, tmp_path / "longer", changed))
    assert longer.trace.arrival_ns.tolist() == usual.trace.arrival_ns.tolist()
    assert len(longer.notes) == len(usual.notes)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in {"contest", "mooncake"}])
def test_tables_of_every_format_that_end_inside_a_line_are_noted(tmp_path: Path, name: str) -> None:
    changed = {file: text.encode().rstrip(b"\n") for file, text in SAMPLES[name].items() if not file.endswith(".json")}
    notes = read_trace(write(name, tmp_path, changed)).notes
    assert sum("the last line has no end" in note for note in notes) == len(changed)
