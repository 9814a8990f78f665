"""Tables for the terminal: policies side by side, the functions that cost most, the policies there are.

Made for 100 columns; piped into a file or another command the columns stay aligned at that width. Takes results,
decides nothing.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from pilotlight.simulation.frames import HELD_STATES, function_frame
from pilotlight.simulation.runner import CLAIRVOYANT
from pilotlight.simulation.score import SUCCESS_FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotlight.simulation.runner import PolicyResult, Simulation

WIDTH = 100
GAP = (0, 1, 0, 0)
POLICY_WIDTH = 24
QUANTILES = ("p50", "p95", "p99", "max")
MB_PER_GB = 1024
DEAREST = 10
"""How many functions a policy's table shows."""

PLAIN_STAGES = ("create", "init")
"""Stages of a start of which nothing else is known: not worth a table."""

LEGEND = (
    "wait: of all answered requests;  GB·s: memory-time by what slots did;  peak: most at one moment.",
    "resource: 50 · executing / all GB·s of slots;  cold: 50 · executing / (executing + waiting) s.",
    f"to bound: points below {CLAIRVOYANT}, which knows the future, makes nobody wait and holds least.",
)


def open_console(stream: IO[str]) -> Console:
    """Write tables to a stream: as wide as its terminal, otherwise `WIDTH` wide and without colours."""
    width = None if stream.isatty() else WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def print_comparison(console: Console, simulation: Simulation) -> None:
    """Print the policies side by side, the clairvoyant last, and what the figures mean."""
    heads = ["score", "resource\nof 50", "cold\nof 50", "to bound\npoints", "cold\nstarts", "waiting\ns", "slots\nGB·s"]
    table = plain_table("policy", heads)
    for result in simulation.results:
        table.add_row(*_comparison_cells(result))
    bound = simulation.bound
    table.add_section()
    points = (f"{bound.score:.2f}", f"{bound.resource:.2f}", f"{bound.cold:.2f}", "0.00")
    table.add_row(CLAIRVOYANT, *points, "-", "0.0", f"{bound.slot_gb_s:,.0f}")
    console.print(table)
    console.print()
    console.print(_details(simulation))
    if len(simulation.starts.stages) > len(PLAIN_STAGES):
        console.print()
        console.print(_stages(simulation))
    for line in LEGEND:
        console.print(line)
    if simulation.starts.is_random:
        console.print(f"starts are drawn; for {CLAIRVOYANT} each takes its function's mean, so that luck may beat it.")
    for result in simulation.results:
        if result.failed:
            console.print(f"{result.policy}: {result.failed:,} of {len(simulation.trace):,} requests failed;")
            console.print(f"  a run of which {1 - SUCCESS_FLOOR:.2%} or more fail scores 0.")


def print_functions(console: Console, simulation: Simulation) -> None:
    """Print, for each policy, the functions that cost it most points."""
    for result in simulation.results:
        frame = function_frame(simulation, result)
        heads = ["MB", "cold start\nms", "requests", "cold\nstarts", "waiting\ns", "unused\nGB·s", "lost\npoints"]
        table = plain_table(f"{folded(result.policy)}\nfunction", heads)
        for row in frame.head(DEAREST).iter_rows(named=True):
            unused_gb_s = sum(row[f"{state}_gb_s"] for state in HELD_STATES)
            table.add_row(
                row["key"],
                f"{row['memory_mb']:,}",
                f"{row['cold_start_ms']:,.0f}",
                f"{row['requests']:,}",
                f"{row['cold_starts']:,}",
                f"{row['wait_s']:,.1f}",
                f"{unused_gb_s:,.1f}",
                f"{row['lost_points']:.3f}",
            )
        console.print()
        console.print(table)
        console.print(f"{min(DEAREST, len(frame))} of {len(frame)} functions; all of them with --json or --csv.")


def print_policies(console: Console, policies: Sequence[dict[str, Any]]) -> None:
    """Print the policies with where they come from, how close to it they are, their parameters and defaults."""
    table = Table(box=box.SIMPLE_HEAD, padding=GAP, pad_edge=False, show_edge=False)
    table.add_column("policy", no_wrap=True)
    table.add_column("parameter=default", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    shared = [each for each in policies[0]["parameters"] if all(each in policy["parameters"] for policy in policies)]
    for policy in policies:
        table.add_row(policy["name"], "", policy["summary"])
        table.add_row("", policy["grade"], policy["source"])
        _add_parameters(table, [each for each in policy["parameters"] if each not in shared])
    table.add_row("(every policy)", "", "takes these parameters, too")
    _add_parameters(table, shared)
    console.print(table)
    for grade, meaning in sorted({(policy["grade"], policy["grade_meaning"]) for policy in policies}, reverse=True):
        console.print(f"{grade}: {meaning}.")


def _add_parameters(table: Table, parameters: Sequence[dict[str, str]]) -> None:
    for parameter in parameters:
        table.add_row("", f"{parameter['name']}={parameter['default']}", parameter["summary"])
    table.add_section()


def _comparison_cells(result: PolicyResult) -> list[str]:
    return [
        folded(result.policy),
        f"{result.contest.score:.2f}",
        f"{result.contest.resource:.2f}",
        f"{result.contest.cold:.2f}",
        f"{result.distance.score:.2f}",
        f"{result.ledger['cold_starts']:,}",
        f"{result.wait_s:,.1f}",
        f"{result.slot_gb_s:,.0f}",
    ]


def _details(simulation: Simulation) -> Table:
    """Make the table of how long requests waited, what held the memory, and how much there was at most."""
    states = tuple(simulation.results[0].ledger["gb_s"])
    shown = [state for state in states if any(result.ledger["gb_s"][state] for result in simulation.results)]
    waits = [f"{'wait ms' if quantile == 'p50' else ''}\n{quantile}" for quantile in QUANTILES]
    held = [f"{'GB·s' if state == shown[0] else ''}\n{state}" for state in shown]
    table = plain_table("policy", [*waits, *held, "peak\nslots", "peak\nGB"])
    for result in simulation.results:
        table.add_row(
            folded(result.policy),
            *(f"{result.wait_ms[quantile]:,.0f}" for quantile in QUANTILES),
            *(f"{result.ledger['gb_s'][state]:,.0f}" for state in shown),
            f"{result.peak_instances:,}",
            f"{result.peak_memory_mb / MB_PER_GB:,.1f}",
        )
    return table


def _stages(simulation: Simulation) -> Table:
    """Make the table of the stages that requests waited for, and of what they waited outside of them."""
    stages = simulation.results[0].stage_wait_s
    table = plain_table(
        "policy", [f"{'cold waits s' if not place else ''}\n{name}" for place, name in enumerate(stages)]
    )
    for result in simulation.results:
        table.add_row(folded(result.policy), *(f"{waited_s.sum():,.1f}" for waited_s in result.stage_wait_s.values()))
    return table


def folded(policy: str) -> str:
    """Put the parameters of a long policy on lines of their own, rather than cut a word."""
    return policy if len(policy) <= POLICY_WIDTH else policy.replace(",", ",\n  ")


def plain_table(first: str, numbers: Sequence[str]) -> Table:
    """Make a table of a text column that folds and number columns that never do."""
    table = Table(box=box.SIMPLE_HEAD, padding=GAP, pad_edge=False, show_edge=False)
    table.add_column(first, overflow="fold")
    for head in numbers:
        table.add_column(head, justify="right", no_wrap=True)
    return table
