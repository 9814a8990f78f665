"""`pilotlight bench core`, `ffi` and `sim`: arguments in, tables and files out; the work is in `local`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from pilotlight.bench.local import EngineSettings, engine_rows, ffi_row, sim_rows
from pilotlight.bench.machine import Surroundings, describe
from pilotlight.bench.options import JSON_OPTION, count_option, options, progress_bar, seconds_option, write_json
from pilotlight.bench.tables import CORE_COLUMNS, SIM_COLUMNS, print_rows
from pilotlight.report.table import open_console
from pilotlight.simulation.options import Workload, workload_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pilotlight.bench.load import Row

POLICIES = ("fixed", "break_even", "level_gap")
_ROUNDS = count_option("--rounds", 5, "How often each is measured, in turn; medians are shown.")


def _policies(*defaults: str) -> Callable[[Any], Any]:
    return click.option(
        "--policy",
        "policies",
        metavar="SPEC",
        multiple=True,
        default=defaults,
        show_default=True,
        help="Policy to measure; may be repeated.",
    )


def engine_loads(
    policies: Sequence[str], threads: Sequence[int], functions: Sequence[int], skew: float
) -> list[EngineSettings]:
    """Cross everything; more than one thread is measured on functions of their own and on shared ones."""
    return [
        EngineSettings(policy, count, each, shared, skew)
        for each in functions
        for count in threads
        for shared in ((False, True) if count > 1 else (False,))
        for policy in policies
    ]


@click.command()
@_policies(*POLICIES)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    multiple=True,
    help="Threads; may be repeated.  [default: 1, and one a core]",
)
@click.option(
    "--functions",
    type=click.IntRange(1, 100_000),
    multiple=True,
    default=(1, 1000),
    show_default=True,
    help="Functions a thread; may be repeated.",
)
@click.option(
    "--skew", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Exponent of Zipf's law over them."
)
@_ROUNDS
@seconds_option("--duration", "300ms", "Measured time of one run.")
@options(JSON_OPTION)
def core(
    *,
    policies: tuple[str, ...],
    threads: tuple[int, ...],
    functions: tuple[int, ...],
    skew: float,
    rounds: int,
    duration: float,
    json_file: Path | None,
) -> None:
    """Measure the engine in this process: a warm Assign and its Idle."""
    around = Surroundings()
    loads = engine_loads(policies, threads or sorted({1, os.cpu_count() or 1}), functions, skew)
    with progress_bar() as progress:
        rows = engine_rows(loads, rounds=rounds, duration=duration, progress=progress)
    settings = {"rounds": rounds, "duration": duration}
    if not write_json(json_file, _results("core", rows, settings, around)):
        print_rows(open_console(sys.stdout), rows, CORE_COLUMNS, "policy", "scenario")


@click.command()
@_policies(*POLICIES)
@_ROUNDS
@options(JSON_OPTION)
def ffi(*, policies: tuple[str, ...], rounds: int, json_file: Path | None) -> None:
    """Measure the extension: a warm Assign and its Idle from Python, encoded bytes to encoded bytes."""
    around = Surroundings()
    with progress_bar() as progress:
        rows = [ffi_row(policy, rounds=rounds, progress=progress) for policy in policies]
    if not write_json(json_file, _results("ffi", rows, {"rounds": rounds}, around)):
        print_rows(open_console(sys.stdout), rows, CORE_COLUMNS[:1], "policy")


@click.command()
@workload_options
@_policies("fixed:keep_alive=300s", "break_even", "level_gap")
@_ROUNDS
@options(JSON_OPTION)
def sim(*, workload: Workload, policies: tuple[str, ...], rounds: int, json_file: Path | None) -> None:
    """Measure the simulator on one core: invocations a second by policy.

    TRACE and what else makes the load are those of `pilotlight simulate`.
    """
    from pilotlight.simulation.runner import check_policies, prepare  # noqa: PLC0415 - the others need no Polars

    check_policies(policies)
    trace, source = workload.load()
    around = Surroundings()
    with progress_bar() as progress:
        rows = sim_rows(prepare(trace, workload.settings), policies, rounds=rounds, progress=progress)
    settings = {"rounds": rounds, "trace": source}
    if not write_json(json_file, _results("sim", rows, settings, around)):
        print_rows(open_console(sys.stdout), rows, SIM_COLUMNS, "policy")


def _results(benchmark: str, rows: list[Row], settings: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    surroundings = around.now()
    return {
        "benchmark": benchmark,
        "machine": describe(),
        "surroundings": surroundings,
        "settings": settings,
        "results": rows,
    }
