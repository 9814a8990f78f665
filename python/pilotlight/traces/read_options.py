"""What a reader may want to be told beside the path: everything that data sets leave open.

Each reader takes what concerns its format. The defaults are this package's stated rules; docs/traces.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilotlight.errors import TraceError
from pilotlight.traces.placement import DEFAULT_PLACEMENT
from pilotlight.traces.trace import MAX_MEMORY_MB, MAX_SPAN_MS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFILL_PER_S, DECODE_PER_S = 10_000.0, 30.0
"""Tokens a second that a request's context is taken in and its answer is made: round numbers, not measurements."""

DURATION_MS = 100.0
TIME_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds of each."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What data sets leave open.

    Attributes:
        requests: the requests file of a contest data set, if the folder does not settle it.
        metas: its metas file, likewise.
        seed: of whatever a recording leaves open and a reader draws.
        placement: where requests lie inside a slot of time that only counts them.
        memory_mb: of each function, in formats that do not tell it; None takes the format's rule.
        duration_ms: of each request, in formats that do not tell it.
        prefill_per_s: context tokens taken in a second, in formats of tokens.
        decode_per_s: tokens generated a second, likewise.
        columns: which column of a plain CSV file holds what; see `readers.request_csv`.
        time_unit: of its numbers; a name in `TIME_UNITS`.

    Raises:
        TraceError: a value is out of range.
    """

    requests: Path | None = None
    metas: Path | None = None
    seed: int = 1
    placement: str = DEFAULT_PLACEMENT
    memory_mb: int | None = None
    duration_ms: float = DURATION_MS
    prefill_per_s: float = PREFILL_PER_S
    decode_per_s: float = DECODE_PER_S
    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "s"

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("seed", self.seed, 0, 2**64 - 1),
            ("memory_mb", 1 if self.memory_mb is None else self.memory_mb, 1, MAX_MEMORY_MB),
            ("duration_ms", self.duration_ms, 0, MAX_SPAN_MS),
            ("prefill_per_s", self.prefill_per_s, 1e-3, 1e12),
            ("decode_per_s", self.decode_per_s, 1e-3, 1e12),
        ):
            if not low <= value <= high:
                raise TraceError(f"{name} is {value}; it must be from {low:g} to {high:g}")
        if self.time_unit not in TIME_UNITS:
            raise TraceError(f"time unit {self.time_unit} is not known; choose one of {', '.join(TIME_UNITS)}")
