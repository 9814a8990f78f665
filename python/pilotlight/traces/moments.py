"""Reads moments written as text, such as ``2023-11-16 18:17:03.9799600`` or ``2024-05-10T00:00:00.0099+02:00``.

A moment without an offset is UTC. Called by the readers of tables whose times are dates.
"""

from __future__ import annotations

import polars as pl

NS_PER_US = 1000
DIGITS = 9
"""Of a second's fraction: nanoseconds."""

EARLIEST_NS, LATEST_NS = 0, 7_258_118_400 * 10**9
"""From 1970 to the end of 2199: what 64 bits of nanoseconds hold, with room to add durations."""

PATTERN = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|UTC| UTC|([+-])(\d\d):?(\d\d))?$"


def moments_ns(texts: pl.Series) -> pl.Series:
    """Turn texts into nanoseconds since 1970; null where a text is no moment from 1970 to 2199.

    Args:
        texts: strings; null stays null.

    Returns:
        Int64, of the same length.
    """
    parts = texts.str.extract_groups(PATTERN)
    date, clock, fraction, sign, hours, minutes = (parts.struct.field(str(group)) for group in range(1, 7))
    whole_us = (date + " " + clock).str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S", strict=False).cast(pl.Int64)
    # Pieces may name years that nanoseconds cannot hold.
    whole_us = whole_us.set(~whole_us.is_between(-(10**17), LATEST_NS // NS_PER_US), None)
    fraction_ns = fraction.fill_null("").str.pad_end(DIGITS, "0").cast(pl.Int64)
    offset_s = hours.cast(pl.Int64).fill_null(0) * 3600 + minutes.cast(pl.Int64).fill_null(0) * 60
    shift_s = offset_s * (sign == "-").fill_null(value=False).cast(pl.Int64) * 2 - offset_s
    found = whole_us * NS_PER_US + fraction_ns + shift_s * 10**9
    within: pl.Series = found.set(~found.is_between(EARLIEST_NS, LATEST_NS), None).alias(texts.name)
    return within
