"""Readers of traces: twenty thousand requests of the formats that take different ways, and a wrong last line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pilotlight.errors import TraceError
from pilotlight.traces import read_trace, synthesize, write_contest
from pilotlight.traces.parquet import write_parquet
from pilotlight.traces.synth import SynthSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

ROWS = 20_000
TRACE = SynthSettings(functions=200, requests=ROWS, length_s=600.0)


def contest(folder: Path) -> Path:
    return write_contest(synthesize(TRACE), folder / "trace").requests.parent


def parquet(folder: Path) -> Path:
    write_parquet(synthesize(TRACE), folder / "trace")
    return folder / "trace"


def azure2021(folder: Path) -> Path:
    """Return a table of numbers."""
    rows = (f"a{row % 50},f{row % 500},{row / 10},0.25" for row in range(ROWS))
    return table(folder / "calls.csv", "app,func,end_timestamp,duration", rows)


def azure_llm(folder: Path) -> Path:
    """Return a table of moments."""
    rows = (f"2023-11-16 18:{row // 60 % 60:02}:{row % 60:02}.9799600,4808,10" for row in range(ROWS))
    return table(folder / "code.csv", "TIMESTAMP,ContextTokens,GeneratedTokens", rows)


def mooncake(folder: Path) -> Path:
    path = folder / "conversation.jsonl"
    fields = ({"timestamp": row, "input_length": 6758, "output_length": 500, "hash_ids": [0]} for row in range(ROWS))
    path.write_text("".join(f"{json.dumps(each)}\n" for each in fields))
    return path


def table(path: Path, header: str, rows: Iterable[str]) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


@pytest.mark.parametrize("made", [contest, parquet, azure2021, azure_llm, mooncake], ids=lambda made: made.__name__)
def test_reader(benchmark: BenchmarkFixture, tmp_path: Path, made: Callable[[Path], Path]) -> None:
    path = made(tmp_path)
    assert len(benchmark(read_trace, path).trace) == ROWS


def test_reader_finds_a_wrong_last_line(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path = azure_llm(tmp_path)
    path.write_text(path.read_text() + "2023-11-16 18:61:00,1,1\n")

    def refused() -> str:
        with pytest.raises(TraceError) as caught:
            read_trace(path)
        return str(caught.value)

    assert f"code.csv:{ROWS + 2}: TIMESTAMP is 2023-11-16 18:61:00" in benchmark(refused)
