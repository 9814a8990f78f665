"""The results of a sweep: one Parquet file, replaced as a whole, so that it is always a finished one.

A point is in it at most once. One sweep at a time may write a file.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import polars as pl

from pilotlight import __version__
from pilotlight.errors import ConfigError
from pilotlight.sweep.points import SCHEMA, settings_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pilotlight.simulation.runner import SimulationSettings

PAUSE_S = 1.0
"""Between two writes, at least: a write costs as much as there are rows."""


class Store:
    """Finished points, in memory and in their file.

    Args:
        path: of the file; it need not exist.

    Raises:
        ConfigError: the file is not a sweep's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self._written_s = 0.0
        self._fresh = False
        if path.exists():
            self.rows = {row["point"]: row for row in _read(path).to_dicts()}

    def __contains__(self, point: str) -> bool:
        return point in self.rows

    def add(self, point: str, trace: Mapping[str, str], settings: SimulationSettings, row: Mapping[str, Any]) -> None:
        """Keep a finished point; now and then this writes the file.

        Args:
            point: its name.
            trace: `trace` and `fingerprint`.
            settings: the platform.
            row: as `result_row` makes it.
        """
        given = {"point": point, **trace, "settings": settings_text(settings), "version": __version__, **row}
        self.rows[point] = {name: given[name] for name in SCHEMA}
        self._fresh = True
        if time.monotonic() - self._written_s > PAUSE_S:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet, in one step: whoever reads the file sees the old one or the new one."""
        if not self._fresh:
            return
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        self.frame().write_parquet(beside)
        beside.replace(self.path)
        self._fresh = False
        self._written_s = time.monotonic()

    def frame(self) -> pl.DataFrame:
        """Lay all points out, in the order they finished."""
        return pl.DataFrame(list(self.rows.values()), schema=SCHEMA)


def _read(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"{path}: cannot be read as Parquet ({error}); name another --out") from None
    if frame.schema != SCHEMA:
        differing = sorted(
            {name for name, kind in {**frame.schema, **SCHEMA}.items() if frame.schema.get(name) != kind}
        )
        raise ConfigError(
            f"{path}: not a sweep's results, its columns {', '.join(differing)} differ; name another --out"
        )
    return frame
