"""`pilotlight sweep`: arguments in; a Parquet file, a table, a picture and a configuration out."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pilotlight.report.table import open_console
from pilotlight.simulation.options import Workload, file_named, output_file, workloads_options
from pilotlight.sweep.objective import LIMITS, OBJECTIVES, Limit, ranked
from pilotlight.sweep.output import print_best, write_best
from pilotlight.sweep.run import on_threads, run_sweep
from pilotlight.sweep.space import Grid, Range, settings
from pilotlight.sweep.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pilotlight.sweep.run import Backend
    from pilotlight.traces import Trace


@click.command()
@workloads_options
@click.option("--policy", metavar="SPEC", default="level_gap", show_default=True, help="Whose parameters to search.")
@click.option("--grid", "grids", metavar="NAME=V,V,...", multiple=True, help="Values of a parameter, all combined.")
@click.option(
    "--random",
    "ranges",
    metavar="NAME=log:LOW..HIGH",
    multiple=True,
    help="Draw a parameter, by `log` or `uniform`, --samples times.",
)
@click.option("--samples", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Draws for --random.")
@click.option(
    "--objective", type=click.Choice(list(OBJECTIVES)), default="cost", show_default=True, help="What is best."
)
@click.option(
    "--lambda", "lambda_", type=click.FloatRange(0, 1e6), default=1.0, show_default=True, help="Price of `cost`."
)
@click.option(
    "--limit", "limits", metavar="NAME=MOST", multiple=True, help=f"What every trace must keep: {', '.join(LIMITS)}."
)
@click.option(
    "--out",
    type=file_named(".parquet"),
    default="sweep.parquet",
    show_default=True,
    metavar="FILE",
    help="Where results are kept; points that it has are not run again.",
)
@click.option("--on", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where to run.")
@click.option(
    "--ray-address", metavar="ADDRESS", help="Of the Ray cluster.  [default: $RAY_ADDRESS, or one started here]"
)
@click.option("--jobs", type=click.IntRange(1, 1024), help="Points that run at once, locally.  [default: one a core]")
@click.option("--plot", type=file_named(".html", ".svg", ".png"), metavar="FILE", help="Draw responses and frontier.")
@click.option(
    "--export", type=output_file, metavar="FILE", help="Write the best as TOML for `pilotlight serve --config`."
)
def sweep(
    *,
    workloads: list[Workload],
    policy: str,
    grids: tuple[str, ...],
    ranges: tuple[str, ...],
    samples: int,
    objective: str,
    lambda_: float,
    limits: tuple[str, ...],
    out: Path,
    on: str,
    ray_address: str | None,
    jobs: int | None,
    plot: Path | None,
    export: Path | None,
) -> None:
    """Search a policy's parameters over one or more TRACEs, here or on a Ray cluster.

    Results go to a Parquet file; the same command run again goes on where it was interrupted. docs/sweep.md has more.
    """
    platform = workloads[0].settings
    specs = settings(
        policy,
        [Grid.parse(text) for text in grids],
        [Range.parse(text) for text in ranges],
        samples=samples,
        seed=workloads[0].seed,
    )
    kept = [Limit.parse(text) for text in limits]
    store = Store(out)
    traces = {_name(workload): _loader(workload) for workload in workloads}
    try:
        with _progress(len(specs) * len(traces)) as progress:
            points = run_sweep(traces, specs, platform, store, _backend(on, ray_address, jobs), progress=progress)
    except KeyboardInterrupt:
        click.echo(f"{out} keeps the {len(store.rows):,} points that are done; the same command goes on", err=True)
        raise
    found = store.frame().filter(pl.col("point").is_in(points))
    best = ranked(found, objective, lambda_, kept)
    print_best(open_console(sys.stdout), best, objective)
    try:
        if plot is not None:
            from pilotlight.sweep.chart import write_chart  # noqa: PLC0415 - loading it takes a second

            write_chart(best, objective, plot)
        if export is not None:
            write_best(best, objective, list(traces), export)
    except OSError as error:
        raise click.ClickException(f"the results cannot be written: {error}") from error


def _backend(on: str, ray_address: str | None, jobs: int | None) -> Backend:
    if on == "local":
        return on_threads(jobs)
    from pilotlight.sweep.ray_cluster import on_ray  # noqa: PLC0415 - an extra

    return on_ray(ray_address)


def _name(workload: Workload) -> str:
    """Call a trace as the command line does; generated load by its kind."""
    return str(workload.trace) if workload.trace is not None else workload.synth or "generated"


def _loader(workload: Workload) -> Callable[[], Trace]:
    return workload.whole


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on stderr, if that is a terminal; otherwise say at the end what was there before."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    last = [0]
    with bars:
        task = bars.add_task("points", total=total)

        def advance(done: int, skipped: int) -> None:
            last[0] = skipped
            bars.update(task, completed=done, description=f"points, {skipped} from before")

        yield advance
    if last[0]:
        click.echo(f"{last[0]:,} of {total:,} points were there from before", err=True)
