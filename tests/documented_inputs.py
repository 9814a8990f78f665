"""Small files and folders under the names that the commands on our pages use."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import trustme
from trace_samples import SAMPLES

from pilotlight.traces import generate, write_contest
from pilotlight.traces.parquet import write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pilotlight.traces import Trace

LEVELS = ",".join(f"percentile_Average_{level}" for level in (0, 1, 25, 50, 75, 99, 100))
DAY_FUNCTIONS = 120


def _load() -> Trace:
    trace = generate("poisson", functions=20, requests=2_000, length_s=6 * 3600.0).trace
    keys = tuple(f"nodes{number}" for number in range(1, len(trace.functions) + 1))
    short_ns = np.full(len(keys), 100_000_000, dtype=np.uint64)  # every policy keeps the promises that pages ask for
    return replace(trace, functions=replace(trace.functions, keys=keys, init_ns=short_ns))


def _contest(folder: Path) -> None:
    write_contest(_load(), folder)


def _parquet(folder: Path) -> None:
    write_parquet(_load(), folder)


def _azure_day(folder: Path) -> None:
    folder.mkdir(parents=True)
    minutes = (1, *range(720, 750))
    names = [f"o,a{number // 4},f{number}" for number in range(DAY_FUNCTIONS)]
    tables = {
        "invocations": ["HashOwner,HashApp,HashFunction,Trigger," + ",".join(map(str, minutes))]
        + [f"{name},http," + ",".join("1" for _ in minutes) for name in names],
        "durations": [f"HashOwner,HashApp,HashFunction,{LEVELS}"] + [f"{name},1,2,3,4,5,6,7" for name in names],
        "memory": ["HashOwner,HashApp,HashFunction,AverageAllocatedMb"] + [f"{name},100" for name in names],
    }
    for kind, lines in tables.items():
        (folder / f"{kind}.d01.csv").write_text("\n".join(lines) + "\n")


def _sample(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        for file, text in SAMPLES[name].items():
            (folder / file).write_text(text)

    return make


def _text(content: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)

    return make


def _certificate(path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(path.with_name("clients.pem"))
    issued.private_key_pem.write_to_path(path.with_name("server.key"))
    issued.cert_chain_pems[0].write_to_path(path.with_name("server.pem"))


INPUTS: dict[str, Callable[[Path], None]] = {
    "TRACE": _contest,
    "DATASET": _contest,
    "may": _contest,
    "june": _contest,
    "path/to/dataSet_1": _contest,
    "path/to/dataSet_2": _contest,
    "made": _parquet,
    "azure-d01": _azure_day,
    "azure2019": _azure_day,
    "azure2021/azure2021_first998.csv": _text(SAMPLES["azure2021"]["trace.csv"]),
    "azure_llm_2023": _sample("azure-llm"),
    "chat": _sample("mooncake"),
    "contest/ds1_requests_first_18731s.jsonl.gz": _text(SAMPLES["contest"]["requests"]),
    "contest/ds1_metas_public.jsonl": _text(SAMPLES["contest"]["metas"]),
    "spans.csv": _text(
        "name,start_ns,end_ns,start_time_unix_nano,end_time_unix_nano\n"
        "GET /cart,1700158623979960000,1700158623999120000,1700158623979960000,1700158623999120000\n"
    ),
    "access.csv": _text("end,uri,request_time\n1700158623.999,/cart,0.019\n"),
    "starts.csv": _text(
        "function,runtime,schedule_ms,sandbox_ms,code_ms,init_ms\n" + "thumbnail,python3.12,4.1,118,60,240\n" * 20
    ),
    "server.pem": _certificate,
    "token": _text("secret\n"),
}
"""What makes each file or folder that a command may read."""


def put_inputs(command: str, folder: Path) -> None:
    """Make what a command reads and is not there yet."""
    if command.startswith("pilotlight trace synth "):
        return  # names only what it writes
    for name, make in INPUTS.items():
        named = re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w/.-])", command)
        if named and not (folder / name).exists():
            make(folder / name)
