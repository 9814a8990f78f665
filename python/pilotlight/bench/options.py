"""What the commands that put load on a scaler have in common: flags, progress, and the file of results."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pilotlight.bench.load import LoadSettings
from pilotlight.bench.servers import SERVERS
from pilotlight.setting_values import split_address
from pilotlight.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_F = TypeVar("_F", bound="Callable[..., Any]")
_DEFAULT = LoadSettings()


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read one duration into seconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", ctx, param) from None


def scaler(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check the name of a server, or an address."""
    if value is None or value in SERVERS:
        return value
    try:
        split_address(value)
    except ValueError:
        known = ", ".join(SERVERS)
        raise click.BadParameter(f"{value!r} is neither host:port nor one of {known}", ctx, param) from None
    return value


def seconds_option(flag: str, default: str, text: str) -> Callable[[_F], _F]:
    """Make an option that takes a duration."""
    return click.option(flag, callback=duration, metavar="DURATION", default=default, show_default=True, help=text)


def count_option(flag: str, default: int, text: str, least: int = 1) -> Callable[[_F], _F]:
    """Make an option that takes a number."""
    return click.option(flag, type=click.IntRange(min=least), default=default, show_default=True, help=text)


def share_option(flag: str, text: str) -> Callable[[_F], _F]:
    """Make an option that takes a share."""
    return click.option(flag, type=click.FloatRange(0, 1), default=0.0, show_default=True, help=text)


LOAD_OPTIONS = (
    count_option("--connections", _DEFAULT.connections, "HTTP/2 connections."),
    count_option("--threads", _DEFAULT.threads, "Threads of the client."),
    count_option("--functions", _DEFAULT.functions, "Functions called again and again."),
    click.option(
        "--skew",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="Exponent of Zipf's law over the functions; 0 calls all equally often.",
    ),
    share_option("--cold-share", "Share of the requests that call a function never called before."),
    count_option("--prewarm", _DEFAULT.prewarm, "Instances a function made before the load.", least=0),
    seconds_option("--hold", "0s", "Between an Assign's reply and its Idle."),
    click.option("--constant", is_flag=True, help="Open loops: constant gaps instead of Poisson arrivals."),
    seconds_option("--warm-up", "1s", "Load before anything is measured."),
    seconds_option("--duration", "5s", "Measured time of one run."),
    seconds_option("--grace", "10s", "How long calls may go on after that; then they are unfinished."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of functions and arrivals."),
)

TARGET_OPTIONS = (
    click.option("--target", callback=scaler, metavar="HOST:PORT", help="A scaler that runs."),
    click.option("--serve", callback=scaler, metavar="NAME", help=f"Start one: {', '.join(SERVERS)}."),
    click.option("--against", callback=scaler, metavar="NAME", help="Measure another in turn: its name, or HOST:PORT."),
    count_option("--rounds", 1, "How often each is measured; medians are shown."),
    click.option(
        "--policy",
        metavar="SPEC",
        default="fixed:keep_alive=300s",
        show_default=True,
        help="Policy of a Pilotlight that is started; the Go peer keeps 300 s.",
    ),
    click.option(
        "--platform-address",
        metavar="HOST:PORT",
        help="Where the built-in platform listens.  [default: a free port; with --target none]",
    ),
)


def start_options(create: str, init: str) -> tuple[Callable[[Any], Any], ...]:
    """Make the options of how long the built-in platform takes."""
    return (
        seconds_option("--create", create, "How long the built-in platform's CreateSlot takes."),
        seconds_option("--init", init, "How long its Init takes."),
    )


def options(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[_F], _F]:
    """Give a command all options of some groups."""

    def decorate(command: _F) -> _F:
        for group in reversed(groups):
            for option in reversed(group):
                command = option(command)
        return command

    return decorate


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """Draw one bar on stderr, if that is a terminal; it takes what is done now and the share of everything."""
    console = Console(stderr=True, markup=False)
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share)


def write_json(path: Path | None, results: dict[str, Any]) -> bool:
    """Write results; True: to stdout, where nothing else belongs then."""
    if path is None:
        return False
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        click.echo(text, nl=False)
        return True
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"the results cannot be written: {error}") from error
    return False


JSON_OPTION = (
    click.option(
        "--json",
        "json_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write all figures as JSON; - writes them to stdout instead of the table.",
    ),
)
