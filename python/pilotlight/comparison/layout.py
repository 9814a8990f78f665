"""Where things go in a chart: logarithmic axes with a place for zero, and labels that keep clear of each other.

Plain arithmetic, so that it can be tested without drawing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STEPS = (1, 2, 5)
MOST_DECADES = 3
"""Axes that span more decades have ticks at powers of ten only."""

MARGIN = 1.35
ZERO_GAP = 2.0
"""How far the place for zero lies below the least value, as a factor."""

CHARACTER_PX = 6.2
"""Mean width of a character of 11 px, a little generous."""

LINE_PX = 13.0
NEAR_PX = 9.0


@dataclass(frozen=True, slots=True)
class LogAxis:
    """A logarithmic axis.

    Attributes:
        low: value at its start.
        high: value at its end.
        zero: the value at whose place zero is drawn, apart from the others; None if nothing is zero.
        ticks: where it is labelled, that place included.
    """

    low: float
    high: float
    zero: float | None
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Iterable[float]) -> LogAxis:
        """Make an axis on which all values (0 or more) have a place."""
        known = list(values)
        positive = [value for value in known if value > 0] or [1.0]
        low, high = min(positive) / MARGIN, max(positive) * MARGIN
        steps = STEPS if math.log10(high / low) <= MOST_DECADES else STEPS[:1]
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(known) == len([value for value in known if value > 0]):
            return cls(low, high, None, tuple(ticks))
        zero = low / ZERO_GAP
        return cls(zero / MARGIN, high, zero, (zero, *ticks))

    def place(self, value: float) -> float:
        """Say where a value is drawn: at itself, or at the place for zero."""
        return self.zero if self.zero is not None and value <= 0 else value

    def share(self, value: float) -> float:
        """Say how far along the axis a value is drawn, 0 to 1."""
        return math.log(self.place(value) / self.low) / math.log(self.high / self.low)


class Label(NamedTuple):
    """A label beside a spot.

    Attributes:
        dx: from the spot to the label's anchor, in pixels to the right.
        dy: likewise, downwards.
        align: which part of the text the anchor is.
    """

    dx: float
    dy: float
    align: str


SPOTS = tuple(
    Label(side * reach, rise * LINE_PX * lines, align)
    for reach, lines in ((NEAR_PX, 1.0), (NEAR_PX, 2.0))
    for side, rise, align in (
        (1, 0, "left"),
        (-1, 0, "right"),
        (0, -1, "center"),
        (0, 1, "center"),
        (1, -1, "left"),
        (-1, -1, "right"),
        (1, 1, "left"),
        (-1, 1, "right"),
    )
)
"""Where a label may stand, the best first."""


def place_labels(
    spots: Sequence[tuple[float, float]],
    texts: Sequence[str],
    marks: Sequence[tuple[float, float]],
    size: tuple[float, float],
) -> list[Label]:
    """Put each text beside its spot where it covers least; the first texts choose first.

    Args:
        spots: in pixels from the upper left, one a text.
        texts: what is written.
        marks: points that are better left uncovered.
        size: width and height of the plot; labels stay inside it.
    """
    boxes: list[tuple[float, float, float, float]] = []
    placed: list[Label] = []
    for (x, y), text in zip(spots, texts, strict=True):
        options = [(label, _box(x, y, label, text)) for label in SPOTS]
        label, box = min(options, key=lambda option: _covered(option[1], boxes, marks, size))
        boxes.append(box)
        placed.append(label)
    return placed


def _box(x: float, y: float, label: Label, text: str) -> tuple[float, float, float, float]:
    """Lay out left, top, right, bottom."""
    width = len(text) * CHARACTER_PX
    left = x + label.dx - {"left": 0.0, "center": width / 2, "right": width}[label.align]
    return left, y + label.dy - LINE_PX / 2, left + width, y + label.dy + LINE_PX / 2


def _covered(
    box: tuple[float, float, float, float],
    boxes: Sequence[tuple[float, float, float, float]],
    marks: Sequence[tuple[float, float]],
    size: tuple[float, float],
) -> float:
    """Weigh what a box covers: leaving the plot is worst, other labels next, marks last."""
    left, top, right, bottom = box
    outside = max(0.0, -left) + max(0.0, right - size[0]) + max(0.0, -top) + max(0.0, bottom - size[1])
    on_labels = sum(
        max(0.0, min(right, other[2]) - max(left, other[0])) * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in boxes
    )
    on_marks = sum(left - 3 < x < right + 3 and top - 2 < y < bottom + 2 for x, y in marks)
    return 100 * outside + 5 * on_labels + 20 * on_marks
