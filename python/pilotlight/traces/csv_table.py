"""Reads CSV files with a header, plain or gzip-compressed, into typed columns, block by block.

Polars takes each block apart; only when it stumbles, or a value is out of range, the block is read again line by line
to name the line, the field and the remedy. Guarantees: every column that is asked for is there, of its type, in its
range and without gaps that its field does not allow, and row i of a block is line `first_line` + i of the file. Memory:
the columns and one block. Called by the readers of CSV data sets.
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
    names = _cells(path, 1, lines[0].removesuffix("\r") if lines else "")
    if not any(names):
        raise TraceError(f"{path}:1: the header is missing; the first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise TraceError(f"{path}:1: the column {shown(name)} occurs twice; keep one of them")
    return names


def read_table(path: Path, fields: Sequence[Column]) -> pl.DataFrame:
    """Read the columns that are asked for, whole; see `scan_table`.

    Returns:
        One column a field, in their order; at least one row.
    """
    return pl.concat([rows.table for rows in scan_table(path, fields)])


def scan_table(
    path: Path, fields: Sequence[Column], *, header: Sequence[str] | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[Rows]:
    """Yield the columns that are asked for, about `block_bytes` of the file at a time.

    Args:
        path: the file; it may have further columns.
        fields: the columns.
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
    found = False
    for piece in read_pieces(path, block_bytes):
        rows = _without_lines(piece, skip) if piece.first_line == 1 else piece
        if rows.data:
            found = True
            yield Rows(rows.first_line, _parse(path, rows, names, fields))
    if not found:
        raise TraceError(f"{path}: has a header and no rows; write a line for each request, function or app")


def _without_lines(piece: Piece, count: int) -> Piece:
    """Drop the first lines."""
    if not count:
        return piece
    return Piece(piece.first_line + count, b"\n".join(piece.data.split(b"\n", count)[count:]))


def _parse(path: Path, piece: Piece, header: list[str], fields: Sequence[Column]) -> pl.DataFrame:
    """Take one block apart."""
    data = piece.data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    # All columns are read, also those not asked for: only then does Polars notice a line with too many fields.
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(header, pl.String)
    schema |= {field.name: column_type(field) for field in fields}
    try:
        table = pl.read_csv(data, has_header=False, schema=schema, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        _explain(path, piece, header, fields, str(error).partition("\n")[0])
    if table.height != data.count(b"\n") + 1:
        _explain(path, piece, header, fields, "lines and rows differ in number")
    columns = [typed(field, table[field.name]) for field in fields]
    if not all(map(is_sound, fields, columns)):
        _explain(path, piece, header, fields, "a value is missing or out of range")
    return pl.DataFrame(columns)


def _explain(path: Path, piece: Piece, header: list[str], fields: Sequence[Column], reason: str) -> NoReturn:
    """Find the first wrong line and say what is wrong with it; if none is, repeat the reason."""
    positions = [(field, header.index(field.name)) for field in fields]
    block = decode(path, piece)
    for line, text in enumerate((text.removesuffix("\r") for text in block.lines), block.first_line):
        if not text.strip():
            raise TraceError(f"{path}:{line}: the line is blank; remove it")
        cells = _cells(path, line, text)
        if len(cells) != len(header):
            raise TraceError(f"{path}:{line}: has {len(cells)} fields, the header names {len(header)}; write all")
        try:
            for field, position in positions:
                check_cell(field, cells[position])
        except TraceError as error:
            raise TraceError(f"{path}:{line}: {error}") from error
    lines = f"lines {block.first_line} to {block.first_line + len(block.lines) - 1}"
    raise TraceError(f"{path}: {lines} cannot be read as CSV: {reason}; write plain fields with commas between")


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


def _cells(path: Path, line: int, text: str) -> list[str]:
    """Split one line."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise TraceError(f"{path}:{line}: is not CSV: {error}; write plain fields with commas between") from error
