"""One page that holds all it shows: charts with their library, tables and facts, in one HTML file that opens offline.

A page is sections, a section is parts: `Figure`, `Grid`, `Table`, `Facts`. The template beside this module lays them
out for a laptop, a phone and paper, light and dark. It alone decides how things look; what is shown comes from callers.
The file loads nothing from anywhere, and its policy forbids it to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

import jinja2
import vl_convert
from markupsafe import Markup

from pilotlight import __version__
from pilotlight.report.theme import page_theme

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import altair as alt


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart.

    Attributes:
        spec: of Vega-Lite, without a title, as wide as its container.
        description: what it shows, for those who do not see it.
        caption: what is written above it; empty for none.
    """

    kind: ClassVar[str] = "figure"
    spec: dict[str, Any]
    description: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Small charts of one kind, side by side where there is room.

    Attributes:
        figures: the charts.
        key: the names of colours that all of them share, and the colours.
        wide: two side by side rather than three.
    """

    kind: ClassVar[str] = "grid"
    figures: Sequence[Figure]
    key: Sequence[tuple[str, str]] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; a number's stands right and sorts by value."""

    head: str
    number: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table.

    Attributes:
        text: what is shown.
        value: what it is sorted by; None sorts by the text.
        best: whether it is the best of its column, and stands out.
    """

    text: str
    value: float | None = None
    best: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, the first naming the row.

    Attributes:
        caption: what the table is; a fold's label if it folds.
        columns: one a cell.
        rows: each as long as `columns`.
        folds: whether it can be folded away.
        open: whether it is unfolded at first.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    folds: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms and what they are, in pairs; of those in `code` it is something to type."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]
    code: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A headed part of the page.

    Attributes:
        title: its heading.
        text: what is to be seen, and how to read it.
        parts: what follows.
    """

    title: str
    text: str
    parts: Sequence[Figure | Grid | Table | Facts]

    @property
    def anchor(self) -> str:
        """Name for links."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: of the page.
        facts: lines below the title.
        sections: in order.
    """

    title: str
    facts: Sequence[str]
    sections: Sequence[Section] = field(default_factory=tuple)


def chart_section(chart: alt.LayerChart, description: str) -> Section:
    """Make a section of one chart; the chart's title and subtitle become the section's."""
    spec = chart.to_dict()
    title = spec.pop("title")
    return Section(title["text"], " ".join(title["subtitle"]), [Figure(spec, description)])


def write_page(page: Page, path: Path) -> None:
    """Write the page with everything it needs.

    Raises:
        OSError: the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    figures = [
        figure
        for section in page.sections
        for part in section.parts
        for figure in (part.figures if isinstance(part, Grid) else [part] if isinstance(part, Figure) else [])
    ]
    text = environment.get_template("page.html").render(
        page=page,
        numbers={id(figure): number for number, figure in enumerate(figures)},
        identity=id,
        specs=[figure.spec | {"description": figure.description} for figure in figures],
        theme=page_theme(),
        library=_library() if figures else "",
        version=__version__,
    )
    path.write_text(text, encoding="utf-8")


def _template(name: str) -> str:
    return resources.files("pilotlight.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _library() -> Markup:
    """Bundle the drawing library, which then stands as `vegaEmbed`, so that it can be part of a page."""
    bundle: str = vl_convert.javascript_bundle(None)  # type: ignore[arg-type] # its stub misses that this is the default
    return Markup(bundle.replace("</script", "<\\/script"))  # noqa: S704 - the library's own text
