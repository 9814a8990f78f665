"""How policies are told apart in a report: by their family's colour, and its members by the dash of their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import altair as alt

from pilotlight.comparison.families import available, short_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotlight.comparison.comparison import Standing

DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [1, 4])


@dataclass(frozen=True, slots=True)
class PolicyStyles:
    """What each shown policy is called and drawn like; all lists in the same order."""

    names: list[str]
    colours: list[str]
    dashes: list[list[int]]

    def colour(self) -> alt.Color:
        """Colour lines by policy."""
        return alt.Color(
            "policy:N",
            scale=alt.Scale(domain=self.names, range=self.colours),
            legend=alt.Legend(orient="bottom", symbolType="stroke", symbolSize=400, symbolStrokeWidth=2),
            title=None,
        )

    def dash(self) -> alt.StrokeDash:
        """Dash lines by policy; merges with the colour's legend."""
        return alt.StrokeDash("policy:N", scale=alt.Scale(domain=self.names, range=self.dashes), title=None)


def policy_styles(standings: Sequence[Standing]) -> PolicyStyles:
    """Give the policies names, colours and dashes."""
    known = available()
    met: dict[str, int] = {}
    dashes = []
    for standing in standings:
        place = met.get(standing.family, 0)
        met[standing.family] = place + 1
        dashes.append(list(DASHES[place % len(DASHES)]))
    names = [short_label(standing.result.policy) for standing in standings]
    return PolicyStyles(names, [known[standing.family].colour for standing in standings], dashes)
