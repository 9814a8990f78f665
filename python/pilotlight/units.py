"""Durations and memory sizes as people write them: a number and its unit."""

from __future__ import annotations

import math
import re

_UNIT_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_UNIT_MB = {"MB": 1, "GB": 1024}
_MEMORY = re.compile(r"(\d+)(MB|GB)")


def parse_duration(value: object) -> float:
    """Read a duration such as ``"5s"``, ``"250ms"`` or ``"2m"``.

    Args:
        value: the text; only 0 needs no unit.

    Returns:
        Seconds.

    Raises:
        ValueError: not a duration.
    """
    text = str(value).strip()
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration; write a number and its unit (us, ms, s, m, h), for example 5s or 250ms")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Write seconds the way `parse_duration` reads them, in the largest unit that keeps the number whole."""
    for unit in ("h", "m", "s", "ms", "us"):
        number = seconds / _UNIT_SECONDS[unit]
        if number >= 1 and math.isclose(number, round(number)):
            return f"{round(number)}{unit}"
    return "0s" if seconds == 0 else f"{seconds:g}s"


def parse_memory(value: object) -> int:
    """Read a memory size such as ``"512MB"`` or ``"64GB"``.

    Args:
        value: the text; only 0 needs no unit.

    Returns:
        MB; 1 GB = 1024 MB.

    Raises:
        ValueError: not a memory size.
    """
    text = str(value).strip()
    if text == "0":
        return 0
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise ValueError("not a memory size; write a whole number and MB or GB, for example 64GB")
    return int(match[1]) * _UNIT_MB[match[2]]


def format_memory(memory_mb: int) -> str:
    """Write MB the way `parse_memory` reads them."""
    if memory_mb == 0:
        return "0"
    return f"{memory_mb // 1024}GB" if memory_mb % 1024 == 0 else f"{memory_mb}MB"
