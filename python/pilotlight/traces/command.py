"""`pilotlight trace`: make and convert workloads."""

from __future__ import annotations

from pathlib import Path

import click

from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.options import duration
from pilotlight.traces.synth import SynthSettings, synthesize

DEFAULTS = SynthSettings()


@click.group()
def trace() -> None:
    """Make and convert traces (recorded or generated workloads)."""


@trace.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", default=DEFAULTS.seed, show_default=True, help="Seed of the random generator.")
@click.option("--functions", default=DEFAULTS.functions, show_default=True, help="Size of the function table.")
@click.option("--requests", default=DEFAULTS.requests, show_default=True, help="Number of requests.")
@click.option("--length", type=duration, default="20m", show_default=True, help="Time in which they arrive.")
@click.option("--bad", default=DEFAULTS.bad_share, show_default=True, help="Share of requests that end badly, 0 to 1.")
@click.option("--gzip", "compress", is_flag=True, help="Compress both files.")
def synth(*, out: Path, seed: int, functions: int, requests: int, length: float, bad: float, compress: bool) -> None:
    """Generate contest-like load and write it to OUT, a new folder with the files `requests` and `metas`.

    The same options give the same files, byte for byte.
    """
    settings = SynthSettings(functions=functions, requests=requests, length_s=length, seed=seed, bad_share=bad)
    made = synthesize(settings)
    files = write_contest(made, out, compress=compress)
    click.echo(f"{files.requests}: {len(made)} requests of {made.called} functions in {length:g} s, seed {seed}")
    click.echo(f"{files.metas}: {len(made.functions)} functions")
