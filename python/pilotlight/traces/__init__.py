"""Workloads: readers, a writer and generators around one columnar `Trace`.

`read_trace` reads a recorded data set of any known format, `read_contest` and `read_azure2019` one of theirs,
`generate` makes up load of any kind, `synthesize` contest-like load, `write_contest` keeps either; all speak `Trace`.
"""

from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.generators import Generated, generate, synthesize
from pilotlight.traces.kinds import KINDS
from pilotlight.traces.placement import PLACEMENTS
from pilotlight.traces.read_options import ReadOptions
from pilotlight.traces.readers.azure2019 import Azure2019, read_azure2019
from pilotlight.traces.readers.contest import read_contest, read_metas
from pilotlight.traces.reading import FORMATS, TraceRead, read_trace
from pilotlight.traces.synth import SynthSettings
from pilotlight.traces.trace import FunctionTable, Trace

__all__ = [
    "FORMATS",
    "KINDS",
    "PLACEMENTS",
    "Azure2019",
    "FunctionTable",
    "Generated",
    "ReadOptions",
    "SynthSettings",
    "Trace",
    "TraceRead",
    "generate",
    "read_azure2019",
    "read_contest",
    "read_metas",
    "read_trace",
    "synthesize",
    "write_contest",
]
