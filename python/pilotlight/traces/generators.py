"""Generates load of a named kind: standard laws, and those that are hard on one policy or another.

`kinds.KINDS` is the registry; a kind is the law of its arrivals and the sizes and parameters it has. Functions of every
kind differ in memory, init time and duration, drawn as the table says; times are whole milliseconds, so that a trace
can be written and read back unchanged. The same specification, sizes and seed give the same trace, to the last bit,
whether it is made at once or streamed.

| what                | model, unless the kind has its own                                                  |
|---------------------|-------------------------------------------------------------------------------------|
| memory, runtime     | independent draws from `synth.MEMORY_MIX` and `synth.RUNTIMES`                      |
| init                | log-normal for each runtime, as in `synth`                                          |
| mean duration       | log-normal over functions: `kinds.MEAN_MS`                                          |
| durations about it  | log-normal, sigma 0.5                                                               |
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from pilotlight.errors import TraceError
from pilotlight.traces.blocks import stream
from pilotlight.traces.kinds import CONTEST, KINDS
from pilotlight.traces.parameters import read_settings
from pilotlight.traces.synth import SynthSettings

if TYPE_CHECKING:
    from pilotlight.traces.blocks import TraceStream
    from pilotlight.traces.kinds import Kind
    from pilotlight.traces.trace import Trace


class Generated(NamedTuple):
    """A trace, and what it was made from: kind, sizes, seed and parameters."""

    trace: Trace
    source: dict[str, Any]


class Load(NamedTuple):
    """What to generate, checked: a kind with its name, sizes and the values of its parameters."""

    name: str
    kind: Kind
    sizes: SynthSettings
    values: dict[str, float | str]

    def stream(self) -> TraceStream:
        """Begin the trace, to be drawn block by block."""
        return stream(self.name, self.kind, self.sizes, self.values)


def load_named(
    spec: str,
    *,
    functions: int | None = None,
    requests: int | None = None,
    length_s: float | None = None,
    seed: int = 1,
    bad_share: float = 0.0,
) -> Load:
    """Settle what to generate.

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
    return Load(name, kind, sizes, values)


def generate(
    spec: str,
    *,
    functions: int | None = None,
    requests: int | None = None,
    length_s: float | None = None,
    seed: int = 1,
    bad_share: float = 0.0,
) -> Generated:
    """Generate a trace; arguments and errors are those of `load_named`."""
    load = load_named(spec, functions=functions, requests=requests, length_s=length_s, seed=seed, bad_share=bad_share)
    trace = load.stream().whole()
    source = {"kind": "synth", "load": load.name, **asdict(load.sizes), "requests": len(trace), **load.values}
    return Generated(trace, source)


def synthesize(settings: SynthSettings | None = None) -> Trace:
    """Generate contest-like load; None takes the default sizes."""
    sizes = SynthSettings() if settings is None else settings
    return stream(CONTEST, KINDS[CONTEST], sizes, {}).whole()


def _parse(spec: str) -> tuple[str, Kind, dict[str, float | str]]:
    """Take a specification apart; the values are the law's arguments, all of them."""
    name, colon, settings = spec.partition(":")
    if name not in KINDS:
        raise TraceError(f"load of kind {name!r} is not known; choose one of {', '.join(KINDS)}")
    kind = KINDS[name]
    return name, kind, read_settings(name, settings if colon else None, kind.parameters, TraceError)
