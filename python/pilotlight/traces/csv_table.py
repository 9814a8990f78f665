"""Reads one CSV file with a header, plain or gzip-compressed, into typed columns.

Polars reads the file whole; only when it stumbles, or a value is out of range, the file is read again line by line to
name the line, the field and the remedy. Guarantees: every column that is asked for is there, of its type, in its range
and without gaps, and row i of the table is line i + 2 of the file. Called by the readers of CSV data sets.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.fields import Text, Whole, shown
from pilotlight.traces.lines import read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FIRST_ROW_LINE = 2
"""The line of a table's first row: the header stands above it."""


@dataclass(frozen=True, slots=True)
class Real:
    """A column of finite numbers from `low` to `high`; `meaning` is their unit or sense, for error texts."""

    name: str
    low: float
    high: float
    meaning: str

    def value(self, found: str) -> float:
        """Return the number.

        Raises:
            TraceError: it is none, is not finite, or is out of range.
        """
        try:
            number = float(found)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise TraceError(f"{self.name} is {shown(found)}; it must be a number ({self.meaning})")
        if not self.low <= number <= self.high:
            raise TraceError(
                f"{self.name} is {shown(found)}; it must be from {self.low:g} to {self.high:g} ({self.meaning})"
            )
        return number


def read_header(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises:
        TraceError: the file is not readable or empty, or a name occurs twice.
    """
    text = next((block.lines[0] for block in read_blocks(path)), "")
    names = _cells(path, 1, text.removesuffix("\r"))
    if not any(names):
        raise TraceError(f"{path}:1: the header is missing; the first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise TraceError(f"{path}:1: the column {shown(name)} occurs twice; keep one of them")
    return names


def read_table(path: Path, fields: Sequence[Text | Whole | Real]) -> pl.DataFrame:
    """Read the columns that are asked for.

    Args:
        path: the file; it may have further columns.
        fields: the columns, whole numbers of at most 32 bits.

    Returns:
        One column a field, in their order: strings, UInt32 or Float64; at least one row.

    Raises:
        TraceError: the file, a line or a field is wrong; the text names file, line, field and remedy.
    """
    header = read_header(path)
    for field in fields:
        if field.name not in header:
            raise TraceError(
                f"{path}:1: the column {field.name} is missing ({field.meaning}); the header has"
                f" {shown(', '.join(header))}"
            )
    types = {field.name: _type(field) for field in fields}
    try:
        # All columns are read, also those not asked for: only then does Polars notice a line with too many.
        table = pl.read_csv(path, schema_overrides=types, infer_schema=False).select(*types)
    except (pl.exceptions.PolarsError, OSError) as error:
        _explain(path, header, fields, str(error).partition("\n")[0])
    if not table.height:
        raise TraceError(f"{path}: has a header and no rows; give one line for each function or app")
    if not all(_sound(table[field.name], field) for field in fields):
        _explain(path, header, fields, "a value is missing or out of range")
    return table


def _type(field: Text | Whole | Real) -> type[pl.DataType]:
    if isinstance(field, Text):
        return pl.String
    return pl.UInt32 if isinstance(field, Whole) else pl.Float64


def _sound(column: pl.Series, field: Text | Whole | Real) -> bool:
    """Tell whether a column keeps its field's rule."""
    if column.null_count():
        return False
    if isinstance(field, Text):
        return field.may_be_empty or bool((column != "").all())
    return bool(column.is_between(field.low, field.high).all()) and not bool(column.is_nan().any())


def _explain(path: Path, header: list[str], fields: Sequence[Text | Whole | Real], reason: str) -> NoReturn:
    """Find the first wrong line and say what is wrong with it; if none is, repeat the reason."""
    positions = [(field, header.index(field.name)) for field in fields]
    for line, text in _lines(path):
        if line < FIRST_ROW_LINE:
            continue
        cells = _cells(path, line, text)
        if not text.strip():
            raise TraceError(f"{path}:{line}: the line is blank; remove it")
        if len(cells) != len(header):
            raise TraceError(f"{path}:{line}: has {len(cells)} fields, the header names {len(header)}; write all")
        try:
            for field, position in positions:
                _check(field, cells[position])
        except TraceError as error:
            raise TraceError(f"{path}:{line}: {error}") from error
    raise TraceError(f"{path}: cannot be read as CSV: {reason}; write it again, with a comma between fields")


def _check(field: Text | Whole | Real, cell: str) -> None:
    """Hold one cell against its field's rule."""
    if not cell and not isinstance(field, Text):
        raise TraceError(f"{field.name} is empty; it must be a number ({field.meaning})")
    if isinstance(field, Whole):
        sign, digits = cell[:1] == "-", cell.removeprefix("-")
        whole = digits.isascii() and digits.isdecimal() and len(digits) <= 30  # noqa: PLR2004 - no number here is longer
        field.value((-int(digits) if sign else int(digits)) if whole else cell)
    else:
        field.value(cell)


def _cells(path: Path, line: int, text: str) -> list[str]:
    """Split one line."""
    try:
        return next(csv.reader([text]), [])
    except csv.Error as error:
        raise TraceError(f"{path}:{line}: is not CSV: {error}; write plain fields with commas between") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the file's lines with their numbers."""
    for block in read_blocks(path):
        for line, text in enumerate(block.lines, block.first_line):
            yield line, text.removesuffix("\r")
