"""`pilotlight trace slice` and `pilotlight trace sample`: parts of a trace, written as a trace of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.cutting import functions_at_random, functions_most_called, functions_named, keep_functions
from pilotlight.traces.new_folder import require_new_folder
from pilotlight.traces.options import duration, reading_options, take_read_options
from pilotlight.traces.parquet import write_parquet
from pilotlight.traces.reading import CONTEST, PARQUET, TraceRead, read_trace

if TYPE_CHECKING:
    from pilotlight.traces.trace import Trace

OUT = click.argument("out", type=click.Path(path_type=Path))
TRACE = click.argument("trace", type=click.Path(path_type=Path), required=False)
TO = click.option(
    "--to", type=click.Choice([PARQUET, CONTEST]), default=PARQUET, show_default=True, help="What to write."
)
SEED = click.option(
    "--seed", default=1, show_default=True, help="Of what TRACE leaves open, and of what is drawn here."
)


@click.command("slice")
@TRACE
@OUT
@click.option("--start", type=duration, default="0s", show_default=True, help="Leave out what arrives before.")
@click.option("--length", type=duration, help="Take only what arrives in this time from the start on.")
@click.option("--function", "keys", multiple=True, metavar="KEY", help="Keep only this function; may be repeated.")
@TO
@SEED
@reading_options
def slice_(
    *,
    trace: Path | None,
    out: Path,
    start: float,
    length: float | None,
    keys: tuple[str, ...],
    to: str,
    format_name: str | None,
    **given: Any,  # noqa: ANN401 - the values of the reading options
) -> None:
    """Keep a window of TRACE, or some of its functions, and write it to OUT, a new folder."""
    require_new_folder(out, trace)
    found = _read(trace, format_name, given)
    taken = found.trace.slice(start, length)
    if keys:
        taken = keep_functions(taken, functions_named(taken, keys))
    cut = {"start_s": start, "length_s": length, "functions": list(keys)}
    _write(taken, out, to, found.source | {"slice": cut})


@click.command()
@TRACE
@OUT
@click.option("--functions", type=int, help="Keep so many functions, drawn among those called.")
@click.option("--top", type=int, help="Keep the so many most called functions.")
@TO
@SEED
@reading_options
def sample(
    *,
    trace: Path | None,
    out: Path,
    functions: int | None,
    top: int | None,
    to: str,
    format_name: str | None,
    **given: Any,  # noqa: ANN401 - the values of the reading options
) -> None:
    """Keep some functions of TRACE with all their requests, and write them to OUT, a new folder."""
    if (functions is None) == (top is None):
        raise click.UsageError(
            "say how many functions to keep: --functions N draws them, --top N takes the most called"
        )
    seed = given["seed"]
    require_new_folder(out, trace)
    found = _read(trace, format_name, given)
    if functions is not None:
        rows = functions_at_random(found.trace, functions, seed)
    else:
        rows = functions_most_called(found.trace, top or 0)
    cut = {"functions": functions, "top": top, "seed": seed}
    _write(keep_functions(found.trace, rows), out, to, found.source | {"sample": cut})


def _read(trace: Path | None, format_name: str | None, given: dict[str, Any]) -> TraceRead:
    """Read a trace, and say on stderr what was missing."""
    found = read_trace(trace, format_name=format_name, options=take_read_options(given))
    for note in found.notes:
        click.echo(note, err=True)
    return found


def _write(taken: Trace, out: Path, to: str, source: dict[str, Any]) -> None:
    """Write a trace and say what it holds."""
    if to == PARQUET:
        write_parquet(taken, out, source)
    else:
        write_contest(taken, out)
    click.echo(f"{out}: {len(taken)} requests of {taken.called} functions, {taken.length_ns / 1e9:g} s")
