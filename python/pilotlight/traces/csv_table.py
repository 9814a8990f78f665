"""Reads CSV files with a header, plain or gzip-compressed, into typed columns, block by block.

Polars takes each block apart. When it stumbles, or a value is out of range, it takes halves of the block apart until
one line is left, which alone is looked at cell by cell to name the field and the remedy. Guarantees: every column that
is asked for is there, of its type, in its range and without gaps that its field does not allow, and row i of a block is
line `first_line` + i of the file. Blank lines may stand at the file's end and nowhere else. Memory: the columns and one
block. An error costs as much as reading one block twice more. Called by the readers of CSV data sets.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.columns import Moment, Real, column_type, is_sound, typed
from pilotlight.traces.fields import Whole, shown
from pilotlight.traces.lines import BLOCK_BYTES, Piece, decode, first_block, read_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pilotlight.traces.columns import Column

FIRST_ROW_LINE = 2
"""The line of a table's first row: the header stands above it."""

LONGEST_NUMBER = 30


class Rows(NamedTuple):
    """Consecutive rows of a file; the first one stands in `first_line`."""

    first_line: int
    table: pl.DataFrame


def read_header(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises:
        TraceError: the file is not readable or empty, or a name occurs twice.
    """
    lines = first_block(path).lines
    names = _split(path, 1, lines[0].removesuffix("\r") if lines else "")
    if not any(names):
        raise TraceError(f"{path}:1: the header is missing; the first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise TraceError(f"{path}:1: the column {shown(name)} occurs twice; keep one of them")
    return names


def read_table(path: Path, fields: Sequence[Column], notes: list[str]) -> pl.DataFrame:
    """Read the columns that are asked for, whole; see `scan_table`.

    Returns:
        One column a field, in their order; at least one row.
    """
    return pl.concat([rows.table for rows in scan_table(path, fields, notes)])


def table_bytes(path: Path) -> bytes:
    """Return a small file whole, unpacked and without the blank lines at its end, for readers of their own.

    Raises:
        TraceError: it cannot be read; the text names it.
    """
    return _without_blank_end(b"\n".join(piece.data for piece in read_pieces(path)))


def scan_table(
    path: Path,
    fields: Sequence[Column],
    notes: list[str],
    *,
    header: Sequence[str] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Rows]:
    """Yield the columns that are asked for, about `block_bytes` of the file at a time.

    Args:
        path: the file; it may have further columns.
        fields: the columns.
        notes: gets a sentence for the user if the file's last line has no end.
        header: the names of all columns, for files that do not begin with them.
        block_bytes: how much text is taken apart at a time.

    Yields:
        Tables of at least one row: strings, UInt32 or Int64, Float64, and Int64 nanoseconds for moments.

    Raises:
        TraceError: the file, a line or a field is wrong, or there are no rows; the text names file, line, field and
            remedy.
    """
    skip = 1 if header is None else 0
    names = read_header(path) if header is None else list(header)
    for field in fields:
        if field.name not in names:
            raise TraceError(
                f"{path}:1: the column {field.name} is missing ({field.meaning}); the header has"
                f" {shown(', '.join(names))}"
            )
    found, blank_line = False, 0
    for piece in read_pieces(path, block_bytes):
        rows = _without_lines(piece, skip) if piece.first_line == 1 else piece
        if rows is None:
            continue
        data = _without_blank_end(rows.data)
        if data and blank_line:
            raise TraceError(_blank(path, blank_line))
        if (not data or len(data) < len(rows.data)) and not blank_line:
            blank_line = rows.first_line + (data.count(b"\n") + 1 if data else 0)
        if data:
            found = True
            if not piece.ended and not blank_line:
                notes.append(_cut(path, rows.first_line + data.count(b"\n")))
            yield Rows(rows.first_line, _parse(path, Piece(rows.first_line, data), names, fields))
    if not found:
        raise TraceError(f"{path}: has a header and no rows; write a line for each request, function or app")


def _without_lines(piece: Piece, count: int) -> Piece | None:
    """Drop the first lines; None if there are no others."""
    rest = piece.data.split(b"\n", count)[count:]
    return piece._replace(first_line=piece.first_line + count, data=rest[0]) if rest else None


def _without_blank_end(data: bytes) -> bytes:
    """Drop the last lines, if they are blank."""
    text = len(data.rstrip())
    if not text:
        return b""
    end = data.find(b"\n", text)
    return data if end < 0 else data[:end]


def _parse(path: Path, piece: Piece, header: list[str], fields: Sequence[Column]) -> pl.DataFrame:
    """Take one block apart."""
    try:
        return _columns(piece.data, header, fields)
    except _UnreadableError as error:
        _explain(path, piece, header, fields, str(error))


class _UnreadableError(Exception):
    """Bytes are no rows of the columns wanted; the text is a reason that names no line."""


def _columns(data: bytes, header: list[str], fields: Sequence[Column]) -> pl.DataFrame:
    """Read whole lines.

    Raises:
        _UnreadableError: some line of them is wrong.
    """
    # Ended, because Polars overlooks an empty field too many at the end of its input.
    data = data.replace(b"\r\n", b"\n").removesuffix(b"\r") + b"\n"
    # All columns are read, also those not asked for: only then does Polars notice a line with too many fields.
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(header, pl.String)
    schema |= {field.name: column_type(field) for field in fields}
    try:
        table = pl.read_csv(data, has_header=False, schema=schema, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _UnreadableError(str(error).partition("\n")[0]) from error
    if table.height != data.count(b"\n"):
        raise _UnreadableError("lines and rows differ in number")
    columns = [typed(field, table[field.name]) for field in fields]
    if not all(map(is_sound, fields, columns)):
        raise _UnreadableError("a value is missing or out of range")
    return pl.DataFrame(columns)


def _explain(path: Path, piece: Piece, header: list[str], fields: Sequence[Column], reason: str) -> NoReturn:
    """Find the first wrong line and say what is wrong with it; if nothing is, repeat the reason."""
    texts = decode(path, piece).lines
    lines = piece.data.split(b"\n")
    low, high = 0, len(lines)
    while high - low > 1:  # the first wrong line is one of lines[low:high]
        middle = (low + high) // 2
        try:
            _columns(b"\n".join(lines[low:middle]), header, fields)
        except _UnreadableError:
            high = middle
        else:
            low = middle
    _check_line(path, piece.first_line + low, texts[low], header, fields)
    # What Polars took for whole by itself may be a quotation that was left open.
    for line, text in enumerate(texts, piece.first_line):
        _cells(path, line, text.removesuffix("\r"), header)
    raise TraceError(
        f"{path}:{piece.first_line + low}: cannot be read as CSV: {reason}; write plain fields with commas between"
    )


def _check_line(path: Path, line: int, text: str, header: list[str], fields: Sequence[Column]) -> None:
    """Hold the cells of one line against their fields' rules.

    Raises:
        TraceError: one breaks its rule, or the line is no row.
    """
    cells = _cells(path, line, text.removesuffix("\r"), header)
    try:
        for field in fields:
            check_cell(field, cells[header.index(field.name)])
    except TraceError as error:
        raise TraceError(f"{path}:{line}: {error}") from error


def check_cell(field: Column, cell: str) -> None:
    """Hold one cell against its field's rule.

    Raises:
        TraceError: it breaks the rule.
    """
    if not cell and isinstance(field, (Whole, Real, Moment)):
        if isinstance(field, Real) and field.may_be_empty:
            return
        raise TraceError(f"{field.name} is empty; it must be given ({field.meaning})")
    if isinstance(field, Whole):
        sign, digits = cell[:1] == "-", cell.removeprefix("-")
        whole = digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_NUMBER
        field.value((-int(digits) if sign else int(digits)) if whole else cell)
    else:
        field.value(cell)


def _cells(path: Path, line: int, text: str, header: list[str]) -> list[str]:
    """Split one line into as many cells as the header has."""
    if not text.strip():
        raise TraceError(_blank(path, line))
    cells = _split(path, line, text)
    if len(cells) != len(header):
        raise TraceError(f"{path}:{line}: has {len(cells)} fields, the header names {len(header)}; write all")
    return cells


def _split(path: Path, line: int, text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise TraceError(f"{path}:{line}: is not CSV: {error}; write plain fields with commas between") from error


def _blank(path: Path, line: int) -> str:
    return f"{path}:{line}: the line is blank; remove it"


def _cut(path: Path, line: int) -> str:
    return (
        f"{path}:{line}: the last line has no end; if the file was cut off, its last value is part of one:"
        " fetch or write it again"
    )
