"""Tells what a path holds without reading it: the names of a folder's files, and the first line of each.

A `Look` is what the registry in `reading` shows each format; nothing is parsed before one of them says it is its own.
"""

from __future__ import annotations

import csv
from functools import cached_property
from typing import TYPE_CHECKING

from pilotlight.errors import TraceError
from pilotlight.traces.lines import first_block

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_FILES = 4096
"""Files of a folder whose first lines are looked at; more are no one trace."""

TABLES = (".csv", ".csv.gz", ".txt", ".txt.gz")
"""How the names of a folder's tables end, in any case; a single file may have any name."""

JSON_LINES = (".jsonl", ".jsonl.gz")
"""How the names of a folder's files of JSON lines end, likewise."""


class Look:
    """What can be seen of a path at first sight.

    Attributes:
        path: a file or a folder.
        names: of the folder's entries, in order; of a file, its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.is_folder = path.is_dir()
            entries = sorted(path.iterdir()) if self.is_folder else [path]
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._entries = entries
        self.names = [entry.name for entry in entries]

    def has(self, *words: str) -> bool:
        """Tell whether each word is part of some file's name."""
        return all(any(word in name for name in self.names) for word in words)

    @cached_property
    def tables(self) -> list[Path]:
        """The CSV files of a folder, or the file itself.

        Raises:
            TraceError: there are too many.
        """
        return self._files(TABLES)

    @cached_property
    def headers(self) -> list[list[str]]:
        """The header of each CSV file; empty where it cannot be read."""
        return [_header(path) for path in self.tables]

    def tables_with(self, columns: Iterable[str]) -> list[Path]:
        """Return the CSV files whose header has all of the columns."""
        wanted = set(columns)
        return [path for path, header in zip(self.tables, self.headers, strict=True) if wanted <= set(header)]

    def lines_with(self, field: str) -> list[Path]:
        """Return the files of JSON lines whose first line is an object that has the field.

        Raises:
            TraceError: there are too many.
        """
        return [
            path
            for path in self._files(JSON_LINES)
            if (line := _first_line(path).lstrip()).startswith("{") and f'"{field}"' in line
        ]

    def _files(self, endings: tuple[str, ...]) -> list[Path]:
        """Return the files of a folder whose names end so, or the file itself."""
        if not self.is_folder:
            return [self.path]
        found = [path for path in self._entries if path.name.lower().endswith(endings) and path.is_file()]
        if len(found) > MAX_FILES:
            raise TraceError(f"{self.path}: has {len(found)} {endings[0]} files; give a folder of at most {MAX_FILES}")
        return found

    def require_text(self) -> None:
        """Require that a single file can be looked into at all.

        Raises:
            TraceError: it is empty, damaged or not UTF-8; the text says which.
        """
        if not self.is_folder and not first_block(self.path).lines:
            raise TraceError(f"{self.path}: is empty; write or fetch it again")


def _first_line(path: Path) -> str:
    try:
        return next(iter(first_block(path).lines), "")
    except TraceError:
        return ""


def _header(path: Path) -> list[str]:
    try:
        return next(csv.reader([_first_line(path)]), [])
    except csv.Error:
        return []
