"""One function under each policy, for the terminal: what was counted, the policy's own account, what was decided when.

Of many decisions only the first and the last are shown, and of the accounts only that of the end; the JSON document has
all. Takes results, decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilotlight.report.table import folded, plain_table
from pilotlight.simulation.explanation import WAITS, Explanation, function_counts
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from rich.console import Console

    from pilotlight.simulation.runner import PolicyResult, Simulation

SHOWN_DECISIONS = 15
"""How many of the first decisions are shown, and of the last."""

STARTS = {
    "starts": "starts",
    "starts_ahead": "ahead of\ndemand",
    "starts_failed": "failed",
    "starts_cancelled": "cancelled",
    "retired": "retired",
    "evicted": "evicted",
    "held_back": "requests\nheld back",
}
"""Column → its head: what became of instances, and who was let wait instead."""

REQUESTS = {
    "warm_starts": "warm\nstarts",
    "cold_starts": "cold\nstarts",
    "handoffs": "\nhand-offs",
    "failed": "\nfailed",
    "cold_start_wait_s": "wait s\ncold start",
    "handoff_wait_s": "\nhand-off",
    "failed_wait_s": "\nfailed",
}
"""Column → its head: how requests got an instance, and how long they waited by it."""

RARE = ("starts_failed", "evicted", "failed", "failed_wait_s")
"""Columns that are shown only when there is something in them."""


def print_explanation(console: Console, simulation: Simulation) -> None:
    """Print what `--explain` asked for; nothing if it asked for nothing."""
    explained = [(result, result.explanation) for result in simulation.results if result.explanation is not None]
    if not explained:
        return
    console.print()
    console.print(_title(simulation, *explained[0]))
    for heads in (STARTS, REQUESTS):
        console.print()
        console.print(_counts(explained, heads))
    for result, explanation in explained:
        console.print()
        _print_account(console, result, explanation)
        console.print()
        _print_decisions(console, explanation)


def _title(simulation: Simulation, result: PolicyResult, explanation: Explanation) -> str:
    row, table = explanation.row, simulation.trace.functions
    cold_start_ms = simulation.starts.mean_ms[row]
    requests = function_counts(result, row)["assigns"]
    about = f"{table.memory_mb[row]:,} MB, cold start {cold_start_ms:,.0f} ms, {requests:,} requests"
    return f"{explanation.key}: {about}"


def _counts(explained: list[tuple[PolicyResult, Explanation]], heads: dict[str, str]) -> Table:
    """Make a table of what was counted of the function, the policies below one another."""
    rows = [(result.policy, function_counts(result, explanation.row)) for result, explanation in explained]
    shown = [name for name in heads if name not in RARE or any(counts[name] for _, counts in rows)]
    table = plain_table("policy", [heads[name] for name in shown])
    for policy, counts in rows:
        cells = (f"{counts[name]:,.1f}" if name in WAITS else f"{counts[name]:,}" for name in shown)
        table.add_row(folded(policy), *cells)
    return table


def _print_account(console: Console, result: PolicyResult, explanation: Explanation) -> None:
    if not explanation.accounts:
        console.print(f"{result.policy} gives no account of its decisions.")
        return
    at_ns, lines = explanation.accounts[-1]
    console.print(f"{result.policy}, its account at {at_ns / NS_PER_S:,.0f} s:")
    for line in lines:
        # Hanging, so that one line of the account is told from the next.
        entry = Table.grid(padding=(0, 1))
        entry.add_row("  -", Text(line))
        console.print(entry)


def _print_decisions(console: Console, explanation: Explanation) -> None:
    decisions = explanation.decisions
    total = len(decisions) + explanation.left_out
    if not total:
        console.print("  No decision was made for it.")
        return
    first, last = decisions, decisions[:0]
    if len(decisions) > 2 * SHOWN_DECISIONS:
        first, last = decisions[:SHOWN_DECISIONS], decisions[-SHOWN_DECISIONS:]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for at_ns, what in first:
        grid.add_row(f"{at_ns / NS_PER_S:,.3f} s", what)
    if last:
        grid.add_row("…", f"{len(decisions) - 2 * SHOWN_DECISIONS:,} more: all of them with --json")
    for at_ns, what in last:
        grid.add_row(f"{at_ns / NS_PER_S:,.3f} s", what)
    if explanation.left_out:
        grid.add_row("…", f"{explanation.left_out:,} more were made and only counted")
    console.print(f"  {total:,} decisions:")
    console.print(Padding(grid, (0, 0, 0, 4), expand=False))
