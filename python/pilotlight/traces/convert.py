"""`pilotlight trace convert`: any trace that can be read, written as Parquet or as a contest data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.new_folder import require_new_folder
from pilotlight.traces.options import duration, reading_options, take_read_options
from pilotlight.traces.parquet import write_parquet
from pilotlight.traces.reading import CONTEST, PARQUET, read_trace


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), required=False)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice([PARQUET, CONTEST]), default=PARQUET, show_default=True, help="What to write.")
@click.option("--start", type=duration, default="0s", show_default=True, help="Leave out what arrives before.")
@click.option("--length", type=duration, help="Take only what arrives in this time from the start on.")
@click.option("--seed", default=1, show_default=True, help="Of whatever TRACE leaves open.")
@reading_options
def convert(
    *,
    trace: Path | None,
    out: Path,
    to: str,
    start: float,
    length: float | None,
    format_name: str | None,
    **given: Any,  # noqa: ANN401 - the values of the reading options
) -> None:
    """Read TRACE, of any known format, and write it to OUT, a new folder.

    Parquet keeps everything in a schema that other tools read too, and loads fastest. A contest data set has times in
    milliseconds and neither stages nor tokens.
    """
    require_new_folder(out, trace)
    found = read_trace(trace, format_name=format_name, options=take_read_options(given))
    for note in found.notes:
        click.echo(note, err=True)
    made = found.trace.slice(start, length) if start or length is not None else found.trace
    if to == PARQUET:
        write_parquet(made, out, found.source | {"window": {"start_s": start, "length_s": length}})
    else:
        write_contest(made, out)
    click.echo(f"{out}: {len(made)} requests of {made.called} functions, {made.length_ns / 1e9:g} s")
