"""Reads a trace of any known format: the one door for every command that takes a TRACE.

The format is told by the names of a folder's files, or named by the caller. `FORMATS` lists them all; a new reader is a
new row there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pilotlight.errors import TraceError
from pilotlight.traces.placement import DEFAULT_PLACEMENT
from pilotlight.traces.readers.azure2019 import read_azure2019
from pilotlight.traces.readers.contest import read_contest
from pilotlight.traces.readers.contest_files import locate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pilotlight.traces.trace import Trace


class ReadOptions(NamedTuple):
    """What a reader may want to know beside the folder; each takes what concerns its format.

    Attributes:
        requests: the requests file of a contest data set, if the folder does not settle it.
        metas: its metas file, likewise.
        seed: of what a recording leaves open and a reader draws.
        placement: where requests lie inside a minute that only counts them.
    """

    requests: Path | None = None
    metas: Path | None = None
    seed: int = 1
    placement: str = DEFAULT_PLACEMENT


class TraceRead(NamedTuple):
    """A trace, and what to say about where it came from.

    Attributes:
        trace: the workload.
        source: the format as `kind`, the files, and the rules by which the reader filled gaps.
        notes: sentences for the user about rows that were missing.
    """

    trace: Trace
    source: dict[str, Any]
    notes: tuple[str, ...] = ()


class Format(NamedTuple):
    """A format of traces.

    Attributes:
        words: a folder with a file whose name contains one of these is of the format.
        read: reads it; the folder is None if files are named instead.
    """

    words: tuple[str, ...]
    read: Callable[[Path | None, ReadOptions], TraceRead]


def read_trace(folder: Path | None, *, format_name: str | None = None, options: ReadOptions | None = None) -> TraceRead:
    """Read a trace.

    Args:
        folder: holds the files; None if the options name them.
        format_name: a name in `FORMATS`; None tells it by the names of the files.
        options: None takes the defaults.

    Raises:
        TraceError: the format is not known or not clear, or a file is missing or malformed; the text says which.
    """
    options = ReadOptions() if options is None else options
    name = _sniff(folder, options) if format_name is None else format_name
    if name not in FORMATS:
        raise TraceError(f"format {name} is not known; choose one of {', '.join(FORMATS)}")
    return FORMATS[name].read(folder, options)


def _sniff(folder: Path | None, options: ReadOptions) -> str:
    """Tell the format by the names of the files."""
    if folder is None or options.requests is not None or options.metas is not None or not folder.is_dir():
        return CONTEST
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise TraceError(f"{folder}: cannot be read: {error.strerror or error}") from error
    found = [name for name, known in FORMATS.items() if any(word in file for word in known.words for file in names)]
    if len(found) == 1:
        return found[0]
    if found:
        raise TraceError(f"{folder}: has files of several formats ({', '.join(found)}); choose one with --format")
    known = "; ".join(f"{name}: {', '.join(known.words)}" for name, known in FORMATS.items())
    raise TraceError(f"{folder}: has no trace; looked for files whose names contain these words ({known})")


def _contest(folder: Path | None, options: ReadOptions) -> TraceRead:
    files = locate(folder, options.requests, options.metas)
    source = {"kind": CONTEST, "requests": str(files.requests), "metas": str(files.metas)}
    return TraceRead(read_contest(requests=files.requests, metas=files.metas), source)


def _azure2019(folder: Path | None, options: ReadOptions) -> TraceRead:
    if folder is None or options.requests is not None or options.metas is not None:
        raise TraceError(f"a {AZURE2019} trace is given as a folder; leave --requests and --metas out")
    made = read_azure2019(folder, seed=options.seed, placement=options.placement)
    source = {
        "kind": AZURE2019,
        **{kind: str(path) for kind, path in made.files._asdict().items()},
        "seed": options.seed,
        "placement": options.placement,
        "without_durations": made.without_durations,
        "without_memory": made.without_memory,
    }
    notes = tuple(
        f"{path}: {missing} of {len(made.trace.functions)} functions have no row; they get the median of the others"
        for path, missing in (
            (made.files.durations, made.without_durations),
            (made.files.memory, made.without_memory),
        )
        if missing
    )
    return TraceRead(made.trace, source, notes)


CONTEST, AZURE2019 = "contest", "azure2019"
FORMATS = {
    CONTEST: Format(("requests", "metas"), _contest),
    AZURE2019: Format(("invocations",), _azure2019),
}
"""The formats by name."""
