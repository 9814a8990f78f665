"""`pilotlight trace synth`: generated load, written as a contest data set, or block by block as Parquet."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.generators import load_named
from pilotlight.traces.kinds import CONTEST
from pilotlight.traces.new_folder import require_new_folder
from pilotlight.traces.options import duration
from pilotlight.traces.parquet import write_blocks
from pilotlight.traces.reading import PARQUET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pilotlight.traces.generators import Load
    from pilotlight.traces.trace import Block


@click.command()
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
@click.option("--to", type=click.Choice([CONTEST, PARQUET]), default=CONTEST, show_default=True, help="What to write.")
@click.option("--gzip", "compress", is_flag=True, help="Compress the files of a contest data set.")
def synth(
    *,
    out: Path,
    kind: str,
    seed: int,
    functions: int | None,
    requests: int | None,
    length: float | None,
    bad: float,
    to: str,
    compress: bool,
) -> None:
    """Generate load of a kind and write it to OUT, a new folder.

    Parquet is written block by block, in the memory of a block, however many requests there are. The same options give
    the same trace.
    """
    require_new_folder(out)
    load = load_named(kind, functions=functions, requests=requests, length_s=length, seed=seed, bad_share=bad)
    if to == PARQUET:
        _stream(load, out)
        return
    made = load.stream().whole()
    files = write_contest(made, out, compress=compress)
    click.echo(
        f"{files.requests}: {len(made)} requests of {made.called} functions in {load.sizes.length_s:g} s, seed {seed}"
    )
    click.echo(f"{files.metas}: {len(made.functions)} functions")


def _stream(load: Load, out: Path) -> None:
    """Write the load while it is drawn."""
    stream = load.stream()
    source = {"kind": "synth", "load": load.name, **asdict(load.sizes), **load.values}
    with _progress(load) as advance:

        def watched() -> Iterator[Block]:
            for block in stream.blocks:
                yield block
                advance(len(block.arrival_ns))

        requests = write_blocks(out, stream.functions, stream.origin_ms, watched(), source)
    click.echo(
        f"{out}: {requests} requests, {len(stream.functions)} functions, in {load.sizes.length_s:g} s,"
        f" seed {load.sizes.seed}"
    )


@contextmanager
def _progress(load: Load) -> Iterator[Callable[[int], None]]:
    """Draw a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _requests: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
        total = None if load.kind.requests is None else load.sizes.requests
        task = bar.add_task(load.name, total=total)
        yield lambda requests: bar.advance(task, requests)
