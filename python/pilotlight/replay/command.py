"""`pilotlight replay`: the command line of the contest's simulator."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.console import Console

from pilotlight.descriptors import allow_connections
from pilotlight.replay.progress import follow
from pilotlight.replay.report import as_json, as_table, notes, succeeded
from pilotlight.setting_values import split_address
from pilotlight.traces.trace import NS_PER_MS, NS_PER_S
from pilotlight.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pilotlight.replay.session import Session
    from pilotlight.replay.statistics import Statistics


COLLECTED_AFTER = 100_000
"""Objects that must be left over before Python's collector looks for rings of them."""


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read one duration into seconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", ctx, param) from None


def _number(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Refuse NaN, which is in every range of click's."""
    if math.isnan(value):
        raise click.BadParameter(f"{value} is no number", ctx, param)
    return value


def _address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Check one address."""
    try:
        split_address(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", ctx, param) from None
    return value


@click.command()
@click.argument("datasets", metavar="[DATASET]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--scaler",
    callback=_address,
    metavar="HOST:PORT",
    default="127.0.0.1:9001",
    show_default=True,
    help="The scaler to measure.",
)
@click.option(
    "--platform-address",
    callback=_address,
    metavar="HOST:PORT",
    default="127.0.0.1:50051",
    show_default=True,
    help="Where the scaler finds slots.",
)
@click.option(
    "--web-address",
    callback=_address,
    metavar="HOST:PORT",
    default="127.0.0.1:9000",
    show_default=True,
    help="Where statistics are answered.",
)
@click.option(
    "--wait-for-start",
    "posted",
    type=click.IntRange(min=0),
    metavar="N",
    help="Play N more data sets, named by POST /start.  [default: 1 without DATASET, else 0]",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    default=".",
    show_default=True,
    help="POST /start may name files in this folder only.",
)
@click.option(
    "--web-name",
    "web_names",
    metavar="HOST",
    multiple=True,
    help="A further name by which clients may reach the statistics, beside their address and localhost; repeatable.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1e6, min_open=True),
    callback=_number,
    default=1.0,
    show_default=True,
    help="Trace time per wall time; other times are trace time unless said otherwise, and so are all results.",
)
@click.option(
    "--start",
    callback=_duration,
    metavar="DURATION",
    default="0s",
    show_default=True,
    help="Skip this much of each trace.",
)
@click.option(
    "--length", callback=_duration, metavar="DURATION", help="Play only this much of each trace.  [default: to its end]"
)
@click.option(
    "--tail",
    callback=_duration,
    metavar="DURATION",
    default="300s",
    show_default=True,
    help="Go on after the last request.",
)
@click.option(
    "--give-up",
    callback=_duration,
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="Wait this long (wall time) for requests that are not over after the tail; then they count as failed.",
)
@click.option(
    "--assign-timeout", callback=_duration, metavar="DURATION", help="Deadline of each Assign.  [default: none]"
)
@click.option(
    "--connect-timeout",
    callback=_duration,
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="Wait this long for the scaler to answer at first (wall time).",
)
@click.option(
    "--create-ms",
    type=click.FloatRange(min=0, max=1e9),
    callback=_number,
    default=105.0,
    show_default=True,
    help="How long CreateSlot takes.",
)
@click.option(
    "--linger",
    callback=_duration,
    metavar="DURATION",
    default="5s",
    show_default=True,
    help="Keep the platform this long at most (wall time) after the statistics close, while the scaler has slots.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Fail requests whose Assignment names another request or function than they asked for.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random ids.")
@click.option(
    "--json",
    "json_file",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Write all figures as JSON; - writes them to stdout and the table to stderr.",
)
def replay(
    datasets: tuple[Path, ...],
    *,
    scaler: str,
    platform_address: str,
    web_address: str,
    posted: int | None,
    data_root: Path,
    web_names: tuple[str, ...],
    speed: float,
    start: float,
    length: float | None,
    tail: float,
    give_up: float,
    assign_timeout: float | None,
    connect_timeout: float,
    create_ms: float,
    linger: float,
    strict: bool,
    seed: int,
    json_file: TextIO | None,
) -> None:
    """Measure a scaler as the contest's simulator does: in real time, over gRPC.

    Each DATASET is a folder with a `requests` and a `metas` file, or a trace of any other format that `simulate` reads;
    they are played one after the other. The exit status
    is 0 if more than 99.95 % of each data set's requests succeeded and none was lost, 1 if not, 2 on bad input.
    """
    # gRPC reads its environment when it is loaded. Its default listener hands every event to another thread and costs a
    # quarter of the load generator's time; a name that a later version no longer knows is ignored.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    from pilotlight.replay.session import Options, Session, find_data_set  # noqa: PLC0415 (gRPC must see the variable)

    options = Options(
        scaler=scaler,
        platform_address=platform_address,
        web_address=web_address,
        speed=speed,
        create_ns=round(create_ms * NS_PER_MS),
        tail_ns=round(tail * NS_PER_S),
        give_up_s=give_up,
        assign_timeout_ns=None if assign_timeout is None else round(assign_timeout * NS_PER_S),
        connect_timeout_s=connect_timeout,
        seed=seed,
        start_s=start,
        length_s=length,
        linger_s=linger,
        strict=strict,
        data_root=data_root,
        web_names=web_names,
    )
    if posted is None:
        posted = 0 if datasets else 1
    if not datasets and posted == 0:
        raise click.UsageError("nothing to play: name a DATASET, or wait for POST /start")
    session = Session(options, [find_data_set(path, start_s=start, length_s=length) for path in datasets], posted)
    _settle_interpreter()
    allow_connections()
    results = _event_loop()(_play(session, Console(stderr=True)))
    to_stdout = json_file is not None and json_file.name == "<stdout>"
    console = Console(stderr=to_stdout)
    console.print(as_table(results))
    for line in notes(results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if json_file is not None:
        report = {**as_json(results, speed=speed, seed=seed), "slots_left": session.slots_left}
        json.dump(report, json_file, indent=2)
        json_file.write("\n")
    sys.exit(0 if succeeded(results) else 1)


async def _play(session: Session, console: Console) -> list[Statistics]:
    """Run the session with its progress; SIGINT and SIGTERM end the process with their usual status."""
    loop = asyncio.get_running_loop()
    player = asyncio.ensure_future(session.run())
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        player.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    drawer = asyncio.ensure_future(follow(session, console))
    try:
        return await player
    except asyncio.CancelledError:
        if not received:
            raise
        sys.exit(128 + received[0])
    finally:
        drawer.cancel()
        await asyncio.gather(drawer, return_exceptions=True)


def _settle_interpreter() -> None:
    """Keep the collector from walking all open requests again and again: in a burst it took two fifths of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, 50, 50)


def _event_loop() -> Callable[[Coroutine[Any, Any, list[Statistics]]], list[Statistics]]:
    """Return the runner of the fastest event loop there is."""
    try:
        import uvloop  # noqa: PLC0415 (not on every system)
    except ImportError:
        return asyncio.run
    return uvloop.run
