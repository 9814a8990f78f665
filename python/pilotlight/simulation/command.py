"""`pilotlight simulate` and `pilotlight policies`: arguments in, tables and files out; the work is in `runner`."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pilotlight import _core
from pilotlight.report.table import open_console, print_comparison, print_functions, print_policies
from pilotlight.simulation.output import simulation_json, write_csv, write_requests
from pilotlight.simulation.runner import SimulationSettings, check_policies, run_policies
from pilotlight.traces import SynthSettings, Trace, read_contest, synthesize
from pilotlight.traces.locate import locate
from pilotlight.traces.options import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFAULT_POLICIES = ("fixed:keep_alive=300s", "fixed:keep_alive=5s", "fixed:keep_alive=1s", "break_even")
PLATFORM = SimulationSettings()
STDOUT = "-"


def output_file(value: str) -> Path:
    """Name a file to write after a long run; that its folder is there is found out before.

    Raises:
        click.BadParameter: it is a folder, or has none.
    """
    path = Path(value)
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise click.BadParameter(f"{path.parent} is not a folder; make it first")
    return path


def request_file(value: str) -> Path:
    """Name a file for the per-request columns, whose format its suffix tells.

    Raises:
        click.BadParameter: another suffix, or as `output_file`.
    """
    if not value.endswith((".csv", ".parquet")):
        raise click.BadParameter(f"{value} must end in .csv or .parquet")
    return output_file(value)


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), required=False)
@click.option("--policy", "policies_", metavar="SPEC", multiple=True, help="Policy to simulate; may be repeated.")
@click.option("--requests", type=click.Path(path_type=Path), help="The requests file, if TRACE does not settle it.")
@click.option("--metas", type=click.Path(path_type=Path), help="The metas file, if TRACE does not settle it.")
@click.option("--start", type=duration, default="0s", show_default=True, help="Leave out what arrives before.")
@click.option("--length", type=duration, help="Take only what arrives in this time from the start on.")
@click.option(
    "--create-ms", type=float, default=PLATFORM.create_ms, show_default=True, help="How long CreateSlot takes."
)
@click.option("--tail", type=duration, default="300s", show_default=True, help="Run on after the last arrival.")
@click.option("--create-failure", type=click.FloatRange(0, 1), default=0.0, help="Probability that a CreateSlot fails.")
@click.option("--init-failure", type=click.FloatRange(0, 1), default=0.0, help="Probability that an Init fails.")
@click.option("--seed", default=PLATFORM.seed, show_default=True, help="Of failures, and of the load without a TRACE.")
@click.option(
    "--per-function", is_flag=True, help="Show the functions that cost most; all of them in --json and --csv."
)
@click.option(
    "--json",
    "json_file",
    type=output_file,
    is_flag=False,
    flag_value=STDOUT,
    metavar="[FILE|-]",
    help="Write JSON to FILE, or to stdout instead of the tables.",
)
@click.option("--csv", "csv_file", type=output_file, metavar="FILE", help="Write the results as CSV.")
@click.option(
    "--per-request",
    "requests_out",
    type=request_file,
    metavar="FILE",
    help="Write what every request met, as .csv or .parquet.",
)
def simulate(
    *,
    trace: Path | None,
    policies_: tuple[str, ...],
    requests: Path | None,
    metas: Path | None,
    start: float,
    length: float | None,
    create_ms: float,
    tail: float,
    create_failure: float,
    init_failure: float,
    seed: int,
    per_function: bool,
    json_file: Path | None,
    csv_file: Path | None,
    requests_out: Path | None,
) -> None:
    """Play TRACE against policies in virtual time and compare what they cost.

    TRACE is the folder of a contest data set: a `requests` and a `metas` file of JSON lines, plain or gzip-compressed.
    Without it, contest-like load is generated. docs/simulate.md explains every figure.
    """
    policies = policies_ or DEFAULT_POLICIES
    check_policies(policies)
    settings = SimulationSettings(create_ms, tail, create_failure, init_failure, seed)
    played, source = _load(trace, requests, metas, seed)
    if start or length is not None:
        played = played.slice(start, length)
    source["window"] = {"start_s": start, "length_s": length}
    with _progress(len(played)) as progress:
        simulation = run_policies(played, policies, settings, progress)
    try:
        if csv_file is not None:
            write_csv(simulation, csv_file, per_function=per_function)
        if requests_out is not None:
            write_requests(simulation, requests_out)
        if json_file is not None:
            text = simulation_json(simulation, source, per_function=per_function)
            if str(json_file) == STDOUT:
                click.echo(text)
                return
            json_file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"the results cannot be written: {error}") from error
    console = open_console(sys.stdout)
    print_comparison(console, simulation)
    if per_function:
        print_functions(console, simulation)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def policies(as_json: bool) -> None:
    """List the policies, what they do, and their parameters."""
    listed = _core.policies()
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        print_policies(open_console(sys.stdout), listed)


def _load(folder: Path | None, requests: Path | None, metas: Path | None, seed: int) -> tuple[Trace, dict[str, Any]]:
    """Read the trace, or generate one and say so; with it goes where it came from."""
    if folder is None and requests is None and metas is None:
        settings = SynthSettings(seed=seed)
        click.echo(
            f"no TRACE: generated load of {settings.requests} requests of {settings.functions} functions in"
            f" {settings.length_s:g} s, seed {seed} (`pilotlight trace synth` writes others)",
            err=True,
        )
        return synthesize(settings), {"kind": "synth", **asdict(settings)}
    files = locate(folder, requests, metas)
    source = {"kind": "contest", "requests": str(files.requests), "metas": str(files.metas)}
    return read_contest(requests=files.requests, metas=files.metas), source


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
