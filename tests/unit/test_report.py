"""The report's page: what is in it, that it stands alone, and that nothing in a trace can break it."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotlight import cli
from pilotlight.report.page import Cell, Column, Facts, Figure, Grid, Page, Section, Table, write_page
from pilotlight.simulation.runner import run_policies
from pilotlight.traces import SynthSettings, synthesize, write_contest

if TYPE_CHECKING:
    from pathlib import Path

    from pilotlight.traces import Trace

SECTIONS = [
    "Results",
    "Wasted memory against waiting",
    "Where the score comes from",
    "How long requests waited",
    "Load and waiting over time",
    "Memory over time",
    "Instances over time",
    "Why requests waited, and for what",
    "Who wins which function",
    "Worst functions",
    "Configuration",
    "Trace",
]
SEVERAL_MB = 3_000_000


@pytest.fixture(scope="module")
def trace() -> Trace:
    return synthesize(SynthSettings(functions=40, requests=600, length_s=60, bad_share=0.05))


class Tags(HTMLParser):
    """Names what a browser would see as tags and attributes; what scripts say is text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def seen(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_report_holds_every_section_and_asks_for_nothing(trace: Trace, tmp_path: Path) -> None:
    folder = write_contest(trace, tmp_path / "set").requests.parent
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", str(folder), "--seed", "7", "--report", str(tmp_path / "out.html")])
    assert ended.value.code == 0
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert [html.unescape(title) for title in re.findall(r"<h2 id=[^>]+>(.*?)</h2>", page)] == SECTIONS
    tags = seen(page)
    assert not {"link", "iframe", "img"} & set(tags.names)
    assert all(name != "src" and (name != "href" or (value or "").startswith("#")) for name, value in tags.attributes)
    assert "default-src 'none'" in page
    assert len(page) < SEVERAL_MB
    assert f"pilotlight simulate {folder} --seed 7 --report {tmp_path / 'out.html'}" in page


def test_what_a_trace_says_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    evil = "</script><b onclick=x>&amp;"
    spec = {"mark": "point", "data": {"values": [{"key": evil}]}}
    parts = [Figure(spec, evil, evil), Grid([Figure(spec, evil)], [(evil, "#fff")]), Facts([(evil, evil)])]
    table = Table(evil, [Column(evil)], [[Cell(evil)]])
    write_page(Page(evil, [evil], [Section(evil, evil, [*parts, table])]), tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    tags = seen(page)
    assert "b" not in tags.names
    assert tags.names.count("script") == 5
    (specs,) = re.findall(r'id="specs">(.*?)</script>', page)
    assert [each["data"] for each in json.loads(specs)] == [spec["data"], spec["data"]]


def test_a_page_without_charts_carries_no_library(tmp_path: Path) -> None:
    write_page(Page("plain", ["fact"], [Section("Section", "", [Facts([("a", "b")])])]), tmp_path / "out.html")
    assert (tmp_path / "out.html").stat().st_size < 20_000


def test_the_series_adds_up_to_the_ledger(trace: Trace) -> None:
    (result,) = run_policies(trace, ["break_even"], spans=50).results
    series = result.series
    assert len(series["end_ns"]) == 50
    spans_s = np.diff(series["end_ns"].astype(np.int64), prepend=0) / 1e9
    for state in ("starting", "idle", "busy"):
        assert float((series[f"{state}_gb"] * spans_s).sum()) == pytest.approx(result.ledger["gb_s"][state])
    assert series["assigns"].sum() == len(trace)
    assert series["cold_starts"].sum() == result.ledger["cold_starts"]
    assert sum(result.shortages.values()) == result.ledger["queued"]
    assert result.shortages["first_request"] == trace.called
    assert result.waits["longer"].max() <= len(trace)


def test_no_series_is_kept_unless_asked_for(trace: Trace) -> None:
    (result,) = run_policies(trace, ["fixed"]).results
    assert result.series == {}
    assert result.shortages == {}
