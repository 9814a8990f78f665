"""Starts as published of AWS Lambda, by runtime: the sandbox and the runtime of an empty function.

`RUNTIME_MS` are quantiles of the Init durations that Lambda reported for hello-world functions on x86-64 with 128 to
1,024 MB (10 starts each), measured by M. David's daily benchmark, github.com/maxday/lambda-perf, on 4 January 2025.
Memory made no difference there. `SANDBOX_S` is the time in which Firecracker starts a guest's user space (A. Agache et
al., "Firecracker: Lightweight Virtualization for Serverless Applications", NSDI 2020: at most 125 ms). A function's own
code and dependencies come on top: what `own` says, the same for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.starts.table import StartTable, law_levels, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import FunctionTable

STAGES = ("sandbox", "runtime", "init")
SANDBOX_S = 0.125

LEVELS = (0.0, 0.05, 0.25, 0.50, 0.75, 0.95, 1.0)
RUNTIME_MS = {
    "python": (76.0, 83.3, 88.1, 91.9, 97.1, 106.9, 110.6),
    "node": (118.5, 133.2, 138.5, 144.5, 153.8, 179.2, 193.9),
    "java": (235.4, 237.6, 249.2, 255.9, 267.2, 285.0, 296.3),
    "dotnet": (212.0, 228.3, 241.2, 249.1, 258.9, 282.8, 516.3),
    "ruby": (171.6, 208.8, 236.1, 250.5, 264.8, 285.8, 301.0),
    "go": (40.5, 44.8, 46.7, 47.6, 48.7, 53.9, 70.9),
    "rust": (12.2, 12.5, 13.8, 14.6, 15.4, 17.4, 19.4),
}
"""Milliseconds at `LEVELS` by what the runtime's name begins with: python3.12, nodejs20.x, java21, dotnet8, ruby3.3,
and go and rust on provided.al2023."""

OTHER = "node"
"""Whose starts other runtimes have: the median of those that are interpreted."""


def aws(functions: FunctionTable, create_ns: NDArray[np.uint64], seed: int, *, own_s: float) -> StartTable:
    """Make the table."""
    del create_ns, seed
    names = list(RUNTIME_MS)
    laws = []
    for values_ms in RUNTIME_MS.values():
        runtime_s = quantile(LEVELS, values_ms, law_levels()) / 1000
        laws.append(np.stack([np.full_like(runtime_s, SANDBOX_S), runtime_s, np.full_like(runtime_s, own_s)], axis=1))
    law = [next((name for name in names if runtime.lower().startswith(name)), OTHER) for runtime in functions.runtimes]
    return StartTable.shared(STAGES, 1, laws, np.array([names.index(name) for name in law], dtype=np.int64))
