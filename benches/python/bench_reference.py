"""A fixed piece of work that nothing of ours is in: how fast this machine is at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def work() -> int:
    """Use the interpreter, its dictionaries and its memory."""
    counts: dict[str, int] = {}
    for number in range(20_000):
        key = str(number % 1_000)
        counts[key] = counts.get(key, 0) + number
    return sum(counts.values())


def test_reference(benchmark: BenchmarkFixture) -> None:
    assert benchmark(work) == sum(range(20_000))
