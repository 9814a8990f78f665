"""What needs no socket: the engine in threads, the pair through the extension, the simulator. Rounds, then medians."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotlight import _core
from pilotlight.bench.load import NS_PER_S
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilotlight.bench.load import Row
    from pilotlight.simulation.runner import PreparedTrace

_FFI_PAIRS = 20_000


@dataclass(frozen=True)
class EngineSettings:
    """One load on the engine: so many threads, each on `functions` of its own, or all on the same ones (`shared`)."""

    policy: str
    threads: int = 1
    functions: int = 1
    shared: bool = False
    skew: float = 0.0

    @property
    def scenario(self) -> str:
        """Name the load in a few words."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        functions = "1 function" if self.functions == 1 else f"{self.functions:,} functions"
        each = "" if self.threads == 1 else " shared" if self.shared else " each"
        return f"{threads}, {functions}{each}" + (f", skew {self.skew:g}" if self.skew else "")


def engine_rows(
    loads: Sequence[EngineSettings], *, rounds: int, duration: float, progress: Callable[[str, float], None]
) -> list[Row]:
    """Measure warm pairs of the engine under each load, in turn.

    Raises:
        ConfigError: a policy does not parse.
    """
    found: list[list[dict[str, float]]] = [[] for _ in loads]
    for number in range(rounds):
        for index, load in enumerate(loads):
            progress(f"core: {load.policy}, {load.scenario}", (number * len(loads) + index) / (rounds * len(loads)))
            report = _core.load_engine(
                policy=load.policy,
                duration_ns=round(duration * NS_PER_S),
                threads=load.threads,
                functions=load.functions,
                shared=load.shared,
                skew=load.skew,
                seed=number,
            )
            found[index].append(dict(report))
    return [_engine_row(load, reports) for load, reports in zip(loads, found, strict=True)]


def _engine_row(load: EngineSettings, reports: list[dict[str, float]]) -> Row:
    pair_ns = statistics.median(report["warm_pair_ns"] for report in reports)
    return {
        "policy": load.policy,
        "scenario": load.scenario,
        "threads": load.threads,
        "functions": load.functions,
        "shared": load.shared,
        "skew": load.skew,
        "warm_pair_ns": pair_ns,
        "pairs_per_s": load.threads / pair_ns * 1e9,
        "waited": sum(report["waited"] for report in reports),
        "warm_up_pairs": statistics.median(report["warm_up_pairs"] for report in reports),
    }


def ffi_row(policy: str, *, rounds: int, progress: Callable[[str, float], None]) -> Row:
    """Measure the warm pair from Python, encoded requests in, encoded replies out.

    Raises:
        ConfigError: the policy does not parse.
    """
    scaler = _core.Scaler(policy=policy, boot_id=1)
    meta = wire.Meta(key="f" * 40, runtime="python", timeout_in_secs=60, memory_in_mb=512)
    assign = wire.AssignRequest(request_id="0" * 36, timestamp=0, meta_data=meta).SerializeToString()
    idle = _first_idle(scaler, assign)
    figures = []
    now = 5
    for number in range(rounds):
        progress(f"ffi: {policy}", number / rounds)
        began = time.perf_counter_ns()
        for _ in range(_FFI_PAIRS):
            now += 1000
            scaler.assign(now, assign)
            reply = scaler.idle(now, idle)
        figures.append((time.perf_counter_ns() - began) / _FFI_PAIRS)
        if type(reply) is not bytes:
            raise AssertionError(f"an Idle of a held instance led to {reply!r}")
    return {"policy": policy, "warm_pair_ns": statistics.median(figures)}


def _first_idle(scaler: _core.Scaler, assign: bytes) -> bytes:
    """Start the instance, free it and return the encoded Idle."""
    outcome = scaler.assign(1, assign)
    if isinstance(outcome, bytes) or not isinstance(create := outcome.commands[0], _core.CreateSlot):
        raise TypeError(f"the first Assign led to {outcome!r}")
    scaler.slot_created(2, create.slot, 1)
    woken = scaler.instance_ready(3, create.slot, 1)[0]
    if not isinstance(woken, _core.Wake) or woken.reply is None:
        raise AssertionError(f"the instance was ready and led to {woken}")
    assignment = wire.AssignReply.FromString(woken.reply).assigment
    idle = wire.IdleRequest(assigment=assignment, result=wire.Result(status_code=200)).SerializeToString()
    scaler.idle(4, idle)
    return idle


def sim_rows(
    prepared: PreparedTrace, policies: Sequence[str], *, rounds: int, progress: Callable[[str, float], None]
) -> list[Row]:
    """Measure the simulator on one core, policies in turn, the full ledger on.

    Raises:
        ConfigError: a policy does not parse.
    """
    from pilotlight.simulation.runner import run_policy  # noqa: PLC0415 - `bench grpc` needs no Polars

    requests = len(prepared.trace)
    seconds: dict[str, list[float]] = {policy: [] for policy in policies}
    for number in range(rounds):
        for index, policy in enumerate(policies):
            progress(f"sim: {policy}", (number * len(policies) + index) / (rounds * len(policies)))
            seconds[policy].append(run_policy(prepared, policy).run_s)
    return [
        {
            "policy": policy,
            "requests": requests,
            "functions": len(prepared.trace.functions),
            "run_s": statistics.median(runs),
            "invocations_per_s": requests / statistics.median(runs),
        }
        for policy, runs in seconds.items()
    ]
