"""The progress of a replay on a terminal: one bar, redrawn twice a second. Draws nothing where nobody watches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from rich.console import Console

    from pilotlight.replay.web import Player

REDRAW_S = 0.5


async def follow(player: Player, console: Console) -> None:
    """Draw until cancelled."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[failed]} failed, {task.fields[slots]} slots, score {task.fields[score]:.2f}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=False) as progress:
        shown = None
        bar = progress.add_task("waiting", total=None, failed=0, slots=0, score=0.0)
        while True:
            current = player.current
            if current is not None:
                if current is not shown:
                    progress.reset(bar, total=current.planned, description=current.run_id)
                    shown = current
                progress.update(
                    bar,
                    completed=current.finished,
                    failed=current.failed,
                    slots=current.slots().live,
                    score=current.score().score,
                )
            progress.refresh()
            await asyncio.sleep(REDRAW_S)
