"""Reads a trace of any known format: the one door for every command that takes a TRACE.

The format is told by the names of a folder's files and by their first lines, or named by the caller. `FORMATS` lists
them all; a new reader is a new row there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pilotlight.errors import TraceError
from pilotlight.traces.parquet import is_trace, load_parquet
from pilotlight.traces.read_options import ReadOptions
from pilotlight.traces.readers import azure2021, azure_llm, genai2026, huawei2025, mooncake, request_csv, servegen
from pilotlight.traces.readers.azure2019 import read_azure2019
from pilotlight.traces.readers.azure2021 import read_azure2021
from pilotlight.traces.readers.azure_llm import read_azure_llm
from pilotlight.traces.readers.contest import read_contest
from pilotlight.traces.readers.contest_files import locate
from pilotlight.traces.readers.genai2026 import read_genai2026, requests_among
from pilotlight.traces.readers.huawei2023 import SLOTS_NS, read_huawei2023
from pilotlight.traces.readers.huawei2025 import read_huawei2025
from pilotlight.traces.readers.mooncake import read_mooncake
from pilotlight.traces.readers.request_csv import read_request_csv
from pilotlight.traces.readers.servegen import read_servegen
from pilotlight.traces.sniffing import Look

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pilotlight.traces.trace import Trace


class TraceRead(NamedTuple):
    """A trace, and what to say about where it came from.

    Attributes:
        trace: the workload.
        source: the format as `kind`, the files, and the rules by which the reader filled gaps.
        notes: sentences for the user about what was missing, doubled, or left out.
    """

    trace: Trace
    source: dict[str, Any]
    notes: tuple[str, ...] = ()


class Format(NamedTuple):
    """A format of traces.

    Attributes:
        looks_like: how it is told, for the user.
        sniff: tells whether a path is of the format.
        read: reads it, and adds its notes to the list.
    """

    looks_like: str
    sniff: Callable[[Look], bool]
    read: Callable[[Look, ReadOptions, list[str]], TraceRead]


def read_trace(path: Path | None, *, format_name: str | None = None, options: ReadOptions | None = None) -> TraceRead:
    """Read a trace.

    Args:
        path: a file, or the folder that holds the files; None if the options name a contest data set's.
        format_name: a name in `FORMATS`; None tells it by the files.
        options: None takes the defaults.

    Raises:
        TraceError: the format is not known or not clear, or a file is missing or malformed; the text says which.
    """
    options = ReadOptions() if options is None else options
    if format_name is not None and format_name not in FORMATS:
        raise TraceError(f"format {format_name} is not known; choose one of {', '.join(FORMATS)}")
    if path is None or options.requests is not None or options.metas is not None:
        if format_name not in (None, CONTEST):
            raise TraceError(
                f"--requests and --metas name a contest data set, not {format_name}; give its path instead"
            )
        return _contest(path, options)
    if not path.exists():
        raise TraceError(f"{path}: no such folder or file; give the path of a trace")
    look = Look(path)
    name = format_name or (CSV if options.columns else tell_format(look))
    notes: list[str] = []
    made = FORMATS[name].read(look, options, notes)
    return made._replace(notes=tuple(notes))


def tell_format(look: Look) -> str:
    """Tell the format by the files.

    Raises:
        TraceError: none fits, or several do.
    """
    found = [name for name, known in FORMATS.items() if known.sniff(look)]
    if CSV in found and len(found) > 1:
        found.remove(CSV)
    if len(found) == 1:
        return found[0]
    if found:
        raise TraceError(f"{look.path}: has files of several formats ({', '.join(found)}); choose one with --format")
    look.require_text()
    wanted = "; ".join(f"{known.looks_like} ({name})" for name, known in FORMATS.items())
    raise TraceError(f"{look.path}: is no trace; looked for {wanted}; choose with --format, or name --columns of a CSV")


def _parquet(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    del options, notes
    trace, source = load_parquet(look.path)
    return TraceRead(trace, {"kind": PARQUET, "path": str(look.path), "made_from": source})


def _contest(path: Path | None, options: ReadOptions) -> TraceRead:
    files = locate(path, options.requests, options.metas)
    source = {"kind": CONTEST, "requests": str(files.requests), "metas": str(files.metas)}
    return TraceRead(read_contest(requests=files.requests, metas=files.metas), source)


def _azure2019(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    if not look.is_folder:
        raise TraceError(f"{look.path}: an {AZURE2019} trace is a folder of tables; give that")
    made = read_azure2019(
        look.path, seed=options.seed, placement=options.placement, memory_mb=options.memory_mb, notes=notes
    )
    files = {
        kind: [str(path) for day in made.days if (path := getattr(day, kind)) is not None]
        for kind in made.days[0]._fields
    }
    source = {
        "kind": AZURE2019,
        **{kind: paths[0] if len(made.days) == 1 else paths for kind, paths in files.items() if paths},
        "seed": options.seed,
        "placement": options.placement,
        "without_durations": sum(gap.missing for gap in made.without_durations),
        "without_memory": len(made.trace.functions) if made.without_memory is None else made.without_memory.missing,
    }
    notes.extend(
        f"{gap.path}: {gap.missing} of {gap.functions} functions have no row; they get the median of the others"
        for gap in (*made.without_durations, made.without_memory)
        if gap is not None and gap.missing
    )
    return TraceRead(made.trace, source)


def _azure2021(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    path = _only(look, azure2021.HEADER)
    return TraceRead(read_azure2021(path, options, notes), _filled(AZURE2021, path, options))


def _azure_llm(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    paths = _tables(look, look.tables_with(azure_llm.HEADER) or look.tables)
    return TraceRead(read_azure_llm(paths, options, notes), _filled(AZURE_LLM, look.path, options) | _rates(options))


def _huawei2023(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    source = _filled(HUAWEI2023, look.path, options)
    source |= {"placement": options.placement, "duration_ms": options.duration_ms}
    return TraceRead(read_huawei2023(look.path, options, notes), source)


def _huawei2025(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    found = read_huawei2025(look.path, _tables(look, look.tables), options, notes)
    return TraceRead(found, _filled(HUAWEI2025, look.path, options))


def _genai2026(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    path = requests_among(look.path, look.tables, look.headers) if look.is_folder else look.path
    made = read_genai2026(path, [other for other in look.tables if other != path], options, notes)
    source = _filled(GENAI2026, look.path, options) | {"left_out": made.left_out, "unnamed": made.unnamed}
    return TraceRead(made.trace, source)


def _mooncake(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    del notes
    path = look.path
    if look.is_folder:
        found = look.lines_with(mooncake.INPUT)
        if len(found) != 1:
            raise TraceError(
                f"{path}: is a folder with {len(found)} files of JSON lines with {mooncake.INPUT}; give the path of one"
            )
        path = found[0]
    return TraceRead(read_mooncake(path, options), _filled(MOONCAKE, path, options) | _rates(options))


def _servegen(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    if not look.is_folder:
        raise TraceError(f"{look.path}: {SERVEGEN} data is a folder of chunk files; give that")
    return TraceRead(read_servegen(look.path, options, notes), _filled(SERVEGEN, look.path, options) | _rates(options))


def _csv(look: Look, options: ReadOptions, notes: list[str]) -> TraceRead:
    path = _only(look, ())
    source = _filled(CSV, path, options) | _rates(options)
    source |= {"columns": dict(options.columns), "time_unit": options.time_unit, "duration_ms": options.duration_ms}
    return TraceRead(read_request_csv(path, options, notes), source)


def _only(look: Look, columns: tuple[str, ...]) -> Path:
    """Return the file, or the only table with these columns of a folder."""
    if not look.is_folder:
        return look.path
    found = look.tables_with(columns)
    if len(found) != 1:
        of = f" of {', '.join(columns)}" if columns else ""
        raise TraceError(f"{look.path}: is a folder with {len(found)} tables{of}; give the path of one file")
    return found[0]


def _tables(look: Look, found: list[Path]) -> list[Path]:
    """Return these tables, or the file itself."""
    if not look.is_folder:
        return [look.path]
    if not found:
        raise TraceError(f"{look.path}: has no CSV files; put the tables there, or give the path of one")
    return found


def _filled(kind: str, path: Path, options: ReadOptions) -> dict[str, Any]:
    """Say where a trace came from, and what the user said of it."""
    return {"kind": kind, "path": str(path), "seed": options.seed, "memory_mb": options.memory_mb}


def _rates(options: ReadOptions) -> dict[str, Any]:
    return {"prefill_per_s": options.prefill_per_s, "decode_per_s": options.decode_per_s}


def _sniff_csv(look: Look) -> bool:
    """Tell whether the only table may be a plain one of requests: an arrival in the header."""
    header = look.headers[0] if len(look.tables) == 1 else []
    return "arrival" in header or {"end", "duration"} <= set(header) & set(request_csv.ROLES)


PARQUET, CONTEST, CSV = "parquet", "contest", "csv"
AZURE2019, AZURE2021, AZURE_LLM = "azure2019", "azure2021", "azure-llm"
HUAWEI2023, HUAWEI2025, GENAI2026 = "huawei2023", "huawei2025", "genai2026"
MOONCAKE, SERVEGEN = "mooncake", "servegen"

FORMATS = {
    PARQUET: Format("requests.parquet and functions.parquet", lambda look: is_trace(look.path), _parquet),
    CONTEST: Format(
        "files named requests and metas",
        lambda look: look.is_folder and look.has("requests", "metas"),
        lambda look, options, _notes: _contest(look.path, options),
    ),
    AZURE2019: Format("files named invocations", lambda look: look.is_folder and look.has("invocations"), _azure2019),
    AZURE2021: Format(
        "columns " + ", ".join(azure2021.HEADER), lambda look: bool(look.tables_with(azure2021.HEADER)), _azure2021
    ),
    AZURE_LLM: Format(
        "columns " + ", ".join(azure_llm.HEADER), lambda look: bool(look.tables_with(azure_llm.HEADER)), _azure_llm
    ),
    HUAWEI2023: Format(
        "folders requests_minute or requests_second",
        lambda look: any(f"requests_{slot}" in look.names for slot in SLOTS_NS),
        _huawei2023,
    ),
    HUAWEI2025: Format(
        f"a column {huawei2025.REQUESTS}", lambda look: bool(look.tables_with([huawei2025.REQUESTS])), _huawei2025
    ),
    GENAI2026: Format(f"a column {genai2026.MODEL}", lambda look: bool(look.tables_with(genai2026.HEADER)), _genai2026),
    MOONCAKE: Format(
        f"JSON lines with {mooncake.INPUT}", lambda look: bool(look.lines_with(mooncake.INPUT)), _mooncake
    ),
    SERVEGEN: Format(
        "files named chunk-N-trace.csv",
        lambda look: look.is_folder and any(map(servegen.CLIENT.search, look.names)),
        _servegen,
    ),
    CSV: Format("a CSV file with columns arrival, function, duration", _sniff_csv, _csv),
}
"""The formats by name."""
