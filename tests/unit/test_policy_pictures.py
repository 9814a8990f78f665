from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.report.policy_levels import Level, Met, meet, own_cost, shared_cost, wanted_by_level
from pilotlight.report.policy_pictures import levels_picture, windows_picture, write_picture

if TYPE_CHECKING:
    from pathlib import Path


def test_each_level_is_wanted_while_so_many_requests_are_there() -> None:
    arrival_s = np.array([0.0, 1.0, 5.0, 6.0])
    end_s = np.array([3.0, 2.0, 6.0, 7.0])
    first, second = wanted_by_level(arrival_s, end_s)
    assert first.tolist() == [[0.0, 3.0], [5.0, 7.0]]
    assert second.tolist() == [[1.0, 2.0], [6.0, 6.0]], "who comes as another leaves meets it"


def test_a_gap_costs_what_is_held_and_a_start_if_it_outlasts_the_window() -> None:
    none = np.empty((0, 2))
    short = Level(none, np.array([1.0, 1.0, 1.0]), kept_s=1.0, miss_gb_s=4.0)
    long = Level(none, np.array([100.0]), kept_s=0.0, miss_gb_s=4.0)
    met = Met([short, long], memory_gb=0.5)
    assert shared_cost(met, 0.0) == 16.0
    assert shared_cost(met, 1.0) == 1.5 + 0.5 + 4.0
    assert own_cost(met) == 1.5 + 4.0


def test_windows_of_its_own_cost_a_level_less_than_any_shared_one(tmp_path: Path) -> None:
    met = meet()
    keep_alives = np.geomspace(1e-3, 1e3, 50)
    assert own_cost(met) < 0.7 * min(shared_cost(met, float(keep_s)) for keep_s in keep_alives)
    for picture in (levels_picture(met), windows_picture(met)):
        write_picture(picture, tmp_path / "picture.svg")
        text = (tmp_path / "picture.svg").read_text(encoding="utf-8")
        assert text.startswith("<svg")
        assert len(text) < 150_000
