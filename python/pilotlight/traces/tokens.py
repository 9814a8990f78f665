"""How long a request of tokens executes: its context at one rate, then its answer at another.

Public traces of language models count tokens and record no time of execution, because that is the server's. The rule
is the two phases of inference, each at a steady rate a request (P. Patel et al., "Splitwise", ISCA 2024, section II);
batches and queues inside a server are not modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.errors import TraceError
from pilotlight.traces.fields import Whole
from pilotlight.traces.trace import MAX_SPAN_MS, NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pilotlight.traces.read_options import ReadOptions

MAX_TOKENS = 2**31 - 1


def tokens_field(name: str, meaning: str) -> Whole:
    """Return the field of a count of tokens."""
    return Whole(name, 0, MAX_TOKENS, meaning)


def token_durations_ns(
    path: Path, context: NDArray[np.uint32], generated: NDArray[np.uint32], options: ReadOptions
) -> NDArray[np.uint64]:
    """Return how long each request of a file executes, shape (n,).

    Raises:
        TraceError: a request takes longer than `MAX_SPAN_MS`.
    """
    seconds = context / options.prefill_per_s + generated / options.decode_per_s
    if len(seconds) and seconds.max() * 1e3 > MAX_SPAN_MS:
        longest = int(seconds.argmax())
        raise TraceError(
            f"{path}: {context[longest]} tokens of context and {generated[longest]} generated take"
            f" {seconds[longest]:.3g} s; it must be at most {MAX_SPAN_MS / 1e3:g} s: raise --prefill-per-s or"
            " --decode-per-s"
        )
    return np.rint(seconds * NS_PER_S).astype(np.uint64)
