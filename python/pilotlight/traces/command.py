"""`pilotlight trace`: make workloads, cut them, and say what they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pilotlight.config import format_duration
from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.convert import convert
from pilotlight.traces.cutting import functions_at_random, functions_most_called, functions_named, keep_functions
from pilotlight.traces.generators import generate
from pilotlight.traces.kinds import CONTEST, KINDS
from pilotlight.traces.options import duration
from pilotlight.traces.read_options import ReadOptions
from pilotlight.traces.reading import FORMATS, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight.traces.trace import Trace

PICTURES = (".html", ".svg", ".png")


@click.group()
def trace() -> None:
    """Make, cut, convert and inspect traces (recorded or generated workloads)."""


trace.add_command(convert)


@trace.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    default=CONTEST,
    show_default=True,
    metavar="KIND[:NAME=VALUE,...]",
    help="What load; `pilotlight trace kinds` lists them.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random generator.")
@click.option(
    "--functions", type=int, help="Size of the function table; its default, like the next two, is the kind's."
)
@click.option("--requests", type=int, help="Number of requests.")
@click.option("--length", type=duration, help="Time in which they arrive.")
@click.option("--bad", default=0.0, show_default=True, help="Share of requests that end badly, 0 to 1.")
@click.option("--gzip", "compress", is_flag=True, help="Compress both files.")
def synth(
    *,
    out: Path,
    kind: str,
    seed: int,
    functions: int | None,
    requests: int | None,
    length: float | None,
    bad: float,
    compress: bool,
) -> None:
    """Generate load of a kind and write it to OUT, a new folder with the files `requests` and `metas`.

    The same options give the same files, byte for byte.
    """
    made = generate(kind, functions=functions, requests=requests, length_s=length, seed=seed, bad_share=bad)
    files = write_contest(made.trace, out, compress=compress)
    length_s = made.source["length_s"]
    click.echo(
        f"{files.requests}: {len(made.trace)} requests of {made.trace.called} functions in {length_s:g} s, seed {seed}"
    )
    click.echo(f"{files.metas}: {len(made.trace.functions)} functions")


def _reads(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command TRACE and what its reading takes."""
    for option in (
        click.option("--seed", default=1, show_default=True, help="Of whatever TRACE leaves open, and of chance here."),
        click.option("--format", "format_name", type=click.Choice(list(FORMATS)), help="Of TRACE; told by its files."),
        click.argument("source", metavar="TRACE", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


@trace.command("slice")
@_reads
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--start", type=duration, default="0s", show_default=True, help="Leave out what arrives before.")
@click.option("--length", type=duration, help="Take only what arrives in this time from the start on.")
@click.option("--function", "keys", multiple=True, metavar="KEY", help="Keep only this function; may be repeated.")
@click.option("--gzip", "compress", is_flag=True, help="Compress both files.")
def slice_(
    *,
    source: Path,
    format_name: str | None,
    seed: int,
    out: Path,
    start: float,
    length: float | None,
    keys: tuple[str, ...],
    compress: bool,
) -> None:
    """Keep a window of TRACE, or some of its functions, and write it to OUT, a new folder."""
    taken = _read(source, format_name, seed).slice(start, length)
    if keys:
        taken = keep_functions(taken, functions_named(taken, keys))
    _write(taken, out, compress=compress)


@trace.command()
@_reads
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--functions", type=int, help="Keep so many functions, drawn among those called.")
@click.option("--top", type=int, help="Keep the so many most called functions.")
@click.option("--gzip", "compress", is_flag=True, help="Compress both files.")
def sample(
    *,
    source: Path,
    format_name: str | None,
    seed: int,
    out: Path,
    functions: int | None,
    top: int | None,
    compress: bool,
) -> None:
    """Keep some functions of TRACE with all their requests, and write them to OUT, a new folder."""
    if (functions is None) == (top is None):
        raise click.UsageError(
            "say how many functions to keep: --functions N draws them, --top N takes the most called"
        )
    whole = _read(source, format_name, seed)
    rows = (
        functions_at_random(whole, functions, seed) if functions is not None else functions_most_called(whole, top or 0)
    )
    _write(keep_functions(whole, rows), out, compress=compress)


@trace.command()
@_reads
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: .html, .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def inspect(*, source: Path, format_name: str | None, seed: int, plot: Path | None, as_json: bool) -> None:
    """Say what TRACE is: rates, bursts, periods, timers, gaps, sizes, popularity, holes, failures."""
    # Half a second of imports that nothing else here needs.
    from pilotlight.inspection import inspect_trace  # noqa: PLC0415
    from pilotlight.inspection.tables import print_inspection  # noqa: PLC0415
    from pilotlight.report.table import open_console  # noqa: PLC0415

    if plot is not None and plot.suffix not in PICTURES:
        raise click.BadParameter(
            f"{plot} must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}", param_hint="--plot"
        )
    found = inspect_trace(_read(source, format_name, seed))
    if plot is not None:
        from pilotlight.inspection.pictures import write_pictures  # noqa: PLC0415

        try:
            write_pictures(found, plot)
        except OSError as error:
            raise click.ClickException(f"{plot}: cannot be written: {error.strerror or error}") from error
    if as_json:
        click.echo(json.dumps(found.document({"path": str(source)}), indent=2, allow_nan=False, ensure_ascii=False))
    else:
        print_inspection(open_console(sys.stdout), found)


def _read(source: Path, format_name: str | None, seed: int) -> Trace:
    """Read a trace, and say on stderr what was missing."""
    found = read_trace(source, format_name=format_name, options=ReadOptions(seed=seed))
    for note in found.notes:
        click.echo(note, err=True)
    return found.trace


def _write(taken: Trace, out: Path, *, compress: bool) -> None:
    """Write a trace and say what it holds."""
    files = write_contest(taken, out, compress=compress)
    click.echo(f"{files.requests}: {len(taken)} requests of {taken.called} functions in {taken.length_ns / 1e9:g} s")
    click.echo(f"{files.metas}: {len(taken.functions)} functions")


@trace.command()
def kinds() -> None:
    """List the kinds of load that can be generated, their usual sizes and their parameters."""
    for name, kind in KINDS.items():
        requests = "" if kind.requests is None else f", {kind.requests} requests"
        click.echo(f"{name}: {kind.summary}; {kind.functions} functions{requests} in {format_duration(kind.length_s)}")
        for each in kind.parameters:
            click.echo(f"    {each.name}={each.shown(each.default)}  {each.meaning} ({each.range})")
