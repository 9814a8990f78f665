"""What the commands that simulate have in common: the load, the platform, and the files they write.

`workload_options` gives a command all options of `Workload` and hands them over as one value, `result_options` those
of the files. Nothing is read or written here except by `Workload.load`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from pilotlight.simulation.runner import SimulationSettings
from pilotlight.traces import ReadOptions, Trace, generate, read_trace
from pilotlight.traces.kinds import CONTEST
from pilotlight.traces.options import READING, duration, take_read_options
from pilotlight.traces.parquet import StoredTrace, is_trace, open_parquet
from pilotlight.traces.reading import PARQUET

Command = TypeVar("Command", bound=Callable[..., None])

IN_MEMORY = 10_000_000
"""Requests of a trace on disk up to which it is loaded; a longer one is read block by block in every run."""

PLATFORM = SimulationSettings()
STDOUT = "-"


class Workload(NamedTuple):
    """The load and the platform as the command line gives them; the options' helps say what each means."""

    trace: Path | None
    format_name: str | None
    reading: ReadOptions
    synth: str | None
    start: float
    length: float | None
    start_model: str
    create_ms: float
    tail: float
    create_failure: float
    init_failure: float
    seed: int

    @property
    def settings(self) -> SimulationSettings:
        """The platform.

        Raises:
            ConfigError: a value is out of range.
        """
        return SimulationSettings(
            self.create_ms, self.tail, self.create_failure, self.init_failure, self.seed, self.start_model
        )

    def load(self, *, whole: bool = False) -> tuple[Trace | StoredTrace, dict[str, Any]]:
        """Read the trace, or generate one and say so on stderr; with it goes where it came from.

        Args:
            whole: load it however long it is; else one of more than `IN_MEMORY` requests stays on disk. Of Parquet, a
                window is loaded alone.

        Raises:
            TraceError: the trace is missing or malformed, the load is none that can be generated, or nothing arrives
                in the window.
            click.UsageError: there is both a trace to read and load to generate.
        """
        windowed = bool(self.start) or self.length is not None
        played, source = self._read(whole=whole and not windowed)
        if windowed:
            played = played.slice(self.start, self.length)
        return played, source | {"window": {"start_s": self.start, "length_s": self.length}}

    def whole(self) -> Trace:
        """Load the trace into memory, however long it is; errors are those of `load`."""
        played, _ = self.load(whole=True)
        return played if isinstance(played, Trace) else played.load()

    def _read(self, *, whole: bool) -> tuple[Trace | StoredTrace, dict[str, Any]]:
        if self.trace is None and self.reading.requests is None and self.reading.metas is None:
            return self._generate()
        if self.synth is not None:
            raise click.UsageError("--synth generates the load to play; leave it out, or TRACE, --requests and --metas")
        if not whole and self.trace is not None and self.format_name in (None, PARQUET) and is_trace(self.trace):
            stored = open_parquet(self.trace)
            if len(stored) > IN_MEMORY:
                return stored, {"kind": PARQUET, "path": str(self.trace), "made_from": stored.source}
        found = read_trace(self.trace, format_name=self.format_name, options=self.reading)
        for note in found.notes:
            click.echo(note, err=True)
        return found.trace, found.source

    def _generate(self) -> tuple[Trace, dict[str, Any]]:
        spec = CONTEST if self.synth is None else self.synth
        made = generate(spec, seed=self.seed)
        click.echo(
            f"no TRACE: generated {spec} load, {len(made.trace)} requests of {len(made.trace.functions)} functions in"
            f" {made.source['length_s']:g} s, seed {self.seed} (`pilotlight trace synth` writes it in other sizes)",
            err=True,
        )
        return made.trace, made.source


def output_file(value: str) -> Path:
    """Name a file to write after a long run; that its folder is there is found out before.

    Raises:
        click.BadParameter: it is a folder, or has none.
    """
    path = Path(value)
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise click.BadParameter(f"{path.parent} is not a folder; make it first")
    return path


