"""Starts as the trace has them: CreateSlot and Init of each function, always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.starts.table import StartTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import FunctionTable


def contest(functions: FunctionTable, create_ns: NDArray[np.uint64], seed: int) -> StartTable:
    """Make the table."""
    del seed
    columns = stage_columns(functions, create_ns)
    return StartTable.constant(tuple(columns), 1, np.stack(list(columns.values()), axis=1))


def stage_columns(functions: FunctionTable, create_ns: NDArray[np.uint64]) -> dict[str, NDArray[np.uint64]]:
    """Name the stages that the trace knows: `create`, and what Init is made of, or `init` if it does not say."""
    return {"create": create_ns, **(functions.stages or {"init": functions.init_ns})}
