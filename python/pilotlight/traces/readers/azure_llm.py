"""Reads the Azure traces of language model inference of 2023 and 2024: one row a request, with its tokens.

The layout is that of the data sets' pages (Microsoft, CC-BY 4.0; P. Patel et al., "Splitwise", ISCA 2024; J. Stojkovic
et al., "DynamoLLM", HPCA 2025):
https://github.com/Azure/AzurePublicDataset/blob/master/AzureLLMInferenceDataset2023.md and …2024.md

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | one, named as the file: a trace is of one service; a folder of several files has one each           |
| arrival  | `TIMESTAMP`, UTC; rows are put in order of arrival                                                  |
| duration | from `ContextTokens` and `GeneratedTokens`: see `tokens`                                            |
| the rest | see `assumptions`, of a served model; status 200                                                    |
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pilotlight.traces.assumptions import model_functions
from pilotlight.traces.columns import Moment
from pilotlight.traces.csv_table import scan_table
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.tokens import token_durations_ns, tokens_field

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import Trace

HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
FIELDS = (
    Moment("TIMESTAMP", "when the request came"),
    tokens_field("ContextTokens", "tokens of the prompt"),
    tokens_field("GeneratedTokens", "tokens of the answer"),
)


def read_azure_llm(paths: Sequence[Path], options: ReadOptions, notes: list[str]) -> Trace:
    """Read one file or several; the module's table says by which rules.

    Raises:
        TraceError: a file is malformed; the text names file, line, field and remedy.
    """
    found = Gathering(paths[0] if len(paths) == 1 else paths[0].parent)
    for path in paths:
        name = path.name.partition(".")[0]
        for rows in scan_table(path, FIELDS, notes):
            table = rows.table
            context, generated = (table[field.name].to_numpy() for field in FIELDS[1:])
            found.add(
                pl.repeat(name, table.height, eager=True),
                table["TIMESTAMP"].to_numpy(),
                token_durations_ns(path, context, generated, options),
                context_tokens=context,
                generated_tokens=generated,
            )
    return found.trace(partial(model_functions, memory_mb=options.memory_mb))
