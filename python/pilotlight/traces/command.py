"""`pilotlight trace`: make and convert workloads."""

from __future__ import annotations

from pathlib import Path

import click

from pilotlight.config import format_duration
from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.generators import generate
from pilotlight.traces.kinds import CONTEST, KINDS
from pilotlight.traces.options import duration


@click.group()
def trace() -> None:
    """Make and convert traces (recorded or generated workloads)."""


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


@trace.command()
def kinds() -> None:
    """List the kinds of load that can be generated, their usual sizes and their parameters."""
    for name, kind in KINDS.items():
        requests = "" if kind.requests is None else f", {kind.requests} requests"
        click.echo(f"{name}: {kind.summary}; {kind.functions} functions{requests} in {format_duration(kind.length_s)}")
        for each in kind.parameters:
            click.echo(f"    {each.name}={each.shown(each.default)}  {each.meaning} ({each.range})")
