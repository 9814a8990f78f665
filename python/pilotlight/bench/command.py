"""`pilotlight bench`: arguments in, tables and files out; the work is in the modules beside this one."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pilotlight import _core
from pilotlight.bench.load import NS_PER_S, LoadSettings
from pilotlight.bench.machine import Surroundings, describe
from pilotlight.bench.options import JSON_OPTION, LOAD_OPTIONS, TARGET_OPTIONS, options, progress_bar, write_json
from pilotlight.bench.rounds import medians, ratios, run_rounds
from pilotlight.bench.tables import print_loads
from pilotlight.report.table import open_console

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


@click.group()
def bench() -> None:
    """Measure the engine, the extension, the fronts and the simulator."""


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


def platform(target: str | None, address: str | None, create: float, init: float) -> AbstractContextManager[Any]:
    """Start the built-in platform if somebody is to find it."""
    if target is not None and address is None:
        return nullcontext()
    create_ns, init_ns = round(create * NS_PER_S), round(init * NS_PER_S)
    return closing(_core.InstantPlatform(address or "127.0.0.1:0", create_ns=create_ns, init_ns=init_ns))


@bench.command()
@options(TARGET_OPTIONS)
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
    around = Surroundings()
    with platform(target, platform_address, create, init) as behind, progress_bar() as progress:
        rows = run_rounds(names, loads, rounds=rounds, policy=policy, platform=behind, progress=progress)
    reduced = medians(rows)
    compared = ratios(reduced, *names) if against else []
    results = {
        "benchmark": "grpc",
        "machine": describe(),
        "surroundings": around.now(),
        "settings": {**asdict(base), "policy": policy, "rounds": rounds, "create": create, "init": init},
        "results": reduced,
        "ratios": compared,
        "rounds": rows,
    }
    if not write_json(json_file, results):
        print_loads(open_console(sys.stdout), reduced, compared)
