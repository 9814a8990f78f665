"""Tables of measurements for the terminal. Take rows, decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from pilotlight.bench.load import Row

LOAD_COLUMNS = (
    ("rps", "calls/s", ",.0f"),
    ("p50_us", "p50 µs", ",.0f"),
    ("p99_us", "p99 µs", ",.0f"),
    ("p99_9_us", "p99.9 µs", ",.0f"),
    ("p99_99_us", "p99.99 µs", ",.0f"),
    ("cpu_us_per_call", "CPU µs\na call", ",.1f"),
    ("client_cpu_us_per_call", "client's", ",.1f"),
    ("rss_mb", "RSS MB", ",.0f"),
)
RATIO_COLUMNS = tuple((name, head, ".2f") for name, head, _ in LOAD_COLUMNS)


def cell(value: float | None, form: str) -> str:
    """Write a figure; a missing one is a dash."""
    return "-" if value is None else format(value, form)


def print_loads(console: Console, rows: Sequence[Row], ratios: Sequence[Row]) -> None:
    """Print measurements, then ratios, then what failed."""
    console.print(_table(rows, LOAD_COLUMNS))
    if ratios:
        console.print(_table(ratios, RATIO_COLUMNS))
    for row in rows:
        if row["failures"]:
            console.print(f"{row['scenario']}, {row['target']}: failures {_counts(row['failures'])}")
        if row["starts"]:
            console.print(f"{row['scenario']}, {row['target']}: {row['starts']:,.0f} starts on the platform")


def _table(rows: Sequence[Row], columns: Sequence[tuple[str, str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("load")
    table.add_column("scaler")
    for _, head, _ in columns:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(row["scenario"], row["target"], *(cell(row.get(name), form) for name, _, form in columns))
    return table


def _counts(failures: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(failures.items()))
