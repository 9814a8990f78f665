"""Why a policy treated one function as it did: which one is meant, what was noted, what was counted.

`find_function` turns what the user wrote into a row of the function table, `Explanation` is what the engine noted for
that row, `function_counts` what its ledger says. Called by `runner`, the command line and `output`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pilotlight.errors import ConfigError
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotlight.simulation.runner import PolicyResult

CLOSEST = 3
"""How many keys an error names."""

COUNTERS = (
    "assigns",
    "warm_starts",
    "cold_starts",
    "handoffs",
    "failed",
    "held_back",
    "starts",
    "starts_ahead",
    "starts_failed",
    "starts_cancelled",
    "slots_reused",
    "retired",
    "evicted",
)
"""What is counted of the function; docs/ledger.md says what each means."""

WAITS = ("cold_start_wait_s", "handoff_wait_s", "failed_wait_s")
"""Seconds its requests waited, by how the wait ended."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the engine noted for one function.

    Attributes:
        row: the function's row in the table.
        key: its key.
        decisions: moment in ns after the trace's first request, and what was done for what reason; in order.
        left_out: decisions after those, which were only counted.
        accounts: moment in ns, and the policy's own account, in lines, of why it decides as it does; the last one is of
            the end of the run.
    """

    row: int
    key: str
    decisions: list[tuple[int, str]]
    left_out: int
    accounts: list[tuple[int, list[str]]]


def find_function(keys: Sequence[str], wanted: str) -> int:
    """Find the function that is called `wanted`, or the only one whose key begins so.

    Args:
        keys: of the function table.
        wanted: a key, or the beginning of one.

    Returns:
        Its row.

    Raises:
        ConfigError: there is none, or more than one; the text names the closest keys.
    """
    rows = [row for row, key in enumerate(keys) if key.startswith(wanted)]
    exact = [row for row in rows if keys[row] == wanted]
    if exact or len(rows) == 1:
        return (exact or rows)[0]
    if rows:
        some = ", ".join(sorted(keys[row] for row in rows)[:CLOSEST])
        problem = f"{len(rows)} functions begin so, {some} among them; write more of the key"
    else:
        near = heapq.nsmallest(CLOSEST, keys, key=lambda key: (-_in_common(key, wanted), len(key), key))
        problem = f"none of the {len(keys)} functions begins so; the closest: {', '.join(near)}"
    raise ConfigError(f"--explain {wanted!r}: {problem}")


def _in_common(key: str, wanted: str) -> int:
    """Count the characters until the two differ; edit distances would take seconds over the keys of a large trace."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(key, wanted, strict=False)))


def function_counts(result: PolicyResult, row: int) -> dict[str, int | float]:
    """Read the counters and waits of one function out of a result's columns."""
    columns = result.functions
    return {name: columns[name][row].item() for name in (*COUNTERS, *WAITS)}


def explanation_fields(result: PolicyResult, explanation: Explanation) -> dict[str, Any]:
    """Lay an explanation out as the JSON document shows it; moments in seconds."""
    return {
        "function": explanation.key,
        "counts": function_counts(result, explanation.row),
        "accounts": [{"at_s": at_ns / NS_PER_S, "lines": lines} for at_ns, lines in explanation.accounts],
        "decisions": [{"at_s": at_ns / NS_PER_S, "what": what} for at_ns, what in explanation.decisions],
        "decisions_left_out": explanation.left_out,
    }
