"""The models of starts by name, and the specification that chooses one: `huawei:region=R2`, `model:bytes=16GB`.

A new model is a function that makes a `StartTable` and a row in `MODELS`; the commands, their error texts and the list
of models in the documentation's test are made from the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pilotlight.errors import ConfigError
from pilotlight.starts.aws import aws
from pilotlight.starts.contest import contest
from pilotlight.starts.huawei import huawei
from pilotlight.starts.loading import model
from pilotlight.starts.measured import measured
from pilotlight.traces.parameters import SIZE_UNITS, Parameter, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from pilotlight.starts.table import StartTable
    from pilotlight.traces.trace import FunctionTable


class StartModel(NamedTuple):
    """A model of starts.

    Attributes:
        summary: one phrase.
        make: makes the table of a function table's starts, its create times, a seed and the parameters given.
        source: where its figures were published, or what they are; as reports say it.
        parameters: what a specification may set.
    """

    summary: str
    make: Callable[..., StartTable]
    source: str
    parameters: tuple[Parameter, ...] = ()


_EUROSYS = "A. Joosen et al., Serverless Cold Starts and Where to Find Them, EuroSys 2025, figures 10a, 13 and 15"
_LAMBDA = "github.com/maxday/lambda-perf, 4 January 2025 (x86-64); A. Agache et al., Firecracker, NSDI 2020"
DEFAULT = "contest"
MODELS = {
    DEFAULT: StartModel("create and init as the trace has them", contest, "the trace and --create-ms"),
    "huawei": StartModel(
        "Huawei Cloud, by runtime in region 2, by pod size elsewhere",
        huawei,
        _EUROSYS,
        (
            Parameter("region", "R2", 0, 0, "R1 to R5", "text"),
            Parameter("spread", "start", 0, 0, "what differs: every start, or function from function", "text"),
        ),
    ),
    "aws": StartModel(
        "AWS Lambda, by runtime",
        aws,
        _LAMBDA,
        (Parameter("own", 0, 0, 3600, "what the function's own code and dependencies take on top", "time"),),
    ),
    "model": StartModel(
        "as the trace has them, and then a model is loaded",
        model,
        "bytes over bandwidth",
        (
            Parameter("bytes", 16 * SIZE_UNITS["GB"], 0, 1024 * SIZE_UNITS["TB"], "size of the weights", "size"),
            Parameter(
                "bandwidth", 2 * SIZE_UNITS["GB"], SIZE_UNITS["KB"], SIZE_UNITS["TB"], "at which they come", "rate"
            ),
            Parameter("sizes", "", 0, 0, "CSV file of key and bytes, where functions differ", "text"),
        ),
    ),
    "measured": StartModel(
        "as observed: each start is a row of a file",
        measured,
        "the file",
        (
            Parameter("file", "", 0, 0, "CSV or Parquet file of observed starts", "text"),
            Parameter("least", 20, 1, 1e9, "starts that a function or runtime needs to have a law of its own", "count"),
        ),
    ),
}
"""The models by name."""


def model_named(spec: str) -> tuple[StartModel, dict[str, float | str]]:
    """Find the model of a specification, and the values of its parameters.

    Raises:
        ConfigError: there is none, or a setting is wrong; the text names it and what is allowed.
    """
    name, colon, settings = spec.partition(":")
    if name not in MODELS:
        raise ConfigError(f"start model {name!r} is not known; choose one of {', '.join(MODELS)}")
    found = MODELS[name]
    return found, read_settings(name, settings if colon else None, found.parameters, ConfigError)


def start_table(spec: str, functions: FunctionTable, create_ns: NDArray[np.uint64], seed: int = 1) -> StartTable:
    """Make the table of starts that a specification names.

    Args:
        spec: a name in `MODELS`, with parameters if need be: ``"huawei:region=R1"``.
        functions: whose starts.
        create_ns: shape (f,), what CreateSlot takes by the trace or the platform's settings; some models ignore it.
        seed: of what is drawn once for each function. What differs from start to start, the simulator draws.

    Raises:
        ConfigError: the specification is wrong, or a file that it names.
    """
    found, values = model_named(spec)
    return found.make(functions, create_ns, seed, **values)
