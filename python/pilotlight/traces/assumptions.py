"""Fills what a data set does not say of its functions: memory, start, time limit, by one stated rule for all formats.

| what      | rule                                                                                               |
|-----------|----------------------------------------------------------------------------------------------------|
| memory    | the reader's, or `--memory`; of functions `FUNCTION_MB`, of served models `MODEL_MB`               |
| start     | of functions drawn once each, see `start_costs`, less the default create time, at least 1 ms; of   |
|           | served models their memory at `LOAD_MB_PER_S`                                                      |
| time limit| 600 s, or the longest execution if that is more                                                    |

`FUNCTION_MB` is what half of the applications allocate at most in M. Shahrad et al., "Serverless in the Wild", USENIX
ATC 2020 (section 3.4). `MODEL_MB` is 70 billion parameters of two bytes, `LOAD_MB_PER_S` a link of 40 Gb/s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.traces.start_costs import CREATE_MS, draw_cold_starts
from pilotlight.traces.trace import NS_PER_MS, NS_PER_S, FunctionTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FUNCTION_MB = 170
MODEL_MB = 140_000
LOAD_MB_PER_S = 5_000
TIMEOUT_S = 600


def draw_init_ns(memory_mb: NDArray[np.uint64], rng: np.random.Generator) -> NDArray[np.uint64]:
    """Draw how long each function's Init takes, shape (f,)."""
    init_ms = np.maximum(draw_cold_starts(memory_mb, rng) * 1000 - CREATE_MS, 1)
    init_ns: NDArray[np.uint64] = np.rint(init_ms * NS_PER_MS).astype(np.uint64)
    return init_ns


def timeouts_s(longest_ns: NDArray[np.uint64] | NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return each function's limit on one execution, its longest execution given."""
    return np.clip(np.ceil(longest_ns / NS_PER_S), TIMEOUT_S, 2**32 - 1).astype(np.uint32)


def plain_functions(
    keys: Sequence[str],
    longest_ns: NDArray[np.uint64],
    *,
    seed: int,
    memory_mb: int | None = None,
    memories_mb: NDArray[np.uint64] | None = None,
    runtimes: Sequence[str] | None = None,
    apps: Sequence[str] | None = None,
    triggers: Sequence[str] | None = None,
) -> FunctionTable:
    """Make the table of a trace that says little more of its functions than their names.

    Args:
        keys: their names.
        longest_ns: shape (f,), each one's longest execution.
        seed: of the draws of their starts.
        memory_mb: what the user says all have, if anything.
        memories_mb: shape (f,), what the data set says they have; 0 where it does not.
        runtimes: what it says they are written in.
        apps: what it says they are part of.
        triggers: what it says calls them.
    """
    usual = np.uint64(FUNCTION_MB if memory_mb is None else memory_mb)
    memory = np.full(len(keys), usual) if memories_mb is None else np.where(memories_mb > 0, memories_mb, usual)
    return FunctionTable(
        keys=tuple(keys),
        runtimes=("",) * len(keys) if runtimes is None else tuple(runtimes),
        timeout_s=timeouts_s(longest_ns),
        memory_mb=memory,
        init_ns=draw_init_ns(memory, np.random.Generator(np.random.PCG64(seed))),
        apps=None if apps is None else tuple(apps),
        triggers=None if triggers is None else tuple(triggers),
    )


def model_functions(
    keys: Sequence[str], longest_ns: NDArray[np.uint64], *, memory_mb: int | None = None
) -> FunctionTable:
    """Make the table of a trace of served models, whose start is the loading of their weights."""
    memory = np.full(len(keys), MODEL_MB if memory_mb is None else memory_mb, dtype=np.uint64)
    init_ns = np.rint(memory / LOAD_MB_PER_S * NS_PER_S).astype(np.uint64)
    return FunctionTable(
        keys=tuple(keys),
        runtimes=("",) * len(keys),
        timeout_s=timeouts_s(longest_ns),
        memory_mb=memory,
        init_ns=init_ns,
        stages={"load": init_ns},
    )
