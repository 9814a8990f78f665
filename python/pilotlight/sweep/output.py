"""Shows a sweep's best settings, and writes the best one as a configuration that `pilotlight serve` takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pilotlight import __version__
from pilotlight.errors import ConfigError
from pilotlight.report.table import folded, plain_table
from pilotlight.sweep.objective import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl
    from rich.console import Console

ROWS = 15


def print_best(console: Console, best: pl.DataFrame, objective: str) -> None:
    """Print the best settings, each with the figures it is judged by.

    Args:
        console: where to.
        best: as `ranked` makes it.
        objective: what the settings are ordered by.
    """
    heads = [f"{objective}", "wasted\nGB·s", "waiting\ns", "mean\nms", "p99\nms", "cold\n%", "score"]
    table = plain_table("policy", heads)
    for row in best.head(ROWS).iter_rows(named=True):
        table.add_row(
            folded(row["policy"]),
            f"{row['objective']:,.2f}" + ("" if row["kept"] else " !"),
            f"{row['waste_gb_s']:,.0f}",
            f"{row['wait_s']:,.1f}",
            f"{row['mean_wait_ms']:,.1f}",
            f"{row['p99_ms']:,.0f}",
            f"{100 * row['cold_share']:.2f}",
            f"{row['score']:.2f}",
        )
    console.print(table)
    console.print(f"{min(ROWS, len(best))} of {len(best)} settings by {objective}: {OBJECTIVES[objective]}.")
    broken = int((~best["kept"]).sum())
    if broken:
        console.print(f"! breaks a limit on some trace, as {broken} of them do.")


def write_best(best: pl.DataFrame, objective: str, traces: Sequence[str], path: Path) -> None:
    """Write the best setting as TOML for `pilotlight serve --config`.

    Raises:
        ConfigError: every setting breaks a limit.
        OSError: the file cannot be written.
    """
    row = best.row(0, named=True)
    if not row["kept"]:
        raise ConfigError("--export: every setting breaks a limit; there is no best one to write")
    figures = (
        f"# Wasted {row['waste_gb_s']:,.0f} GB·s, waited {row['wait_s']:,.1f} s, p99 {row['p99_ms']:,.0f} ms, "
        f"score {row['score']:.2f}."
    )
    lines = [
        f"# The best of {len(best)} settings by {objective} ({OBJECTIVES[objective]}): {row['objective']:,.2f}.",
        figures,
        f"# Traces: {', '.join(json.dumps(trace, ensure_ascii=False) for trace in traces)}. Pilotlight {__version__}.",
        f"policy = {json.dumps(row['policy'])}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
