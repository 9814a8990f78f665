"""`pilotlight compare`: arguments in, tables, files and a chart out."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pilotlight.cli import command_line
from pilotlight.comparison.comparison import compare_results
from pilotlight.comparison.families import available
from pilotlight.comparison.functions import function_costs
from pilotlight.comparison.output import comparison_json, write_csv
from pilotlight.comparison.runs import run_parallel, usable_cores
from pilotlight.comparison.tables import print_against_curves, print_frontier, print_function_costs
from pilotlight.report.table import open_console
from pilotlight.simulation.options import (
    REPORT_SPANS,
    Workload,
    file_named,
    report_option,
    result_options,
    workload_options,
    write_json,
)
from pilotlight.simulation.runner import check_policies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pilotlight.comparison.comparison import Comparison
    from pilotlight.comparison.families import Family

ROWS = 12
"""How many policies the tables beside the first one show; of more, each family's cheapest."""


@click.command()
@workload_options
@click.option("--policy", "policies", metavar="SPEC", multiple=True, help="Policy to run instead; may be repeated.")
@click.option("--family", "families", metavar="NAME", multiple=True, help="Run only this policy's settings; likewise.")
@click.option(
    "--lambda",
    "lambda_",
    type=click.FloatRange(0, 1e6),
    default=1.0,
    show_default=True,
    help="GB·s that a second of waiting is worth, where costs are added up.",
)
@click.option("--jobs", type=click.IntRange(1, 1024), help="Policies that run at once.  [default: one a core]")
@click.option("--per-function", is_flag=True, help="Show who wins and who loses which functions.")
@click.option(
    "--plot",
    type=file_named(".html", ".svg", ".png"),
    metavar="FILE",
    help="Draw the frontier, the scores and the functions: .html, .svg or .png.",
)
@report_option
@result_options
def compare(
    *,
    workload: Workload,
    policies: tuple[str, ...],
    families: tuple[str, ...],
    lambda_: float,
    jobs: int | None,
    per_function: bool,
    plot: Path | None,
    report: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
) -> None:
    """Run every policy over TRACE and show the frontier of wasted memory against waiting.

    Policies with a knob run with several settings of it. TRACE and the platform are as for `pilotlight simulate`;
    docs/compare.md explains every figure.
    """
    chosen = _chosen(policies, families)
    check_policies(policies)
    settings = workload.settings
    played, source = workload.load()
    largest_mb = int(played.functions.memory_mb.max(initial=0))
    specs = list(dict.fromkeys([*(spec for family in chosen for spec in family.specs_for(largest_mb)), *policies]))
    with _progress(len(played), len(specs)) as progress:
        spans = 0 if report is None else REPORT_SPANS
        simulation = run_parallel(played, specs, settings, progress, jobs or usable_cores(), spans=spans)
    comparison = compare_results(simulation, lambda_)
    try:
        if plot is not None:
            # Loading the drawing library takes longer than most comparisons.
            from pilotlight.comparison.chart import write_chart  # noqa: PLC0415

            write_chart(comparison, plot)
        if report is not None:
            from pilotlight.report.document import write_report  # noqa: PLC0415

            write_report(comparison, source, command_line(), report)
        if csv_file is not None:
            write_csv(comparison, csv_file, per_function=per_function)
        if json_file is not None and write_json(
            json_file, comparison_json(comparison, source, per_function=per_function)
        ):
            return
    except OSError as error:
        raise click.ClickException(f"the results cannot be written: {error}") from error
    _print(comparison, per_function=per_function)


def _chosen(policies: tuple[str, ...], families: tuple[str, ...]) -> list[Family]:
    """List the families to run: those named; all of them if no policy is named either."""
    known = available()
    for name in families:
        if name not in known:
            raise click.BadParameter(f"no policy is called {name}; there are {', '.join(known)}", param_hint="--family")
    return [known[name] for name in families or (() if policies else known)]


def _print(comparison: Comparison, *, per_function: bool) -> None:
    console = open_console(sys.stdout)
    shown = comparison.cheapest(ROWS)
    print_frontier(console, comparison)
    print_against_curves(console, comparison, shown)
    if per_function:
        print_function_costs(console, comparison, function_costs(comparison, shown))


@contextmanager
def _progress(requests: int, policies: int) -> Iterator[Callable[[str, int], None] | None]:
    """Draw one bar for all policies on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bars:
        task = bars.add_task(f"0 of {policies} policies", total=requests * policies)
        played: dict[str, int] = {}

        def advance(policy: str, count: int) -> None:
            played[policy] = count
            counts = list(played.values())
            done = sum(count == requests for count in counts)
            bars.update(task, completed=sum(counts), description=f"{done} of {policies} policies")

        yield advance
