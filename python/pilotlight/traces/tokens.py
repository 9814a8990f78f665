"""How long a request of tokens executes: its context at one rate, then its answer at another.

Public traces of language models count tokens and record no time of execution, because that is the server's. The rule
is the two phases of inference, each at a steady rate a request (P. Patel et al., "Splitwise", ISCA 2024, section II);
batches and queues inside a server are not modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.traces.fields import Whole
from pilotlight.traces.trace import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.read_options import ReadOptions

MAX_TOKENS = 2**31 - 1


def tokens_field(name: str, meaning: str) -> Whole:
    """Return the field of a count of tokens."""
    return Whole(name, 0, MAX_TOKENS, meaning)


def token_durations_ns(
    context: NDArray[np.uint32], generated: NDArray[np.uint32], options: ReadOptions
) -> NDArray[np.uint64]:
    """Return how long each request executes, shape (n,)."""
    seconds = context / options.prefill_per_s + generated / options.decode_per_s
    return np.rint(seconds * NS_PER_S).astype(np.uint64)
