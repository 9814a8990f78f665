"""Reads ServeGen's client data and draws requests from it: rates, arrival laws and distributions of tokens, a client.

The layout is that of the published data and of the loader beside it (Y. Xiang et al., "ServeGen: Workload
Characterization and Generation of Large Language Model Serving in Production", 2025): https://github.com/alibaba/ServeGen

Given is the folder of one model. A client N is two files: `chunk-N-trace.csv` without a header, a window a line: its
start (s), requests a second, coefficient of variation, law of the gaps and its two parameters; `chunk-N-dataset.json`
with a window's start and, as text, the probability of each count of `output_tokens` and of `input_tokens`. Clients of
models that take more than text have `text_tokens` in its place, and for images, audio and video how many come with a
request (`image_count`) and the tokens of each (`image_tokens`).

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | one, named as the folder: clients share the model                                                   |
| arrival  | in each window gaps drawn by the window's law, Gamma or Weibull of a shape and a scale in seconds;  |
|          | a window without a law has none. The first gap of a window begins at its start                      |
| tokens   | drawn for each request from the client's latest distributions at its window, or its first ones:     |
|          | context is the input or the text, and every image, audio and video that comes with it               |
| no files | a client without one of its files, or without distributions, is left out, and the notes name it     |
| duration | see `tokens`                                                                                        |
| the rest | see `assumptions`, of a served model; status 200. The last window is as long as the one before      |
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.assumptions import model_functions
from pilotlight.traces.columns import Real
from pilotlight.traces.csv_table import scan_table
from pilotlight.traces.fields import Text, Whole, shown
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.tokens import MAX_TOKENS, token_durations_ns
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import Trace

CLIENT = re.compile(r"chunk-(\d+)-trace\.csv(\.gz)?$")
DATASET = re.compile(r"chunk-(\d+)-dataset\.json$")
COLUMNS = ("timestamp", "rate", "cv", "pattern", "shape", "scale")
FIELDS = (
    Whole("timestamp", 0, 10**9, "seconds from the start"),
    Real("rate", 0, 1e6, "requests a second", may_be_empty=True),
    Text("pattern", may_be_empty=True, meaning="Gamma or Weibull"),
    Real("shape", 0, 1e9, "shape of the gaps", may_be_empty=True),
    Real("scale", 0, 1e9, "scale of the gaps in seconds", may_be_empty=True),
)
LAWS = ("Gamma", "Weibull")
INPUTS, OUTPUT = ("input_tokens", "text_tokens"), "output_tokens"
PARTS = ("image", "audio", "video")
"""What may come with a request beside its text: each has a distribution of its count and one of its tokens."""

WINDOW_S = 600
"""Length of a window where there is only one."""

MOST_GAPS, MOST_OF_RATE = 10**6, 4
"""So many gaps, or so many times what a window's rate says if that is more, are drawn to fill it."""

MAX_DATASET_BYTES = 2**28
MAX_PARTS = 1000
"""More images, pieces of audio or videos with one request are taken as so many."""


class _Counts(NamedTuple):
    """A distribution of counts: what they are, and the cumulative probability of each."""

    counts: NDArray[np.uint32]
    cumulative: NDArray[np.float64]

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.uint32]:
        """Draw counts."""
        places = np.searchsorted(self.cumulative, rng.random(size) * self.cumulative[-1], side="right")
        drawn: NDArray[np.uint32] = self.counts[np.minimum(places, len(self.counts) - 1)]
        return drawn


