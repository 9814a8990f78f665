"""`pilotlight bench grpc` and `storm`: arguments in, tables and files out; the work is in `rounds` and `load`."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pilotlight import _core
from pilotlight.bench.load import NS_PER_S, LoadSettings
from pilotlight.bench.machine import Surroundings, describe
from pilotlight.bench.options import (
    JSON_OPTION,
    LOAD_OPTIONS,
    TARGET_OPTIONS,
    options,
    progress_bar,
    seconds_option,
    start_options,
    write_json,
)
from pilotlight.bench.rounds import medians, ratios, run_rounds
from pilotlight.bench.tables import print_loads, print_storm
from pilotlight.report.table import open_console

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


def targets(target: str | None, serve: str | None, against: str | None) -> list[str]:
    """Name what is to be measured."""
    if (target is None) == (serve is None):
        raise click.UsageError("name what to measure: either --target HOST:PORT or --serve NAME")
    names = [name for name in (target, serve, against) if name is not None]
    if len(set(names)) < len(names):
        raise click.UsageError(
            f"--against {against}: measuring it against itself; start a second one and name its address"
        )
    return names


def platform(
    target: str | None, address: str | None, create: float, init: float
) -> AbstractContextManager[_core.InstantPlatform | None]:
    """Start the built-in platform if somebody is to find it."""
    if target is not None and address is None:
        return nullcontext()
    create_ns, init_ns = round(create * NS_PER_S), round(init * NS_PER_S)
    return closing(_core.InstantPlatform(address or "127.0.0.1:0", create_ns=create_ns, init_ns=init_ns))


@click.command()
@options(TARGET_OPTIONS, start_options("0s", "0s"))
@click.option(
    "--streams",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Closed loop of N callers a connection; may be repeated.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    metavar="R",
    help="Open loop of R calls a second; may be repeated.",
)
@options(LOAD_OPTIONS, JSON_OPTION)
def grpc(
    *,
    target: str | None,
    serve: str | None,
    against: str | None,
    rounds: int,
    policy: str,
    platform_address: str | None,
    create: float,
    init: float,
    streams: tuple[int, ...],
    rate: tuple[float, ...],
    constant: bool,
    json_file: Path | None,
    **load: Any,  # noqa: ANN401 - the fields of LoadSettings
) -> None:
    """Measure a scaler over gRPC: throughput, latency, CPU and memory.

    Without --streams and --rate 8 callers a connection are measured. Latency of an open loop counts from the scheduled
    moment. docs/bench.md explains every figure.
    """
    names = targets(target, serve, against)
    base = LoadSettings(poisson=not constant, **load)
    loads = [base.closed(count) for count in streams or (() if rate else (8,))] + [base.open(each) for each in rate]
    results = _measure(
        "grpc", names, loads, behind=platform(target, platform_address, create, init), rounds=rounds, policy=policy
    )
    if not write_json(json_file, results):
        print_loads(open_console(sys.stdout), results["results"], results["ratios"])


@click.command()
@options(TARGET_OPTIONS, start_options("100ms", "1s"))
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2000.0,
    show_default=True,
    help="Calls a second of the other functions.",
)
@click.option("--requests", type=click.IntRange(min=1), default=5000, show_default=True, help="Requests of the storm.")
@click.option(
    "--storm-functions", type=click.IntRange(min=1), default=500, show_default=True, help="Functions they call."
)
@seconds_option("--over", "1s", "How long the storm's requests take to arrive.")
@options(LOAD_OPTIONS, JSON_OPTION)
def storm(
    *,
    target: str | None,
    serve: str | None,
    against: str | None,
    rounds: int,
    policy: str,
    platform_address: str | None,
    create: float,
    init: float,
    rate: float,
    requests: int,
    storm_functions: int,
    over: float,
    constant: bool,
    json_file: Path | None,
    **load: Any,  # noqa: ANN401 - the fields of LoadSettings
) -> None:
    """Measure what a storm of cold starts does to the warm calls of other functions.

    The first half of --duration is quiet; with the second half the storm begins. Without
    storm both halves would be alike: their ratio is what the storm costs.
    """
    names = targets(target, serve, against)
    loads = [LoadSettings(poisson=not constant, storm=(requests, storm_functions, over), **load).open(rate)]
    results = _measure(
        "storm", names, loads, behind=platform(target, platform_address, create, init), rounds=rounds, policy=policy
    )
    if not write_json(json_file, results):
        print_storm(open_console(sys.stdout), results["results"])


def _measure(
    benchmark: str,
    names: list[str],
    loads: list[LoadSettings],
    *,
    behind: AbstractContextManager[_core.InstantPlatform | None],
    rounds: int,
    policy: str,
) -> dict[str, Any]:
    """Measure everything in turn and lay the results out."""
    around = Surroundings()
    with behind as served_by, progress_bar() as progress:
        rows = run_rounds(names, loads, rounds=rounds, policy=policy, platform=served_by, progress=progress)
    reduced = medians(rows)
    return {
        "benchmark": benchmark,
        "machine": describe(),
        "surroundings": around.now(),
        "settings": {"policy": policy, "loads": [asdict(load) for load in loads]},
        "results": reduced,
        "ratios": ratios(reduced, *names) if len(names) > 1 else [],
        "rounds": rows,
    }
