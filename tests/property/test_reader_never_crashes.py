"""Whatever is in the files, the reader returns a trace or raises TraceError; it never does anything else."""

from __future__ import annotations

import gzip
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotlight.errors import TraceError
from pilotlight.traces import Trace, lines, read_contest
from pilotlight.traces.readers import contest

pytestmark = pytest.mark.timeout(120)

METAS = b"".join(
    b'{"key": "%s", "runtime": "go", "timeoutInSecs": 60, "memoryInMb": 512, "initDurationInMs": 49}\n' % key
    for key in (b"a", b"b", "ü".encode())
)
REQUESTS = b"".join(
    b'{"metaKey": "%s", "startTime": %d, "durationsInMs": %d, "statusCode": 200}\n' % (key, 1_000 + n // 2, n)
    for n, key in enumerate((b"a", b"b", "ü".encode(), b"a", b"b"))
)
WORDS = [
    "",
    "\n",
    "\r",
    "-",
    "0",
    "9" * 20,
    "true",
    "null",
    "NaN",
    "1e5",
    '"',
    "\\",
    "{",
    "}",
    "[",
    ",",
    "200}",
    "\u2028",
]
SPICE = [b"\xff", b"\x00", b"\\ud800", b"\x1f\x8b", b'"startTime"', *(word.encode() for word in WORDS)]

bounded = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def read(requests: bytes, metas: bytes, *, block_bytes: int = lines.BLOCK_BYTES) -> Trace:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", block_bytes)
        (Path(name) / "requests").write_bytes(requests)
        (Path(name) / "metas").write_bytes(metas)
        return read_contest(Path(name))


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with a few places cut out, doubled or replaced."""
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 30)))
        put = draw(st.sampled_from(SPICE) | st.binary(max_size=6) | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return data


@bounded
@given(st.binary(max_size=300), st.binary(max_size=300))
@example(b"", b"")
@example(REQUESTS, b"\x1f\x8b\x08")
def test_arbitrary_bytes_are_refused_as_trace_errors(requests: bytes, metas: bytes) -> None:
    for pair in ((requests, METAS), (REQUESTS, metas), (requests, metas)):
        with suppress(TraceError):
            read(*pair)


@bounded
@given(mutated(REQUESTS), mutated(METAS))
def test_mutated_files_are_read_or_refused_as_trace_errors(requests: bytes, metas: bytes) -> None:
    for pair in ((requests, METAS), (REQUESTS, metas)):
        with suppress(TraceError):
            assert len(read(*pair)) >= 1


@bounded
@given(mutated(gzip.compress(REQUESTS, mtime=0)))
def test_mutated_gzip_files_are_read_or_refused_as_trace_errors(requests: bytes) -> None:
    with suppress(TraceError):
        read(requests, METAS)


values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)
fields = st.sampled_from(["metaKey", "startTime", "durationsInMs", "statusCode", "more"])


@bounded
@given(st.lists(st.dictionaries(fields, values, max_size=5), max_size=4))
def test_objects_of_any_values_are_read_or_refused_as_trace_errors(changes: list[dict[str, object]]) -> None:
    usual = {"metaKey": "a", "startTime": 2_000, "durationsInMs": 5, "statusCode": 200}
    text = "\n".join(json.dumps(usual | change) for change in changes)
    with suppress(TraceError):
        read(text.encode(), METAS)


whole_requests = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "ü"]), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(-(2**31), 999)
    ),
    min_size=1,
    max_size=9,
)


@bounded
@given(whole_requests, st.integers(1, 500))
def test_fast_and_careful_reading_agree(rows: list[tuple[str, int, int, int]], block_bytes: int) -> None:
    rows.sort(key=lambda row: row[1])
    usual = "".join(
        json.dumps(
            dict(zip(["metaKey", "startTime", "durationsInMs", "statusCode"], row, strict=True)), ensure_ascii=False
        )
        + "\n"
        for row in rows
    )
    fast = read(usual.encode(), METAS, block_bytes=block_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "_read_usual", lambda *_args: None)
        careful = read(usual.encode(), METAS)
    assert [(fast.functions.keys[index]) for index in fast.function] == [row[0] for row in rows]
    for name in ("arrival_ns", "function", "duration_ns", "status"):
        assert getattr(fast, name).dtype == getattr(careful, name).dtype
        assert np.array_equal(getattr(fast, name), getattr(careful, name))
    assert fast.origin_ms == careful.origin_ms == rows[0][1]
    assert fast.arrival_ns.tolist() == [(row[1] - rows[0][1]) * 1_000_000 for row in rows]
    assert fast.status.tolist() == [row[3] for row in rows]
