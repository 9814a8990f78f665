"""The contest's smoke set in its two readings: most results took their instance along, or hardly any did.

980 requests of 127 functions in 30 s. The scaler that recorded them destroyed the instance after 907; the contest's own
simulator logged 4 bad results. The recording has whole seconds: requests are spread evenly over theirs, and durations
scaled to the sum that the contest's statistics give.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pilotlight.simulation.runner import SimulationSettings, run_policies
from pilotlight.traces import Trace
from pilotlight.traces.readers.contest import read_metas
from pilotlight.traces.trace import NS_PER_S, STATUS_OK

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "contest"
EXECUTION_S = 383
OWN = "level_gap:lambda=contest"
FIXED = [f"fixed:keep_alive={window}s" for window in (1, 2, 5, 9, 30, 60, 300, 600)]
RIVALS = ["break_even", "break_even:lambda=contest", *FIXED]
READINGS = {"as recorded": 907, "as the simulator logged": 4}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")


def smoke_set(bad_results: int) -> Trace:
    """Rebuild the set, with the first so many of the recorded bad results."""
    with gzip.open(DATA / "smoke_trace.csv.gz", "rt") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["assign_offset_s"]))
    seconds = np.array([int(row["assign_offset_s"]) for row in rows])
    a_second, place = Counter(seconds.tolist()), np.arange(len(rows)) - np.searchsorted(seconds, seconds)
    arrival_s = seconds + place / np.array([a_second[second] for second in seconds.tolist()])
    # What was not over when the recording ended has neither end.
    begins = [int(row["init_done_offset_s"] or row["assign_offset_s"]) for row in rows]
    ran = np.array([int(row["idle_offset_s"] or begin) - begin for row, begin in zip(rows, begins, strict=True)])
    bad = np.array([row["need_destroy"] == "1" for row in rows])
    bad &= np.cumsum(bad) <= bad_results
    functions = read_metas(DATA / "smoke_metas.jsonl")
    index = {key: row for row, key in enumerate(functions.keys)}
    return Trace(
        arrival_ns=(arrival_s * NS_PER_S).astype(np.uint64),
        function=np.array([index[row["key"]] for row in rows], dtype=np.uint32),
        duration_ns=(ran * (EXECUTION_S / ran.sum()) * NS_PER_S).astype(np.uint64),
        status=np.where(bad, 500, STATUS_OK).astype(np.int32),
        functions=functions,
        origin_ms=0,
    )


@pytest.mark.parametrize("tail_s", [60, 300])
@pytest.mark.parametrize("bad_results", READINGS.values(), ids=READINGS.keys())
def test_our_own_policy_scores_above_break_even_and_every_fixed_window(bad_results: int, tail_s: int) -> None:
    trace = smoke_set(bad_results)
    assert (len(trace), trace.called, int(trace.bad.sum())) == (980, 127, bad_results)
    own, *rivals = run_policies(trace, [OWN, *RIVALS], SimulationSettings(tail_s=tail_s)).results
    for rival in rivals:
        assert own.contest.score > rival.contest.score, rival.policy


def test_where_most_results_are_bad_starts_made_ahead_take_waiting_off() -> None:
    own, rival = run_policies(smoke_set(907), [OWN, "break_even"], SimulationSettings(tail_s=60)).results
    assert own.contest.score > rival.contest.score + 0.1
    assert own.wait_s < 0.98 * rival.wait_s
    assert own.slot_gb_s < 1.05 * rival.slot_gb_s
