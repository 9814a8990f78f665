"""Whatever is in the CSV files, the reader of the Azure trace returns a trace or raises TraceError."""

from __future__ import annotations

import gzip
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotlight.errors import TraceError
from pilotlight.traces import Trace, read_azure2019

pytestmark = pytest.mark.timeout(120)

INVOCATIONS = b"HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,2,0\no,a,g,timer,1,3\n"
LEVELS = b",".join(b"percentile_Average_%d" % level for level in (0, 1, 25, 50, 75, 99, 100))
DURATIONS = b"HashOwner,HashApp,HashFunction,%s\no,a,f,1,2,3,4,5,6,7\no,a,g,0,0,10,10,20,30,1e3\n" % LEVELS
MEMORY = b"HashOwner,HashApp,AverageAllocatedMb\no,a,100.5\n"
FILES = {"invocations.csv": INVOCATIONS, "durations.csv": DURATIONS, "memory.csv": MEMORY}

WORDS = [
    "",
    "\n",
    "\r",
    "\r\n",
    "-",
    "0",
    "9" * 40,
    "1e999",
    "inf",
    "nan",
    ".5",
    '"',
    '""',
    ",",
    ",,",
    " ",
    "\u2028",
    "1",
]
SPICE = [b"\xff", b"\x00", b"\xef\xbb\xbf", b"\x1f\x8b", b"HashApp", *(word.encode() for word in WORDS)]

bounded = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def read(changed: dict[str, bytes]) -> Trace:
    with tempfile.TemporaryDirectory() as name:
        for file, data in (FILES | changed).items():
            (Path(name) / file).write_bytes(data)
        return read_azure2019(Path(name)).trace


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, bytes]:
    """One of the files with a few places cut out, doubled or replaced."""
    file = draw(st.sampled_from(list(FILES)))
    data = FILES[file]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        put = draw(st.sampled_from(SPICE) | st.binary(max_size=6) | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return {file: data}


def test_the_files_themselves_are_read() -> None:
    assert len(read({})) == 6


@bounded
@given(st.sampled_from(list(FILES)), st.binary(max_size=200))
@example("memory.csv", b"")
@example("invocations.csv", b"\x1f\x8b\x08")
def test_arbitrary_bytes_are_refused_as_trace_errors(file: str, data: bytes) -> None:
    with suppress(TraceError):
        read({file: data})


@bounded
@given(mutated())
def test_mutated_files_are_read_or_refused_as_trace_errors(changed: dict[str, bytes]) -> None:
    for files in (changed, {name: gzip.compress(data, mtime=0) for name, data in changed.items()}):
        with suppress(TraceError):
            assert len(read(files)) >= 1


numbers = st.lists(st.floats(0, 1e9), min_size=7, max_size=7).map(sorted)


@bounded
@given(st.integers(0, 2000), st.integers(0, 2000), numbers, st.floats(0, 2**24))
def test_numbers_in_range_are_read_and_keep_their_bounds(
    first: int, second: int, percentiles: list[float], memory_mb: float
) -> None:
    counts = b"HashOwner,HashApp,HashFunction,1,2\no,a,f,%d,%d\n" % (first, second)
    durations = b"HashFunction,%s\nf,%s\n" % (LEVELS, b",".join(b"%r" % number for number in percentiles))
    files = {
        "invocations.csv": counts,
        "durations.csv": durations,
        "memory.csv": b"HashFunction,AverageAllocatedMb\nf,%r\n" % memory_mb,
    }
    if first + second == 0:
        with pytest.raises(TraceError, match="counts 0 requests"):
            read(files)
        return
    trace = read(files)
    assert len(trace) == first + second
    assert percentiles[0] * 1e6 - 1 <= trace.duration_ns.min() <= trace.duration_ns.max() <= percentiles[-1] * 1e6 + 1
    assert 0 <= trace.functions.memory_mb[0] - memory_mb <= 1
