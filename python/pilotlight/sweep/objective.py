"""What a sweep looks for: an objective over all traces, under limits that every trace must keep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pilotlight.errors import ConfigError
from pilotlight.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTIVES = {
    "cost": "GB·s wasted + lambda · s waited",
    "score": "mean contest score",
    "waste": "GB·s wasted",
    "wait": "s waited",
}
"""Objective → what it is; `score` is the better the higher, the others the lower."""

LIMITS = {"mean_wait": "mean_wait_ms", "p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms", "cold": "cold_share"}
"""Limit → the column it bounds; `cold` is a share, the others are durations."""

MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Limit:
    """A column and the most it may be."""

    column: str
    most: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``p99=500ms`` or ``cold=0.05``.

        Raises:
            ConfigError: it is not a limit.
        """
        name, _, value = text.partition("=")
        if name not in LIMITS:
            raise ConfigError(f"--limit {text!r}: no limit is called {name!r}; there are {', '.join(LIMITS)}")
        is_share = name == "cold"
        try:
            most = float(value) if is_share else MS_PER_S * parse_duration(value)
        except ValueError:
            most = math.nan
        if not (0 <= most <= 1 if is_share else math.isfinite(most)):
            wanted = "share from 0 to 1, as cold=0.05" if is_share else f"duration, as {name}=500ms"
            raise ConfigError(f"--limit {text!r}: write a {wanted}")
        return cls(LIMITS[name], most)


def ranked(frame: pl.DataFrame, objective: str, lambda_: float, limits: Sequence[Limit]) -> pl.DataFrame:
    """Sum every setting up over the traces, the best first.

    Args:
        frame: points of one sweep, every setting over the same traces.
        objective: one of `OBJECTIVES`.
        lambda_: GB·s that a second of waiting is worth.
        limits: what every trace must keep.

    Returns:
        A row a setting: `policy`, `objective`, `kept` (whether it keeps the limits), and the figures: `waste_gb_s` and
        `wait_s` summed, `score`, `cold_share` and `mean_wait_ms` as means, quantiles as the worst trace has them. What
        breaks a limit comes last.
    """
    kept = pl.all_horizontal([pl.col(limit.column) <= limit.most for limit in limits]) if limits else pl.lit(True)
    settings = frame.group_by("policy", maintain_order=True).agg(
        kept.all().alias("kept"),
        pl.col("waste_gb_s", "wait_s").sum(),
        pl.col("score", "cold_share", "mean_wait_ms").mean(),
        pl.col("p50_ms", "p95_ms", "p99_ms").max(),
    )
    value = {
        "cost": pl.col("waste_gb_s") + lambda_ * pl.col("wait_s"),
        "score": pl.col("score"),
        "waste": pl.col("waste_gb_s"),
        "wait": pl.col("wait_s"),
    }[objective]
    valued = settings.with_columns(value.alias("objective"))
    return valued.sort("kept", "objective", descending=[True, objective == "score"], maintain_order=True)