def file_named(*suffixes: str) -> Callable[[str], Path]:
    """Make the type of an `output_file` whose format its suffix tells; another suffix is refused."""

    def file(value: str) -> Path:
        if not value.endswith(suffixes):
            allowed = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
            raise click.BadParameter(f"{value} must end in {allowed}")
        return output_file(value)

    return file


WORKLOAD_OPTIONS = (
    click.argument("trace", type=click.Path(path_type=Path), required=False),
    *READING,
    click.option(
        "--synth",
        metavar="KIND[:NAME=VALUE,...]",
        help="What load to generate if there is no TRACE; `pilotlight trace kinds` lists them.  [default: contest]",
    ),
    click.option("--start", type=duration, default="0s", show_default=True, help="Leave out what arrives before."),
    click.option("--length", type=duration, help="Take only what arrives in this time from the start on."),
    click.option(
        "--start-model",
        metavar="MODEL[:NAME=VALUE,...]",
        default=PLATFORM.start,
        show_default=True,
        help="How long starts take, by stage: docs/start-models.md lists them.",
    ),
    click.option(
        "--create-ms",
        type=float,
        default=PLATFORM.create_ms,
        show_default=True,
        help="How long CreateSlot takes, if neither the trace nor the start model says.",
    ),
    click.option("--tail", type=duration, default="300s", show_default=True, help="Run on after the last arrival."),
    click.option(
        "--create-failure", type=click.FloatRange(0, 1), default=0.0, help="Probability that a CreateSlot fails."
    ),
    click.option("--init-failure", type=click.FloatRange(0, 1), default=0.0, help="Probability that an Init fails."),
    click.option(
        "--seed", default=PLATFORM.seed, show_default=True, help="Of failures, drawn starts and what TRACE leaves open."
    ),
)

SINGLE = 3
"""How many of the options, the first ones, name a single trace."""

RESULT_OPTIONS = (
    click.option(
        "--json",
        "json_file",
        type=output_file,
        is_flag=False,
        flag_value=STDOUT,
        metavar="[FILE|-]",
        help="Write JSON to FILE, or to stdout instead of the tables.",
    ),
    click.option("--csv", "csv_file", type=output_file, metavar="FILE", help="Write the results as CSV."),
)

REPORT_SPANS = 480
"""Spans of time in a report's charts; more would be narrower than a pixel."""


def workload_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command TRACE and the platform's options; it takes them as one keyword argument, `workload`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> None:  # noqa: ANN401 - the values of all options
        given["reading"] = take_read_options(given)
        workload = Workload(**{name: given.pop(name) for name in Workload._fields})
        command(workload=workload, **given)

    return _with(WORKLOAD_OPTIONS, gathered)


def workloads_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command any number of TRACEs on one platform; it takes them as one keyword argument, `workloads`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> None:  # noqa: ANN401 - the values of all options
        traces = given.pop("traces")
        given |= {"requests": None, "metas": None}  # they name a single trace's files
        given["reading"] = take_read_options(given)
        shared = Workload(**{name: given.pop(name, None) for name in Workload._fields})
        command(workloads=[shared._replace(trace=trace) for trace in traces] or [shared], **given)

    many = click.argument("traces", metavar="[TRACE]...", nargs=-1, type=click.Path(path_type=Path))
    return _with((many, *WORKLOAD_OPTIONS[SINGLE:]), gathered)


def result_options(command: Command) -> Command:
    """Give a command `--json` and `--csv`; it takes them as `json_file` and `csv_file`."""
    return _with(RESULT_OPTIONS, command)


def report_option(command: Command) -> Command:
    """Give a command `--report`; it takes it as `report`."""
    return click.option(
        "--report",
        type=file_named(".html"),
        metavar="FILE",
        help="Write everything as one HTML page with charts, which opens offline.",
    )(command)


def write_json(path: Path, text: str) -> bool:
    """Write a document to its file or to stdout; tell whether stdout is taken."""
    if str(path) == STDOUT:
        click.echo(text)
        return True
    path.write_text(text + "\n", encoding="utf-8")
    return False


def _with(options: tuple[Callable[[Command], Command], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
