"""`pilotlight bench all`: everything that is claimed, measured side by side in one run, and each claim's verdict."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pilotlight import _core
from pilotlight.bench.claims import SIM_DEFAULT, SIM_FIXED, verdicts
from pilotlight.bench.load import NS_PER_S, LoadSettings
from pilotlight.bench.local import engine_rows, ffi_row, sim_rows
from pilotlight.bench.local_command import POLICIES, engine_loads
from pilotlight.bench.machine import Surroundings, describe
from pilotlight.bench.options import JSON_OPTION, count_option, options, progress_bar, seconds_option, write_json
from pilotlight.bench.rounds import medians, run_rounds
from pilotlight.bench.servers import missing
from pilotlight.bench.soak import Soak, soak_of, soak_row
from pilotlight.bench.tables import (
    CORE_COLUMNS,
    SIM_COLUMNS,
    SOAK_COLUMNS,
    print_loads,
    print_rows,
    print_storm,
    print_verdicts,
)
from pilotlight.report.table import open_console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pilotlight.bench.load import Row

    Advance = Callable[[str, float], None]

SERVED = ("native", "grpcio", "constant", "go")
_OPEN_RATES = (5_000, 10_000, 20_000)
_POLICY = "fixed:keep_alive=300s"
_SIM_REQUESTS, _SIM_LENGTH_S = 400_000, 4000.0
_STORM = LoadSettings(storm=(5000, 500, 1.0), duration=6.0).open(2000)
_STORM_CREATE_NS, _STORM_INIT_NS = NS_PER_S // 10, NS_PER_S
_GRACE_S = 3.0


@click.command("all")
@count_option("--rounds", 3, "How often each is measured, in turn; medians are kept.")
@seconds_option("--duration", "3s", "Measured time of one run over gRPC.")
@click.option(
    "--soak",
    callback=soak_of,
    metavar="DURATION|CALLS",
    default="0s",
    show_default=True,
    help="Load the native front this long, or with this many calls, and see whether its memory grows; 0s: not at all.",
)
@click.option("--note", metavar="TEXT", help="What a reader of the figures must know; kept with them.")
@options(JSON_OPTION)
def everything(*, rounds: int, duration: float, soak: Soak, note: str | None, json_file: Path | None) -> None:
    """Measure everything that is claimed, side by side, and say what holds. Takes several minutes."""
    around = Surroundings()
    why_not = {name: missing(name) for name in SERVED}
    names = [name for name, reason in why_not.items() if reason is None]
    skipped = [f"{name}: {reason}" for name, reason in why_not.items() if reason is not None]
    for text in skipped:
        click.echo(f"not measured: {text}", err=True)
    with progress_bar() as progress:
        sections: dict[str, Any] = {
            "core": _core_section(rounds, progress),
            "ffi": ffi_row("fixed", rounds=rounds * 3, progress=progress),
            "sim": _sim_section(rounds, progress),
            "grpc": _grpc_section(names, rounds, duration, progress),
            "storm": _storm_section([name for name in names if name != "constant"], rounds, progress),
            "soak": [soak_row("native", soak, policy=_POLICY, progress=progress)] if soak and "native" in names else [],
        }
    found = verdicts(sections)
    results = {
        "benchmark": "all",
        "note": note,
        "machine": describe(),
        "surroundings": around.now(),
        "settings": {
            "rounds": rounds,
            "duration": duration,
            "soak": str(soak),
            "policy": _POLICY,
            "sim_requests": _SIM_REQUESTS,
        },
        "verdicts": [verdict._asdict() for verdict in found],
        "skipped": skipped,
        **sections,
    }
    if not write_json(json_file, results):
        console = open_console(sys.stdout)
        print_rows(console, sections["core"], CORE_COLUMNS, "policy", "scenario")
        print_rows(console, sections["sim"], SIM_COLUMNS, "policy")
        print_loads(console, sections["grpc"], [])
        print_storm(console, sections["storm"])
        print_rows(console, sections["soak"], SOAK_COLUMNS, "target")
        print_verdicts(console, found)


def _core_section(rounds: int, progress: Advance) -> list[Row]:
    loads = engine_loads(POLICIES, sorted({1, 2, os.cpu_count() or 1}), (1, 1000), 0.0)
    loads += engine_loads(("fixed", "level_gap"), (1,), (100_000,), 1.0)
    return engine_rows(loads, rounds=rounds, duration=0.3, progress=progress)


def _sim_section(rounds: int, progress: Advance) -> list[Row]:
    from pilotlight.simulation.runner import prepare  # noqa: PLC0415 - `bench grpc` needs no Polars
    from pilotlight.traces.generators import generate  # noqa: PLC0415

    prepared = prepare(generate("contest", requests=_SIM_REQUESTS, length_s=_SIM_LENGTH_S, seed=0).trace)
    return sim_rows(prepared, (SIM_FIXED, "break_even", SIM_DEFAULT), rounds=rounds, progress=progress)


def _grpc_section(names: Sequence[str], rounds: int, duration: float, progress: Advance) -> list[Row]:
    base = LoadSettings(duration=duration, grace=_GRACE_S)
    loads = [base.closed(8), replace(base, connections=1).closed(1), *(base.open(rate) for rate in _OPEN_RATES)]
    with closing(_core.InstantPlatform()) as platform:
        return medians(run_rounds(names, loads, rounds=rounds, policy=_POLICY, platform=platform, progress=progress))


def _storm_section(names: Sequence[str], rounds: int, progress: Advance) -> list[Row]:
    with closing(_core.InstantPlatform(create_ns=_STORM_CREATE_NS, init_ns=_STORM_INIT_NS)) as platform:
        return medians(run_rounds(names, [_STORM], rounds=rounds, policy=_POLICY, platform=platform, progress=progress))
