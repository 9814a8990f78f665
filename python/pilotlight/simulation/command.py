"""`pilotlight simulate` and `pilotlight policies`: arguments in, tables and files out; the work is in `runner`."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pilotlight import _core
from pilotlight.cli import command_line
from pilotlight.report.explanation import print_explanation
from pilotlight.report.table import open_console, print_comparison, print_functions, print_policies
from pilotlight.simulation.explanation import find_function
from pilotlight.simulation.options import (
    REPORT_SPANS,
    Workload,
    file_named,
    report_option,
    result_options,
    workload_options,
    write_json,
)
from pilotlight.simulation.output import simulation_json, write_csv, write_requests
from pilotlight.simulation.runner import check_policies, run_policies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEFAULT_POLICIES = ("fixed:keep_alive=300s", "fixed:keep_alive=5s", "fixed:keep_alive=1s", "break_even", "level_gap")

LAMBDA = 1.0
"""GB·s that a second of waiting is worth where a report adds costs up; `compare` lets it be chosen."""


@click.command()
@workload_options
@click.option("--policy", "policies_", metavar="SPEC", multiple=True, help="Policy to simulate; may be repeated.")
@click.option(
    "--per-function", is_flag=True, help="Show the functions that cost most; all of them in --json and --csv."
)
@click.option(
    "--explain",
    metavar="FUNCTION",
    help="Show what was decided for one function, and why; a key, or as much of it as no other key begins with.",
)
@report_option
@result_options
@click.option(
    "--per-request",
    "requests_out",
    type=file_named(".csv", ".parquet"),
    metavar="FILE",
    help="Write what every request met, as .csv or .parquet.",
)
def simulate(
    *,
    workload: Workload,
    policies_: tuple[str, ...],
    per_function: bool,
    explain: str | None,
    report: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
    requests_out: Path | None,
) -> None:
    """Play TRACE against policies in virtual time and compare what they cost.

    TRACE is a file or folder in one of many formats, told by what is in it: a contest data set, a trace of Azure,
    Huawei or Alibaba, Mooncake, ServeGen, a CSV file of requests, or what `pilotlight trace convert` wrote;
    docs/traces.md has them all. Without it, contest-like load is generated. docs/simulate.md explains every figure.
    """
    policies = policies_ or DEFAULT_POLICIES
    check_policies(policies)
    settings = workload.settings
    played, source = workload.load(whole=requests_out is not None)
    explained = None if explain is None else find_function(played.functions.keys, explain)
    with _progress(len(played)) as progress:
        spans = 0 if report is None else REPORT_SPANS
        simulation = run_policies(played, policies, settings, progress, explained, spans=spans)
    try:
        if csv_file is not None:
            write_csv(simulation, csv_file, per_function=per_function)
        if report is not None:
            # Loading the drawing library takes longer than most simulations.
            from pilotlight.comparison.comparison import compare_results  # noqa: PLC0415
            from pilotlight.report.document import write_report  # noqa: PLC0415

            write_report(compare_results(simulation, LAMBDA), source, command_line(), report)
        if requests_out is not None:
            write_requests(simulation, requests_out)
        if json_file is not None:
            text = simulation_json(simulation, source, per_function=per_function)
            if write_json(json_file, text):
                return
    except OSError as error:
        raise click.ClickException(f"the results cannot be written: {error}") from error
    console = open_console(sys.stdout)
    print_comparison(console, simulation)
    if per_function:
        print_functions(console, simulation)
    print_explanation(console, simulation)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def policies(as_json: bool) -> None:
    """List the policies, what they do, and their parameters."""
    listed = _core.policies()
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        print_policies(open_console(sys.stdout), listed)


@contextmanager
def _progress(requests: int) -> Iterator[Callable[[str, int], None] | None]:
    """Draw a bar for each policy on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(policy: str, played: int) -> None:
            if policy not in tasks:
                tasks[policy] = bars.add_task(policy, total=requests)
            bars.update(tasks[policy], completed=played)

        yield advance
