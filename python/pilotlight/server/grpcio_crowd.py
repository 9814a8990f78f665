"""How many requests wait, by connection.

A client's calls share a limited number of streams. Were all of them requests that wait, the Idle that frees an instance
could not be sent.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol


class Call(Protocol):
    """A call of either API of grpcio."""

    def peer(self) -> str:
        """Return the address at the other end of its connection."""


class Crowd:
    """Requests that wait; used on one thread.

    Args:
        limit: how many may wait on one connection.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._all = 0
        self._waiting: Counter[str] = Counter()

    def is_full(self, call: Call) -> bool:
        """Say whether as many as may wait on a call's connection; costs next to nothing while few wait at all."""
        return self._all >= self._limit and self._waiting[call.peer()] >= self._limit

    def enter(self, call: Call) -> str:
        """Count a call that begins to wait, and return what `leave` wants."""
        peer = call.peer()
        self._waiting[peer] += 1
        self._all += 1
        return peer

    def leave(self, peer: str) -> None:
        """Count a call out."""
        self._all -= 1
        self._waiting[peer] -= 1
        if not self._waiting[peer]:
            del self._waiting[peer]
