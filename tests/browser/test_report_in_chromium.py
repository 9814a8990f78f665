"""The report in a real browser: every chart is drawn, nothing is asked for, nothing sticks out, light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from pilotlight.comparison.command import compare
from pilotlight.simulation.command import simulate
from pilotlight.traces import SynthSettings, synthesize, write_contest

if TYPE_CHECKING:
    from pathlib import Path

    import click
    from conftest import Tab

Screen = tuple[tuple[int, int], str]

LAPTOP, PHONE = (1280, 800), (390, 844)
THEMES = {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 20, 25)"}
MARKS = """
[...document.querySelectorAll('.chart')]
  .map((chart) => chart.querySelectorAll('svg :is(.mark-area, .mark-line, .mark-rect, .mark-symbol) path').length)
"""
STICKING_OUT = """
[...document.querySelectorAll('h1, h2, p, dd, figcaption, .chart svg, summary')]
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => element.outerHTML.slice(0, 80))
"""
# WCAG's contrast of texts with the page behind them.
FAINT = """
(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = channels(colour).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour) => (Math.max(light(colour), page) + 0.05) / (Math.min(light(colour), page) + 0.05);
  const words = [...document.querySelectorAll('h1, h2, p, a, dt, dd, th, td, li, summary, figcaption')];
  const labels = ".chart svg :is(.role-axis-label, .role-axis-title, .role-legend-label) text";
  const found = words.map((one) => [one.textContent, getComputedStyle(one).color]);
  for (const one of document.querySelectorAll(labels)) found.push([one.textContent, getComputedStyle(one).fill]);
  return found.filter(([, colour]) => contrast(colour) < 4.5);
})()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = synthesize(SynthSettings(functions=40, requests=600, length_s=60, bad_share=0.05))
    return write_contest(made, tmp_path_factory.mktemp("trace") / "set").requests.parent


def page(command: click.Command, folder: Path, option: str) -> Path:
    path = folder.parent / f"{command.name}{option}.html"
    result = CliRunner().invoke(command, [str(folder), option, str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def report(folder: Path) -> Path:
    return page(simulate, folder, "--report")


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Path:
    return page(compare, folder, "--report")


@pytest.fixture(scope="module")
def plot(folder: Path) -> Path:
    return page(compare, folder, "--plot")


@pytest.mark.parametrize(
    ("page_of", "figures", "screens"),
    [
        ("report", 22, [(LAPTOP, "light"), (PHONE, "dark")]),
        ("comparison", 25, [(LAPTOP, "dark"), (PHONE, "light")]),
        ("plot", 3, [(LAPTOP, "light"), (PHONE, "dark")]),
    ],
    ids=["report", "comparison", "plot"],
)
async def test_every_chart_is_drawn_at_every_size_in_every_theme(
    tab: Tab, request: pytest.FixtureRequest, page_of: str, figures: int, screens: list[Screen]
) -> None:
    made: Path = request.getfixturevalue(page_of)
    for (width, height), theme in screens:
        await tab.open(made, width=width, height=height, theme=theme)
        marks = await tab.evaluate(MARKS)
        assert len(marks) == figures
        assert min(marks) > 0, "a chart without a mark"
        assert await tab.evaluate("document.documentElement.scrollWidth") == width
        assert await tab.evaluate(STICKING_OUT) == []
        assert await tab.evaluate(FAINT) == []
        assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == THEMES[theme]
        assert tab.problems == []


async def test_the_charts_follow_a_page_that_changes_its_width(tab: Tab, report: Path) -> None:
    await tab.open(report, width=LAPTOP[0], height=LAPTOP[1], theme="light")
    await tab.call(
        "Emulation.setDeviceMetricsOverride", width=PHONE[0], height=PHONE[1], deviceScaleFactor=1, mobile=False
    )
    await tab.until("document.querySelector('.chart svg').getBoundingClientRect().width < 390")
    await tab.until("'drawn' in document.documentElement.dataset")
    assert tab.problems == []


async def test_tables_sort_by_the_head_that_is_pressed(tab: Tab, report: Path) -> None:
    await tab.open(report, width=LAPTOP[0], height=LAPTOP[1], theme="light")
    press = "document.querySelectorAll('details[open] thead button')[3].click()"
    cells = "[...document.querySelectorAll('details[open] tbody tr')].map((row) => Number(row.cells[3].dataset.value))"
    await tab.evaluate(press)
    falling = await tab.evaluate(cells)
    await tab.evaluate(press)
    assert falling == sorted(falling, reverse=True)
    assert await tab.evaluate(cells) == sorted(falling)
    assert len(set(falling)) > 1


async def test_paper_is_light_has_every_table_unfolded_and_no_chart_beyond_its_edge(tab: Tab, report: Path) -> None:
    await tab.open(report, width=794, height=1123, theme="dark", media="print")
    assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == THEMES["light"]
    await tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert await tab.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert await tab.evaluate(STICKING_OUT) == []
    assert await tab.evaluate(FAINT) == []
