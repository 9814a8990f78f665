"""The comparison as tables for the terminal; made for 100 columns, decides nothing."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pilotlight.comparison.functions import summaries
from pilotlight.report.table import folded, plain_table
from pilotlight.simulation.runner import CLAIRVOYANT
from pilotlight.simulation.score import SUCCESS_FLOOR

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pilotlight.comparison.comparison import Comparison, Standing
    from pilotlight.comparison.functions import FunctionCosts

MS_PER_S = 1000
COLUMNS = 6
"""How many policies stand side by side in 100 columns."""

CURVES = 3
"""How many curves do; more make further tables."""

WIDEST = 20
"""How many functions are shown."""

LEGEND = (
    "wasted: slots that execute nothing;  waiting: of all requests;  cold: cold starts of all requests.",
    f"to bound: waste above and points below {CLAIRVOYANT}, which knows the future and makes nobody wait.",
    "dominated by: this policy neither wastes nor waits more, and less of one.",
)


def print_frontier(console: Console, comparison: Comparison) -> None:
    """Print every policy with its costs and who dominates it, and the bound."""
    heads = ["wasted\nGB·s", "waiting\ns", "p99\ns", "cold\n%", "score", "to bound\nGB·s", "\npoints"]
    table = plain_table("policy", heads)
    table.columns[0].no_wrap = True  # large figures leave less room; what dominates may break
    table.add_column("dominated by", overflow="fold")
    for family, standings in groupby(comparison.standings, key=lambda standing: standing.family):
        members = list(standings)
        if len(members) > 1:
            table.add_row(family)
        for standing in members:
            table.add_row(_row_name(standing, alone=len(members) == 1), *_frontier_cells(standing))
        table.add_section()
    bound = comparison.bound
    score = f"{comparison.simulation.bound.score:.2f}"
    table.add_row(CLAIRVOYANT, f"{bound.waste_gb_s:,.0f}", "0.0", "0.00", "0.00", score, "0", "0.00", "-")
    console.print(table)
    for line in LEGEND:
        console.print(line)
    for standing in comparison.standings:
        result = standing.result
        if result.failed:
            console.print(
                f"{result.policy}: {result.failed:,} of {len(comparison.simulation.trace):,} requests failed;"
            )
            console.print(f"  a run of which {1 - SUCCESS_FLOOR:.2%} or more fail scores 0.")


def print_against_curves(console: Console, comparison: Comparison, shown: list[Standing]) -> None:
    """Print how much less each policy wastes at equal waiting, and waits at equal waste, than the curves do."""
    curves = list(comparison.curves)
    rows = [standing for standing in shown if standing.against]
    if not rows:
        return
    for start in range(0, len(curves), CURVES):
        console.print()
        console.print(_curves_table(rows, curves[start : start + CURVES]))
    console.print("less waste: at equal waiting;  less wait: at equal waste;  -: the curve does not get that low.")
    if len(shown) < len(comparison.standings):
        console.print(f"Of each family the cheapest at lambda = {comparison.lambda_:g} GB·s for a second of waiting.")


def print_function_costs(console: Console, comparison: Comparison, costs: FunctionCosts) -> None:
    """Print who wins how many functions, and the functions where the policies differ most."""
    heads = ["cost\nGB·s", "above\nbest", "functions\nwon", "\nlost"]
    table = plain_table("policy", heads)
    table.add_column("loses most at", overflow="fold")
    for summary in summaries(costs):
        most = f"{summary.worst_key} +{summary.worst:,.1f}" if summary.worst_key else "-"
        cells = (f"{summary.cost:,.0f}", f"{summary.above_best:,.0f}", f"{summary.won:,}", f"{summary.lost:,}")
        table.add_row(folded(summary.policy), *cells, most)
    console.print()
    console.print(table)
    console.print(f"cost: wasted GB·s + {comparison.lambda_:g} GB·s for each second waited;")
    console.print("above best: than with the cheapest of these policies for each function.")
    _print_widest(console, costs)


def _print_widest(console: Console, costs: FunctionCosts) -> None:
    """Print the functions where the policies' costs lie furthest apart; `*` marks the cheapest, `!` the dearest."""
    totals = costs.cost.sum(axis=1)
    columns = sorted(sorted(range(len(costs.policies)), key=lambda row: float(totals[row]))[:COLUMNS])
    table = plain_table("function", ["requests", "bound", *(_head(costs.policies[row]) for row in columns)])
    wins, losses = costs.wins, costs.losses
    count = min(WIDEST, len(costs.keys))
    for place in range(count):
        cells = [f"{costs.requests[place]:,}", f"{costs.bound[place]:,.1f}"]
        for row in columns:
            mark = "*" if wins[row, place] else "!" if losses[row, place] else " "
            cells.append(f"{costs.cost[row, place]:,.1f}{mark}")
        table.add_row(costs.keys[place], *cells)
    console.print()
    console.print(table)
    left = len(costs.policies) - len(columns)
    beside = f", {len(columns)} cheapest of {len(costs.policies)} policies" if left else ""
    console.print(f"Cost in GB·s where it differs most: {count} of {len(costs.keys)} functions{beside} (all: --json).")
    console.print("* no policy is cheaper, ! none is dearer;  bound: what the clairvoyant wastes.")


def _row_name(standing: Standing, *, alone: bool) -> str:
    """Name a policy below the head of its family by its parameters."""
    name, _, parameters = standing.result.policy.partition(":")
    if alone:
        return folded(standing.result.policy)
    return "\n".join(f" {part}" for part in (parameters or name).replace(",", ",\n").split("\n"))


def _frontier_cells(standing: Standing) -> list[str]:
    result = standing.result
    return [
        f"{standing.point.waste_gb_s:,.0f}",
        f"{standing.point.wait_s:,.1f}",
        f"{result.wait_ms['p99'] / MS_PER_S:,.2f}",
        f"{100 * standing.cold_share:.2f}",
        f"{result.contest.score:.2f}",
        f"{standing.above_bound_gb_s:,.0f}",
        f"{result.distance.score:.2f}",
        "on the frontier" if standing.dominated_by is None else folded(standing.dominated_by),
    ]


def _curves_table(rows: list[Standing], curves: list[str]) -> Table:
    """Make the table of some curves."""
    heads = [head for name in curves for head in (f"{name}\nless waste", "\nless wait")]
    table = plain_table("against the\ncurve of", heads)
    for standing in rows:
        cells = [folded(standing.result.policy)]
        for name in curves:
            gain = standing.against.get(name)
            cells += ["", ""] if gain is None else [_percent(gain.less_waste), _percent(gain.less_wait)]
        table.add_row(*cells)
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f} %"


def _head(spec: str) -> str:
    """Break a specification into lines narrow enough to head a column."""
    name, _, parameters = spec.partition(":")
    return "\n".join([*name.split("_"), *parameters.replace("=", "=\n").replace(",", "\n").split("\n")]).strip()
