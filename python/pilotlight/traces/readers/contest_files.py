"""Finds the two files of a contest data set in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = ("", ".jsonl", ".gz", ".jsonl.gz")


class DataSet(NamedTuple):
    """The files of one data set."""

    requests: Path
    metas: Path


def locate(folder: Path | None, requests: Path | None = None, metas: Path | None = None) -> DataSet:
    """Name the files of a data set.

    Args:
        folder: holds both; a file that is given explicitly is not looked for.
        requests: the requests file, if not to be looked for.
        metas: the metas file, if not to be looked for.

    Raises:
        TraceError: a file is missing or several could be meant; the text says which names were looked for.
    """
    return DataSet(
        requests if requests is not None else _find(folder, "requests"),
        metas if metas is not None else _find(folder, "metas"),
    )


def _find(folder: Path | None, kind: str) -> Path:
    """Find the file of one kind: by its usual names, otherwise the only one whose name holds the word."""
    if folder is None:
        raise TraceError(f"the {kind} file is not given; pass --{kind} FILE, or the folder that holds it")
    if not folder.exists():
        raise TraceError(f"{folder}: no such folder; give the folder of a data set, or --requests FILE --metas FILE")
    if not folder.is_dir():
        raise TraceError(f"{folder}: is a file; give the folder of a data set, or --requests FILE --metas FILE")
    usual = [folder / f"{kind}{suffix}" for suffix in SUFFIXES]
    try:
        found = [path for path in usual if path.is_file()]
        found = found or sorted(path for path in folder.glob(f"*{kind}*") if path.is_file())
    except OSError as error:
        raise TraceError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if len(found) == 1:
        return found[0]
    if not found:
        names = ", ".join(path.name for path in usual)
        raise TraceError(f"{folder}: has no {kind} file; looked for {names} and *{kind}*; or pass --{kind} FILE")
    names = ", ".join(path.name for path in found)
    raise TraceError(f"{folder}: has several {kind} files ({names}); keep one, or choose with --{kind} FILE")
