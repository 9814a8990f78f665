"""Finds the files of each day of an Azure Functions trace of 2019 in their folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from pathlib import Path

DAY = re.compile(r"\.d(\d\d)\b")
NEEDED = ("invocations", "durations")
"""Files that every day must have."""


class AzureFiles(NamedTuple):
    """The files of one day; the recording has no memory of its last two, and a sample may have none."""

    invocations: Path
    durations: Path
    memory: Path | None


def find_days(folder: Path) -> tuple[AzureFiles, ...]:
    """Name the files of each day, in order.

    Raises:
        TraceError: a file is missing, or several could be meant.
    """
    found = {kind: _find(folder, kind) for kind in AzureFiles._fields}
    for kind in NEEDED:
        if not found[kind]:
            raise TraceError(f"{folder}: has no {kind} file; looked for *{kind}*.csv and *{kind}*.csv.gz; put it there")
    return _several_days(folder, found) if len(found["invocations"]) > 1 else (_only_day(folder, found),)


def _only_day(folder: Path, found: dict[str, list[Path]]) -> AzureFiles:
    for kind, paths in found.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise TraceError(f"{folder}: has several {kind} files ({names}) and one of invocations; keep one")
    return AzureFiles(found["invocations"][0], found["durations"][0], next(iter(found["memory"]), None))


def _several_days(folder: Path, found: dict[str, list[Path]]) -> tuple[AzureFiles, ...]:
    by_day: dict[str, dict[str, Path]] = {}
    for kind, paths in found.items():
        for path in paths:
            day = DAY.search(path.name)
            if day is None or kind in by_day.setdefault(day[1], {}):
                raise TraceError(
                    f"{path}: its name must say which one day it is of, such as .d01, to tell several apart"
                )
            by_day[day[1]][kind] = path
    days = []
    for day_name, paths_of in sorted(by_day.items()):
        for kind in NEEDED:
            if kind not in paths_of:
                raise TraceError(f"{folder}: has no {kind} file of day {day_name}; put it there")
        days.append(AzureFiles(paths_of["invocations"], paths_of["durations"], paths_of.get("memory")))
    return tuple(days)


def _find(folder: Path, kind: str) -> list[Path]:
    """Find the files of one kind."""
    try:
        return sorted(path for path in folder.glob(f"*{kind}*") if path.name.endswith((".csv", ".csv.gz")))
    except OSError as error:
        raise TraceError(f"{folder}: cannot be read: {error.strerror or error}") from error
