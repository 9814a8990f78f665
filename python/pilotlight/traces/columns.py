"""What columns of a CSV file may hold: each kind with its rule for one cell, to word errors, and for a whole column.

`Text` and `Whole` are of `fields`; here are those that only tables have. Called by `csv_table`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.fields import Text, Whole, shown
from pilotlight.traces.moments import moments_ns

LARGEST_UINT32 = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Real:
    """A column of finite numbers from `low` to `high`; `meaning` is their unit or sense, for error texts.

    Cells of a column that `may_be_empty` become null.
    """

    name: str
    low: float
    high: float
    meaning: str
    may_be_empty: bool = False

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


@dataclass(frozen=True, slots=True)
class Moment:
    """A column of dates with their time; it becomes nanoseconds since 1970."""

    name: str
    meaning: str

    def value(self, found: str) -> int:
        """Return the nanoseconds.

        Raises:
            TraceError: it is no moment, or not one from 1970 to 2199.
        """
        moment = moments_ns(pl.Series([found], dtype=pl.String))[0]
        if moment is None:
            raise TraceError(
                f"{self.name} is {shown(found)}; it must be like 2024-05-10 17:03:04.979, from 1970 to 2199"
                f" ({self.meaning})"
            )
        return int(moment)


Column: TypeAlias = Text | Whole | Real | Moment


def column_type(field: Column) -> type[pl.DataType]:
    """Return the type that Polars is to read."""
    if isinstance(field, Whole):
        return pl.UInt32 if field.low >= 0 and field.high <= LARGEST_UINT32 else pl.Int64
    return pl.Float64 if isinstance(field, Real) else pl.String


def typed(field: Column, column: pl.Series) -> pl.Series:
    """Turn what Polars read into what the reader gets."""
    if isinstance(field, Moment):
        return moments_ns(column)
    return column.fill_null("") if isinstance(field, Text) else column


def is_sound(field: Column, column: pl.Series) -> bool:
    """Tell whether a column keeps its field's rule."""
    if isinstance(field, Text):
        return field.may_be_empty or bool((column != "").all())
    if isinstance(field, Real) and field.may_be_empty:
        column = column.drop_nulls()
    if column.null_count():
        return False
    if isinstance(field, Moment):
        return True
    return bool(column.is_between(field.low, field.high).all()) and not bool(column.is_nan().any())