class _Tokens(NamedTuple):
    """What a window's requests bring along and ask for.

    Attributes:
        text: tokens of the text.
        parts: of each sort of part that may come with it, how many there are and the tokens of one.
        output: tokens of the answer.
    """

    text: _Counts
    parts: tuple[tuple[_Counts, _Counts], ...]
    output: _Counts

    def draw(self, rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Draw the tokens of context and of answer of so many requests."""
        context = self.text.draw(rng, size).astype(np.float64)
        generated = self.output.draw(rng, size)
        for how_many, tokens in self.parts:
            parts = how_many.draw(rng, size)
            owners = np.repeat(np.arange(size), np.minimum(parts, MAX_PARTS))
            context += np.bincount(owners, weights=tokens.draw(rng, len(owners)), minlength=size)
        return np.minimum(context, MAX_TOKENS).astype(np.uint32), generated


def read_servegen(folder: Path, options: ReadOptions, notes: list[str]) -> Trace:
    """Read the folder and draw its requests; the module's table says by which rules.

    Raises:
        TraceError: a file is malformed, or no client is whole; the text names file, line, field and remedy.
    """
    clients = sorted(path for path in folder.iterdir() if CLIENT.search(path.name))
    if not clients:
        raise TraceError(f"{folder}: has no chunk-N-trace.csv; give the folder of one model")
    found = Gathering(folder)
    left_out = {path.name: "has no trace beside it" for path in _without_trace(folder, clients)}
    streams = np.random.SeedSequence(options.seed).spawn(len(clients))
    name, whole = folder.resolve().name or "model", 0
    for path, stream in zip(clients, streams, strict=True):
        rng = np.random.Generator(np.random.PCG64(stream))
        dataset = path.with_name(path.name.partition("-trace")[0] + "-dataset.json")
        windows = _read_tokens(dataset) if dataset.exists() else {}
        if not windows:
            reason = f"no window has distributions of {INPUTS[0]} or {INPUTS[1]}, and of {OUTPUT}"
            left_out[dataset.name] = reason if dataset.exists() else "is not there"
            continue
        whole += 1
        for start_s, arrival_s in _windows(path, found, rng, notes):
            tokens = windows[max((known for known in windows if known <= start_s), default=min(windows))]
            context, generated = tokens.draw(rng, len(arrival_s))
            found.add(
                pl.repeat(name, len(arrival_s), dtype=pl.String, eager=True),
                np.rint(arrival_s * NS_PER_S).astype(np.int64),
                token_durations_ns(path, context, generated, options),
                context_tokens=context,
                generated_tokens=generated,
            )
    if not whole:
        raise TraceError(f"{folder}: no client can be read: {_told(left_out)}")
    if left_out:
        notes.append(f"{folder}: clients left out: {len(left_out)} ({_told(left_out)})")
    return found.trace(partial(model_functions, memory_mb=options.memory_mb))


def _without_trace(folder: Path, clients: list[Path]) -> list[Path]:
    """Name the distributions of clients whose arrivals are not there."""
    here = {path.name.partition("-trace")[0] for path in clients}
    datasets = sorted(path for path in folder.iterdir() if DATASET.search(path.name))
    return [path for path in datasets if path.name.partition("-dataset")[0] not in here]


def _told(left_out: dict[str, str]) -> str:
    """Word why clients are left out: each reason once, with one client's file."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
        for reason, names in by_reason.items()
    )


