"""Tables of measurements for the terminal. Take rows, decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from pilotlight.bench.claims import Verdict
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
STORM_COLUMNS = (
    ("p99_us", "quiet\np99 µs", ",.0f"),
    ("beside_storm_p99_us", "beside\np99 µs", ",.0f"),
    ("storm_ratio", "ratio", ".2f"),
    ("storm_calls", "storm's\ncalls", ",.0f"),
    ("storm_assign_p50_us", "its Assign\np50 µs", ",.0f"),
    ("storm_assign_p99_us", "p99 µs", ",.0f"),
)
CORE_COLUMNS = (("warm_pair_ns", "ns a pair", ",.0f"), ("pairs_per_s", "pairs/s", ",.0f"), ("waited", "waited", ",.0f"))
SIM_COLUMNS = (("requests", "requests", ",.0f"), ("run_s", "s", ".3f"), ("invocations_per_s", "invocations/s", ",.0f"))
SOAK_COLUMNS = (
    ("calls", "calls", ",.0f"),
    ("rps", "calls/s", ",.0f"),
    ("rss_mb", "RSS MB", ",.1f"),
    ("rss_growth_mb", "growth MB", ",.2f"),
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


def print_storm(console: Console, rows: Sequence[Row]) -> None:
    """Print what warm calls met before and beside a storm."""
    console.print(_table(rows, STORM_COLUMNS))
    for row in rows:
        for name in ("failures", "beside_storm_failures", "storm_failures"):
            if row[name]:
                console.print(f"{row['target']}: {name.replace('_', ' ')} {_counts(row[name])}")


def print_rows(console: Console, rows: Sequence[Row], columns: Sequence[tuple[str, str, str]], *heads: str) -> None:
    """Print rows under the names of their first columns and figures."""
    console.print(_table(rows, columns, heads))


def print_verdicts(console: Console, found: Sequence[Verdict]) -> None:
    """Print the goals and whether they are reached."""
    table = _empty("goal", "limit", "measured", "holds")
    for verdict in found:
        holds = "not measured" if verdict.holds is None else "yes" if verdict.holds else "no"
        holds += f": {verdict.why}" if verdict.why else ""
        table.add_row(verdict.claim, verdict.limit, cell(verdict.value, ",.2f"), holds)
    console.print(table)


def _table(
    rows: Sequence[Row], columns: Sequence[tuple[str, str, str]], heads: Sequence[str] = ("scenario", "target")
) -> Table:
    table = _empty(*heads)
    for _, head, _ in columns:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*(str(row[head]) for head in heads), *(cell(row.get(name), form) for name, _, form in columns))
    return table


def _empty(*heads: str) -> Table:
    return Table(*heads, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _counts(failures: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(failures.items()))
