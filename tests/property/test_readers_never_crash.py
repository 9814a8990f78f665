"""Whatever is in the files of a trace, its reader returns a trace or raises TraceError."""

from __future__ import annotations

import gzip
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_samples import SAMPLES, write

from pilotlight.errors import TraceError
from pilotlight.traces import ReadOptions, Trace, read_trace

pytestmark = pytest.mark.timeout(120)

NAMES = [name for name in SAMPLES if name not in {"contest", "azure2019"}]
"""Those two have tests of their own beside this one."""

WORDS = [
    "",
    "\n",
    "\r\n",
    "-",
    "0",
    "9" * 40,
    "1e999",
    "inf",
    "nan",
    ".5",
    '"',
    ",",
    " ",
    "\u2028",
    "{",
    "}",
    ":",
    "null",
]
SPICE = [b"\xff", b"\x00", b"\xef\xbb\xbf", b"\x1f\x8b", b"Gamma", *(word.encode() for word in WORDS)]

bounded = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def read(name: str, changed: dict[str, bytes], *, compress: bool = False) -> Trace:
    with tempfile.TemporaryDirectory() as folder:
        path = write(name, Path(folder), changed, compress=compress)
        return read_trace(path, format_name=name, options=ReadOptions(seed=3)).trace


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, bytes]]:
    """A file of a format with a few places cut out, doubled or replaced."""
    name = draw(st.sampled_from(NAMES))
    file = draw(st.sampled_from(list(SAMPLES[name])))
    data = SAMPLES[name][file].encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        put = draw(st.sampled_from(SPICE) | st.binary(max_size=6) | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return name, {file: data}


@bounded
@given(st.sampled_from(NAMES), st.data())
def test_arbitrary_bytes_are_refused_as_trace_errors(name: str, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(list(SAMPLES[name])))
    with suppress(TraceError):
        read(name, {file: data.draw(st.binary(max_size=200))})


@settings(bounded, max_examples=200)
@given(mutated(), st.booleans())
def test_mutated_files_are_read_or_refused_as_trace_errors(case: tuple[str, dict[str, bytes]], compress: bool) -> None:
    name, changed = case
    with suppress(TraceError):
        assert len(read(name, changed, compress=compress)) >= 1


@bounded
@given(st.sampled_from(NAMES), st.data())
def test_cut_files_are_read_or_refused_as_trace_errors(name: str, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(list(SAMPLES[name])))
    whole = SAMPLES[name][file].encode()
    packed = gzip.compress(whole, mtime=0)
    for content in (whole, packed):
        with suppress(TraceError):
            read(name, {file: content[: data.draw(st.integers(0, len(content)))]})


@bounded
@given(mutated())
def test_any_file_may_be_looked_at(case: tuple[str, dict[str, bytes]]) -> None:
    """Telling the format of a damaged trace fails as reading it does."""
    name, changed = case
    with tempfile.TemporaryDirectory() as folder, suppress(TraceError):
        read_trace(write(name, Path(folder), changed))