def _windows(
    path: Path, found: Gathering, rng: np.random.Generator, notes: list[str]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield each window's start and arrivals, in seconds."""
    blocks = list(scan_table(path, FIELDS, notes, header=COLUMNS))
    table = pl.concat([rows.table for rows in blocks])
    starts_s = table["timestamp"].to_numpy().astype(np.int64)
    wrong = np.flatnonzero(np.diff(starts_s) <= 0)
    if len(wrong):
        raise TraceError(f"{path}:{int(wrong[0]) + 2}: timestamp does not ascend; sort the windows")
    last_s = starts_s[-1] - starts_s[-2] if len(starts_s) > 1 else WINDOW_S
    lengths_s = np.diff(starts_s, append=starts_s[-1] + last_s)
    for line, (row, length_s) in enumerate(zip(table.iter_rows(), lengths_s.tolist(), strict=True), 1):
        start_s, rate, pattern, shape, scale = row
        if not pattern:
            continue
        if pattern not in LAWS or not rate or not shape or not scale:
            raise TraceError(
                f"{path}:{line}: {shown(pattern)} with rate {rate}, shape {shape}, scale {scale} is no law of gaps; it"
                f" must be {' or '.join(LAWS)} with numbers above 0"
            )
        found.expect(int(rate * length_s))
        arrival_s = _arrivals(rng, pattern, (shape, scale), rate, length_s)
        if arrival_s is None:
            raise TraceError(
                f"{path}:{line}: {pattern} with shape {shape}, scale {scale} makes far more requests than the rate of"
                f" {rate} a second says; scale is in seconds"
            )
        yield start_s, start_s + arrival_s


def _arrivals(
    rng: np.random.Generator, pattern: str, law: tuple[float, float], rate: float, length_s: int
) -> NDArray[np.float64] | None:
    """Draw arrivals in a window: sums of gaps, until it is over; None if they are too many for its rate."""
    shape, scale = law
    draws = int(rate * length_s * 1.2) + 16
    most = max(MOST_GAPS, MOST_OF_RATE * draws)
    arrival_s = np.zeros(1)
    while arrival_s[-1] < length_s:
        if len(arrival_s) > most:
            return None
        size = max(draws, len(arrival_s) - 1)
        gaps_s = rng.gamma(shape, scale, size) if pattern == LAWS[0] else scale * rng.weibull(shape, size)
        arrival_s = np.concatenate([arrival_s, arrival_s[-1] + np.cumsum(gaps_s)])
    inside: NDArray[np.float64] = arrival_s[1:][arrival_s[1:] < length_s]
    return inside


def _read_tokens(path: Path) -> dict[int, _Tokens]:
    """Read the distributions of a client, by the start of their window; those that are not whole are passed over."""
    try:
        if path.stat().st_size > MAX_DATASET_BYTES:
            raise TraceError(f"{path}: is larger than {MAX_DATASET_BYTES} bytes; it is no distribution of tokens")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{path}: is not JSON ({shown(str(error))}); fetch the file itself") from error
    if not isinstance(found, dict):
        raise TraceError(f"{path}: is not a JSON object of windows")
    windows = {}
    for start, fields in found.items():
        if not (start.isascii() and start.isdecimal()) or not isinstance(fields, dict):
            raise TraceError(f"{path}: the window {shown(start)} is not a start in seconds with its distributions")
        try:
            tokens = _window_tokens(fields)
        except ValueError as error:
            raise TraceError(
                f"{path}: window {start}: {shown(str(error))} is no count of tokens and its probability, such as"
                " 100: 0.25"
            ) from error
        if tokens is not None:
            windows[int(start)] = tokens
    return windows


def _window_tokens(fields: dict[str, object]) -> _Tokens | None:
    """Take a window's distributions apart; None if one that each request needs is not there.

    Raises:
        ValueError: as of `_distribution`.
    """
    text = next(filter(None, (_distribution(fields.get(name)) for name in INPUTS)), None)
    output = _distribution(fields.get(OUTPUT))
    if text is None or output is None:
        return None
    pairs = (
        (_distribution(fields.get(f"{part}_count")), _distribution(fields.get(f"{part}_tokens"))) for part in PARTS
    )
    return _Tokens(text, tuple((count, tokens) for count, tokens in pairs if count and tokens), output)


def _distribution(text: object) -> _Counts | None:
    """Take a distribution apart; None if it is empty or none.

    Raises:
        ValueError: a part is none of one; the part is its text.
    """
    inside = text.strip().removeprefix("{").removesuffix("}").strip() if isinstance(text, str) else ""
    pairs = [_pair(part) for part in inside.split(",")] if inside else []
    likely = sorted((min(count, MAX_TOKENS), share) for count, share in pairs if share > 0)
    if not likely:
        return None
    counts, shares = zip(*likely, strict=True)
    return _Counts(np.array(counts, dtype=np.uint32), np.cumsum(shares))


def _pair(text: str) -> tuple[int, float]:
    """Read a count and its probability."""
    count, _, share = text.strip().partition(":")
    try:
        found = int(count), float(share)
    except ValueError:
        raise ValueError(text.strip()) from None
    if found[0] < 0 or not 0 <= found[1] < np.inf:
        raise ValueError(text.strip())
    return found
