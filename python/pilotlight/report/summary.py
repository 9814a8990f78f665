"""The report's tables: every policy's figures, and the functions that cost each of them most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.comparison.functions import function_costs
from pilotlight.report.page import Cell, Column, Section, Table
from pilotlight.simulation.runner import CLAIRVOYANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotlight.comparison.comparison import Comparison, Standing
    from pilotlight.comparison.functions import FunctionCosts

MB_PER_GB = 1024
MS_PER_S = 1000
DEAREST = 20
"""How many functions a policy's table has."""

SUMMARY_COLUMNS = (
    Column("policy", number=False),
    Column("score\nof 100"),
    Column("resource\nof 50"),
    Column("cold\nof 50"),
    Column("wasted\nGB·s"),
    Column("waited\ns"),
    Column("p99 wait\nms"),
    Column("cold starts\n%"),
    Column("peak\nGB"),
    Column("dominated by", number=False),
)
HIGHER_IS_BETTER = (1, 2, 3)
LOWER_IS_BETTER = (4, 5, 6, 7, 8)

DEAREST_COLUMNS = (
    Column("function", number=False),
    Column("memory\nMB"),
    Column("cold start\nms"),
    Column("requests"),
    Column("cold\nstarts"),
    Column("waited\ns"),
    Column("wasted\nGB·s"),
    Column("cost\nGB·s"),
    Column("share\n%"),
    Column("running\nsum %"),
)


def summary_section(comparison: Comparison) -> Section:
    """Set every policy's figures side by side, the best of each column marked, and the bound last."""
    rows = [_summary_row(standing) for standing in comparison.standings]
    for column in (*HIGHER_IS_BETTER, *LOWER_IS_BETTER):
        values = [row[column].value or 0.0 for row in rows]
        best = max(values) if column in HIGHER_IS_BETTER else min(values)
        for row in rows:
            if row[column].value == best and len(rows) > 1:
                row[column] = Cell(row[column].text, row[column].value, best=True)
    bound = comparison.simulation.bound
    waste = comparison.bound.waste_gb_s
    rows.append(
        [
            Cell(CLAIRVOYANT),
            _number(bound.score, "{:.2f}"),
            _number(bound.resource, "{:.2f}"),
            _number(bound.cold, "{:.2f}"),
            _number(waste, "{:,.0f}"),
            _number(0.0, "{:.0f}"),
            _number(0.0, "{:.0f}"),
            _number(0.0, "{:.2f}"),
            Cell("-", 0.0),
            Cell("the bound: it knows the future"),
        ]
    )
    text = (
        "Half of the score is memory well used (resource), half requests that did not wait (cold). Wasted: slots that "
        "execute nothing. Dominated: the named policy neither wastes nor waits more, and less of one."
    )
    return Section("Results", text, [Table("Results by policy", SUMMARY_COLUMNS, rows)])


def functions_section(comparison: Comparison, shown: Sequence[Standing]) -> Section:
    """List the functions that cost each policy most."""
    costs = function_costs(comparison, shown)
    simulation = comparison.simulation
    keys = simulation.trace.functions.keys
    cold_start_ms = dict(zip(keys, np.asarray(simulation.starts.mean_ms).tolist(), strict=True))
    cold_starts = [dict(zip(keys, one.result.functions["cold_starts"].tolist(), strict=True)) for one in shown]
    tables = [
        _dearest_table(costs, row, cold_start_ms, cold_starts[row], is_open=row == 0) for row in range(len(shown))
    ]
    text = (
        f"Of each policy the {min(DEAREST, len(costs.keys))} of {len(costs.keys):,} functions that cost most: "
        f"GB·s wasted plus {comparison.lambda_:g} for each second waited. Press a column's head to sort by it."
    )
    return Section("Worst functions", text, tables)


def _summary_row(standing: Standing) -> list[Cell]:
    result = standing.result
    return [
        Cell(result.policy),
        _number(result.contest.score, "{:.2f}"),
        _number(result.contest.resource, "{:.2f}"),
        _number(result.contest.cold, "{:.2f}"),
        _number(standing.point.waste_gb_s, "{:,.0f}"),
        _number(standing.point.wait_s, "{:,.0f}"),
        _number(result.wait_ms["p99"], "{:,.0f}"),
        _number(100 * standing.cold_share, "{:.2f}"),
        _number(result.peak_memory_mb / MB_PER_GB, "{:,.1f}"),
        Cell(standing.dominated_by or "on the frontier"),
    ]


def _dearest_table(
    costs: FunctionCosts, row: int, cold_start_ms: dict[str, float], cold_starts: dict[str, int], *, is_open: bool
) -> Table:
    total = float(costs.cost[row].sum())
    order = np.argsort(-costs.cost[row], kind="stable")[:DEAREST]
    running = 0.0
    rows = []
    for place in order.tolist():
        key, cost = costs.keys[place], float(costs.cost[row, place])
        running += cost
        rows.append(
            [
                Cell(key),
                _number(int(costs.memory_mb[place]), "{:,}"),
                _number(cold_start_ms[key], "{:,.0f}"),
                _number(int(costs.requests[place]), "{:,}"),
                _number(cold_starts[key], "{:,}"),
                _number(float(costs.wait_s[row, place]), "{:,.1f}"),
                _number(float(costs.waste_gb_s[row, place]), "{:,.1f}"),
                _number(cost, "{:,.1f}"),
                _number(100 * cost / total if total else 0.0, "{:.1f}"),
                _number(100 * running / total if total else 0.0, "{:.1f}"),
            ]
        )
    return Table(f"{costs.policies[row]}: {total:,.0f} GB·s in all", DEAREST_COLUMNS, rows, folds=True, open=is_open)


def _number(value: float, form: str) -> Cell:
    return Cell(form.format(value), float(value))
