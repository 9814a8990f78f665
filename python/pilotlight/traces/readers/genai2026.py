"""Reads Alibaba's trace of image generation of 2026 (GenTD26): a row a request, tables of model loading latencies.

The layout is that of the data set's page (Y. Lin et al., "Understanding Diffusion Model Serving in Production", SoCC
2025): https://github.com/alibaba/clusterdata/tree/master/cluster-trace-v2026-GenAI

Given is the table of requests, or the folder that holds it; the published archives are to be unpacked there. Tables of
loading latencies have the columns `timestamp_anon`, `value` (ms) and `container_ip` and are known by their names.

| what     | rule                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| function | the base model, `checkpoint_model_version_id`; requests without one, whose model was not recorded,  |
|          | are of one function, `UNNAMED`, and the notes count them                                            |
| arrival  | `gmt_create`, to the second                                                                         |
| duration | `exec_time_seconds`; a row without it was not executed: it is left out, and the notes count them    |
| status   | 200 if `predict_status` is SUCCEED, empty, or PENDING or PROCESSING, which had not ended when the   |
|          | table was written; else 500: the instance is taken as lost                                          |
| start    | for each function one observed loading of a base model, drawn by the seed, and one of a LoRA        |
|          | adapter if most of its requests use one: stages `base_model` and `lora`. They are not joined: the   |
|          | tables of loading name no model. Without the tables: memory at `assumptions.LOAD_MB_PER_S`          |
| memory   | `--memory`, else `MEMORY_MB`: a stated rule, the tables of memory name no model either              |
| the rest | trigger empty; see `assumptions`                                                                    |
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from pilotlight.errors import TraceError
from pilotlight.traces.assumptions import model_functions
from pilotlight.traces.columns import Moment, Real
from pilotlight.traces.csv_table import read_table, scan_table
from pilotlight.traces.fields import Text
from pilotlight.traces.gathering import Gathering
from pilotlight.traces.trace import MAX_SPAN_MS, NS_PER_MS, NS_PER_S, STATUS_OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.read_options import ReadOptions
    from pilotlight.traces.trace import FunctionTable, Trace

MEMORY_MB = 16_384
STATUS_FAILED = 500
UNNAMED = "unnamed"
"""The function of requests that name no base model."""

NOT_LOST = ("SUCCEED", "PENDING", "PROCESSING", "")
"""What `predict_status` says of requests that ended well, had not ended, or whose end was not recorded."""

MODEL = "checkpoint_model_version_id"
HEADER = ("gmt_create", "predict_status", "exec_time_seconds", MODEL)
FIELDS = (
    Moment("gmt_create", "when the request was made"),
    Text("predict_status", may_be_empty=True, meaning="SUCCEED or what else became of it"),
    Real("exec_time_seconds", 0, 10**9, "seconds", may_be_empty=True),
    Text(MODEL, may_be_empty=True, meaning="the base model"),
    Real("num_lora", 0, 10**6, "LoRA adapters", may_be_empty=True),
)
LATENCY = Real("value", 0, MAX_SPAN_MS, "milliseconds")
BASE_MODEL, LORA = "base_model", "lora"
TABLES = {BASE_MODEL: ("base_model_update_latency", "basemodel_update_latency"), LORA: ("lora_update_latency",)}
"""How the names of the latency tables begin, on the page and in its archives."""


class GenAi2026(NamedTuple):
    """What was read.

    Attributes:
        trace: the requests that were executed.
        left_out: how many were not.
        unnamed: how many of the trace's name no base model.
    """

    trace: Trace
    left_out: int
    unnamed: int


def read_genai2026(requests: Path, others: Sequence[Path], options: ReadOptions, notes: list[str]) -> GenAi2026:
    """Read the requests, and of the other files those that are latency tables; the module's table says how.

    Raises:
        TraceError: a file is malformed; the text names file, line, field and remedy.
    """
    found, left_out, unnamed = Gathering(requests), 0, 0
    adapted: dict[str, list[int]] = {}
    for rows in scan_table(requests, FIELDS, notes):
        table = rows.table.filter(pl.col("exec_time_seconds").is_not_null())
        left_out += rows.table.height - table.height
        unnamed += int((table[MODEL] == "").sum())
        table = table.with_columns(pl.col(MODEL).replace("", UNNAMED))
        status = np.where(table["predict_status"].is_in(NOT_LOST), STATUS_OK, STATUS_FAILED).astype(np.int32)
        duration_ns = np.rint(table["exec_time_seconds"].to_numpy() * NS_PER_S).astype(np.uint64)
        found.add(table[MODEL], table["gmt_create"].to_numpy(), duration_ns, status=status)
        uses = table.group_by(MODEL).agg(pl.len(), (pl.col("num_lora") > 0).sum().alias("adapted"))
        for model, count, using in uses.iter_rows():
            so_far = adapted.setdefault(model, [0, 0])
            so_far[0], so_far[1] = so_far[0] + count, so_far[1] + using
    latencies = {stage: _latencies(others, names, notes) for stage, names in TABLES.items()}
    mostly = {model for model, (count, using) in adapted.items() if using > count / 2}
    trace = found.trace(lambda keys, longest_ns: _functions(keys, longest_ns, latencies, mostly, options))
    if left_out:
        notes.append(f"{requests}: {left_out} requests were not executed; they are left out")
    if unnamed:
        notes.append(f"{requests}: requests that name no base model: {unnamed}; they are of one function, {UNNAMED!r}")
    return GenAi2026(trace, left_out, unnamed)


def _latencies(paths: Sequence[Path], names: tuple[str, ...], notes: list[str]) -> NDArray[np.float64]:
    """Read the tables of one kind of loading, in ms; empty if there is none."""
    tables = [read_table(path, (LATENCY,), notes)["value"].to_numpy() for path in paths if path.name.startswith(names)]
    return np.concatenate(tables) if tables else np.zeros(0)


def _functions(
    keys: list[str],
    longest_ns: NDArray[np.uint64],
    latencies_ms: dict[str, NDArray[np.float64]],
    mostly_adapted: set[str],
    options: ReadOptions,
) -> FunctionTable:
    """Make the function table."""
    memory_mb = MEMORY_MB if options.memory_mb is None else options.memory_mb
    table = model_functions(keys, longest_ns, memory_mb=memory_mb)
    if not len(latencies_ms[BASE_MODEL]):
        return table
    rng = np.random.Generator(np.random.PCG64(options.seed))
    stages = {
        stage: np.rint(rng.choice(values, size=len(keys)) * NS_PER_MS).astype(np.uint64)
        for stage, values in latencies_ms.items()
        if len(values)
    }
    if LORA in stages:
        stages[LORA][[key not in mostly_adapted for key in keys]] = 0
    return replace(table, init_ns=np.sum(list(stages.values()), axis=0, dtype=np.uint64), stages=stages)


def requests_among(folder: Path, paths: Sequence[Path], headers: Sequence[Sequence[str]]) -> Path:
    """Choose the table of requests of a folder by its header.

    Raises:
        TraceError: not exactly one file is that table.
    """
    found = [path for path, header in zip(paths, headers, strict=True) if set(HEADER) <= set(header)]
    if len(found) != 1:
        names, wanted = ", ".join(path.name for path in found) or "none", ", ".join(HEADER)
        raise TraceError(f"{folder}: one table of requests is needed (columns {wanted}), found {names}")
    return found[0]
