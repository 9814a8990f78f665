"""Reads Mooncake's traces of language model requests: JSON lines with a time, the tokens and the blocks of the prompt.

The layout is that of the published files (R. Qin et al., "Mooncake: Trading More Storage for Less Computation", FAST
2025): https://github.com/kvcache-ai/Mooncake/tree/main/FAST25-release/traces

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | one, named as the file                                                                              |
| arrival  | `timestamp`, milliseconds from the trace's start                                                    |
| duration | from `input_length` and `output_length`: see `tokens`; `hash_ids`, the blocks that requests share,  |
|          | are not used: a cache of prompts would be the server's                                              |
| the rest | see `assumptions`, of a served model; status 200                                                    |
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pilotlight.traces.assumptions import model_functions
from pilotlight.traces.fields import Whole, read_objects
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.lines import read_blocks
from pilotlight.traces.tokens import token_durations_ns, tokens_field
from pilotlight.traces.trace import MAX_SPAN_MS, NS_PER_MS
from pilotlight.traces.usual import NUMBER, usual_columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.lines import Block
    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import Trace

INPUT = "input_length"
FIELDS = (
    Whole("timestamp", 0, MAX_SPAN_MS, "milliseconds from the start"),
    tokens_field(INPUT, "tokens of the prompt"),
    tokens_field("output_length", "tokens of the answer"),
)


USUAL_LINE = (
    rf'^\{{"timestamp": {NUMBER}, "input_length": {NUMBER}, "output_length": {NUMBER}'
    r'(?:, "hash_ids": \[(?:\d+(?:, ?\d+)*)?\])?\}\r?$'
)


def read_mooncake(path: Path, options: ReadOptions) -> Trace:
    """Read the file; the module's table says by which rules.

    Raises:
        TraceError: the file is malformed; the text names file, line, field and remedy.
    """
    name = path.name.partition(".")[0]
    found = Gathering(path)
    for block in read_blocks(path):
        rows = _rows(block)
        context, generated = (rows[:, column].astype(np.uint32) for column in (1, 2))
        found.add(
            pl.repeat(name, len(rows), dtype=pl.String, eager=True),
            rows[:, 0] * NS_PER_MS,
            token_durations_ns(path, context, generated, options),
            context_tokens=context,
            generated_tokens=generated,
        )
    return found.trace(partial(model_functions, memory_mb=options.memory_mb))


def _rows(block: Block) -> NDArray[np.int64]:
    """Read the fields of each line, shape (n, fields)."""
    columns = usual_columns(block, USUAL_LINE)
    if columns is not None:
        rows = np.column_stack([column.cast(pl.Int64).to_numpy() for column in columns])
        if all(int(rows[:, place].max()) <= field.high for place, field in enumerate(FIELDS)):
            return rows
    return np.array([values for _, values in read_objects(block, FIELDS)], dtype=np.int64).reshape(-1, len(FIELDS))
