"""The soak: one scaler under load for long, to see whether its memory grows with the calls it has served."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from pilotlight import _core
from pilotlight.bench.load import LoadSettings, measure
from pilotlight.bench.rounds import medians
from pilotlight.bench.servers import served
from pilotlight.units import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight.bench.load import Row

LOAD = LoadSettings(duration=30.0, warm_up=5.0).closed(8)
"""What a scaler is loaded with; its duration is a piece's of a soak by calls."""


@dataclass(frozen=True)
class Soak:
    """How long to soak: seconds, or calls. Neither: not at all."""

    seconds: float = 0.0
    calls: int = 0

    def __bool__(self) -> bool:
        """Say whether there is a soak."""
        return self.seconds > 0 or self.calls > 0

    def __str__(self) -> str:
        """Write it the way `soak_of` reads it."""
        return str(self.calls) if self.calls else format_duration(self.seconds)


def soak_of(ctx: click.Context, param: click.Parameter, value: str) -> Soak:
    """Read a duration, or a number of calls."""
    if value.isdecimal():
        return Soak(calls=int(value))
    try:
        return Soak(seconds=parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}; or a number of calls", ctx, param) from None


def soak_row(
    name: str, soak: Soak, *, policy: str, progress: Callable[[str, float], None], load: LoadSettings = LOAD
) -> Row:
    """Load a scaler that is started for it, and return one row over the whole time.

    Args:
        name: the server.
        soak: how long; calls are reached in pieces.
        policy: of the scaler.
        progress: called now and then with what is measured and the share that is done.
        load: the load, and the length of a piece.

    Returns:
        The fields of docs/bench.md, see `whole`.

    Raises:
        LoadError: the server cannot be started or measured.
    """
    pieces: list[Row] = []
    with closing(_core.InstantPlatform()) as platform, served(name, platform.address, policy) as target:
        while not pieces or _calls(pieces) < soak.calls:
            done = _calls(pieces)

            def advance(phase: str, calls: int, share: float) -> None:
                share = (done + calls) / soak.calls if soak.calls else share  # noqa: B023 - called before the next turn
                progress(f"{name}: soak, {phase}", min(share, 1.0))

            piece = load if soak.calls else replace(load, duration=soak.seconds)
            pieces.append({**measure(target, piece, platform, advance), "round": len(pieces)})
    return whole(pieces)


def whole(pieces: list[Row]) -> Row:
    """Make one row of a soak's pieces.

    `calls` are those of all, `rss_growth_mb` goes from the first one's begin to the last one's end; medians otherwise.
    """
    (row,) = medians(pieces)
    begin = pieces[0]["rss_mb"] - pieces[0]["rss_growth_mb"]
    end = pieces[-1]["rss_mb"]
    return {**row, "calls": _calls(pieces), "rss_mb": end, "rss_growth_mb": end - begin}


def _calls(pieces: list[Row]) -> int:
    return sum(piece["calls"] for piece in pieces)
