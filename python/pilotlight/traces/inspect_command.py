"""`pilotlight trace inspect`: what a trace is, as tables, JSON and pictures; the work is in `inspection`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from pilotlight.traces.options import reading_options, take_read_options
from pilotlight.traces.reading import read_trace

PICTURES = (".html", ".svg", ".png")


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), required=False)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: .html, .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--seed", default=1, show_default=True, help="Of whatever TRACE leaves open.")
@reading_options
def inspect(
    *,
    trace: Path | None,
    plot: Path | None,
    as_json: bool,
    format_name: str | None,
    **given: Any,  # noqa: ANN401 - the values of the reading options
) -> None:
    """Say what TRACE is: rates, bursts, periods, timers, gaps, sizes, popularity, holes, failures."""
    # Half a second of imports that no other command on traces needs.
    from pilotlight.inspection import inspect_trace  # noqa: PLC0415
    from pilotlight.inspection.tables import print_inspection  # noqa: PLC0415
    from pilotlight.report.table import open_console  # noqa: PLC0415

    if plot is not None and plot.suffix not in PICTURES:
        raise click.BadParameter(
            f"{plot} must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}", param_hint="--plot"
        )
    read = read_trace(trace, format_name=format_name, options=take_read_options(given))
    for note in read.notes:
        click.echo(note, err=True)
    found = inspect_trace(read.trace)
    if plot is not None:
        from pilotlight.inspection.pictures import write_pictures  # noqa: PLC0415

        try:
            write_pictures(found, plot)
        except OSError as error:
            raise click.ClickException(f"{plot}: cannot be written: {error.strerror or error}") from error
    if as_json:
        click.echo(json.dumps(found.document(read.source), indent=2, allow_nan=False, ensure_ascii=False))
    else:
        print_inspection(open_console(sys.stdout), found)
