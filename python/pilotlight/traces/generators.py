"""Generates load of a named kind: standard laws, and those that are hard on one policy or another.

`kinds.KINDS` is the registry; a kind is the law of its arrivals and the sizes and parameters it has. Functions of every
kind differ in memory, init time and duration, drawn as the table says; times are whole milliseconds, so that a trace
can be written and read back unchanged. The same specification, sizes and seed give the same trace, to the last bit.

| what                | model                                                                               |
|---------------------|-------------------------------------------------------------------------------------|
| memory, runtime     | independent draws from `synth.MEMORY_MIX` and `synth.RUNTIMES`                      |
| init                | log-normal for each runtime, as in `synth`                                          |
| mean duration       | log-normal over functions: `MEAN_MS`                                                |
| durations about it  | log-normal, sigma 0.5                                                               |
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.kinds import KINDS
from pilotlight.traces.synth import EPOCH_MS, STATUS_BAD, LogNormal, SynthSettings, draw_functions, synthesize
from pilotlight.traces.trace import NS_PER_MS, STATUS_OK, Trace

if TYPE_CHECKING:
    from pilotlight.traces.kinds import Kind, Law

MEAN_MS = LogNormal(200, 1.2, 5, 30_000)
SIGMA = 0.5


class Generated(NamedTuple):
    """A trace, and what it was made from: kind, sizes, seed and parameters."""

    trace: Trace
    source: dict[str, Any]


def generate(
    spec: str,
    *,
    functions: int | None = None,
    requests: int | None = None,
    length_s: float | None = None,
    seed: int = 1,
    bad_share: float = 0.0,
) -> Generated:
    """Generate a trace.

    Args:
        spec: a name in `KINDS`, with parameters if need be: ``"on_off:on=30s,off=10m"``.
        functions: size of the function table; None takes the kind's.
        requests: how many, exactly; None takes the kind's.
        length_s: they arrive within this time; None takes the kind's.
        seed: of the random generator.
        bad_share: share of requests that end badly (status 500), 0 to 1.

    Raises:
        TraceError: the specification or a size is wrong; the text names it and what is allowed.
    """
    name, kind, values = _parse(spec)
    if requests is not None and kind.requests is None:
        raise TraceError(f"{name}: the number of requests follows from its functions and length; leave it out")
    sizes = SynthSettings(
        functions=kind.functions if functions is None else functions,
        requests=(kind.requests or 1) if requests is None else requests,
        length_s=kind.length_s if length_s is None else length_s,
        seed=seed,
        bad_share=bad_share,
    )
    trace = synthesize(sizes) if kind.law is None else _generate(name, kind.law, sizes, values)
    source = {"kind": "synth", "load": name, **asdict(sizes), "requests": len(trace), **values}
    return Generated(trace, source)


def _parse(spec: str) -> tuple[str, Kind, dict[str, float]]:
    """Take a specification apart; the values are the law's arguments, all of them."""
    name, colon, settings = spec.partition(":")
    if name not in KINDS:
        raise TraceError(f"load of kind {name!r} is not known; choose one of {', '.join(KINDS)}")
    kind = KINDS[name]
    known = {parameter.name: parameter for parameter in kind.parameters}
    given: dict[str, float] = {}
    for key, _, text in (setting.partition("=") for setting in settings.split(",") if colon):
        if key not in known:
            raise TraceError(f"{name} has no parameter {key!r}; it has {', '.join(known) or 'none'}")
        if key in given:
            raise TraceError(f"{name}: {key} is given twice; keep one of them")
        try:
            given[key] = known[key].read(text)
        except TraceError as error:
            raise TraceError(f"{name}: {error}") from error
    return name, kind, {each.argument: given.get(each.name, each.default) for each in kind.parameters}


def _generate(name: str, law: Law, sizes: SynthSettings, values: dict[str, float]) -> Trace:
    """Lay the arrivals of a law out as a trace, and draw the rest."""
    streams = np.random.SeedSequence(sizes.seed).spawn(3)
    table_rng, law_rng, request_rng = (np.random.Generator(np.random.PCG64(stream)) for stream in streams)
    times_s = law(sizes, law_rng, **values)
    function = np.repeat(np.arange(len(times_s), dtype=np.uint32), [len(times) for times in times_s])
    length_ms = int(sizes.length_s * 1000)
    arrival_ms = np.minimum((np.concatenate(times_s) * 1000).astype(np.int64), length_ms - 1)
    order = np.argsort(arrival_ms, kind="stable")
    arrival_ms, function = arrival_ms[order], function[order]
    mean_ms = MEAN_MS.draw(table_rng, sizes.functions)
    spread = np.exp(SIGMA * request_rng.standard_normal(len(function)) - SIGMA**2 / 2)
    bad = request_rng.random(len(function)) < sizes.bad_share
    first_ms = int(arrival_ms[0])
    return Trace(
        arrival_ns=(arrival_ms - first_ms).astype(np.uint64) * np.uint64(NS_PER_MS),
        function=function,
        duration_ns=np.rint(mean_ms[function] * spread).astype(np.uint64) * np.uint64(NS_PER_MS),
        status=np.where(bad, STATUS_BAD, STATUS_OK).astype(np.int32),
        functions=draw_functions(sizes.functions, table_rng, prefix=name),
        origin_ms=EPOCH_MS + first_ms,
    )
