"""What `make bench-python` calls slower, and what it takes for noise."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

BENCHES = Path(__file__).resolve().parents[2] / "benches"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", BENCHES / "python" / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where the class statements look for it
    spec.loader.exec_module(module)
    return module


compare = loaded()


def times(reference_s: float, **least_s: float) -> dict[str, dict[str, float]]:
    each = {compare.REFERENCE: reference_s, **least_s}
    return {name: {"least_s": time_s, "median_s": time_s, "tolerance": 0.3} for name, time_s in each.items()}


@pytest.mark.parametrize(
    ("now_s", "reference_s", "slower"),
    [(1.0, 1.0, False), (1.29, 1.0, False), (1.31, 1.0, True), (2.0, 2.0, False), (1.0, 0.5, True)],
    ids=["as before", "noise", "slower", "a slower machine", "a faster machine"],
)
def test_slower_is_what_takes_longer_than_noise_in_units_of_the_reference(
    now_s: float, reference_s: float, slower: bool
) -> None:
    (verdict,) = compare.compare(times(reference_s, pair=now_s), times(1.0, pair=1.0))
    assert verdict.slower is slower


def test_a_benchmark_that_the_baseline_does_not_have_is_not_judged() -> None:
    (verdict,) = compare.compare(times(1.0, new=9.0), times(1.0, pair=1.0))
    assert (verdict.ratio, verdict.slower) == (None, False)


@pytest.mark.parametrize("path", sorted((BENCHES / "baselines").glob("*.json")), ids=lambda path: path.stem)
def test_baselines_say_where_and_when_they_were_measured(path: Path) -> None:
    found = json.loads(path.read_text())
    assert compare.baseline_path(found["machine"]) == path
    assert {"cpu", "cores", "python", "commit", "date", "load_1m", "steal_share"} <= set(found["machine"])
    assert compare.REFERENCE in found["benchmarks"]
    assert all((BENCHES.parent / name.partition("::")[0]).is_file() for name in found["benchmarks"])
