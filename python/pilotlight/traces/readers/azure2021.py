"""Reads the Azure Functions invocation trace of 2021: one row a call, with its end and its duration.

The layout is that of the data set's page (Microsoft, CC-BY 4.0; Y. Zhang et al., "Faster and Cheaper Serverless
Computing on Harvested Resources", SOSP 2021):
https://github.com/Azure/AzurePublicDataset/blob/master/AzureFunctionsInvocationTrace2021.md

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | `app/func`: a func is unique only within its app                                                    |
| arrival  | `end_timestamp` less `duration`, on the data set's own clock; rows are put in order of arrival      |
| the rest | see `assumptions`; status 200                                                                       |
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pilotlight.traces.assumptions import plain_functions
from pilotlight.traces.columns import Real
from pilotlight.traces.csv_table import scan_table
from pilotlight.traces.fields import Text
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import FunctionTable, Trace

HEADER = ("app", "func", "end_timestamp", "duration")
MAX_S = 10**9

FIELDS = (
    Text("app", may_be_empty=False, meaning="the application's name"),
    Text("func", may_be_empty=False, meaning="the function's name"),
    Real("end_timestamp", 0, MAX_S, "seconds"),
    Real("duration", 0, MAX_S, "seconds"),
)


def read_azure2021(path: Path, options: ReadOptions, notes: list[str]) -> Trace:
    """Read the file; the module's table says by which rules.

    Raises:
        TraceError: the file is malformed; the text names file, line, field and remedy.
    """
    found = Gathering(path)
    for rows in scan_table(path, FIELDS, notes):
        table = rows.table
        duration_ns = _ns(table["duration"].to_numpy())
        arrival_ns = _ns(table["end_timestamp"].to_numpy()) - duration_ns
        found.add(table["app"] + "/" + table["func"], arrival_ns, duration_ns.view(np.uint64))
    return found.trace(partial(_functions, options=options))


def _functions(keys: list[str], longest_ns: NDArray[np.uint64], options: ReadOptions) -> FunctionTable:
    apps = [key.partition("/")[0] for key in keys]
    return plain_functions(keys, longest_ns, seed=options.seed, memory_mb=options.memory_mb, apps=apps)


def _ns(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(seconds * NS_PER_S).astype(np.int64)
