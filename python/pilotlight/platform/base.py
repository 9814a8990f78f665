"""The `Platform` protocol: what a host of the engine needs to carry out CreateSlot, Init and DestroySlot.

An implementation bounds every call in time, repeats what was certainly refused, and raises `PlatformError` for good. It
never loses a slot without saying so: a CreateSlot that may have made one raises `CreateUnansweredError`, which leads to
that slot or to the news that it is written off. Called on one event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pilotlight.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from pilotlight._core import Command, Courier, Scaler


@dataclass(frozen=True, slots=True)
class Function:
    """What a platform must know of a function to start an instance of it."""

    key: str
    runtime: str
    timeout_s: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class CreatedSlot:
    """A slot that exists: the platform's name for it, and how long its creation took as seen from here."""

    platform_id: str
    create_ns: int


class CreateUnansweredError(PlatformError):
    """CreateSlot was not answered as it should be, so the platform may hold a slot that nobody can use.

    Args:
        message: what happened.
        late_answer: waits, for a bounded time, for the slot that is to be destroyed. Raises `PlatformError` when there
            is none, with `may_exist` when nobody will ever know: the slot is written off.
    """

    def __init__(self, message: str, late_answer: Callable[[], Awaitable[CreatedSlot]]) -> None:
        super().__init__(message, may_exist=True)
        self.late_answer = late_answer


class CourierHost(Protocol):
    """Whose commands a courier carries out."""

    def execute(self, commands: Iterable[Command]) -> None:
        """Start carrying out commands; returns at once."""

    def go_on(self, command: Command, begun_ns: int) -> None:
        """Start carrying out a command whose first call was begun at this time and did not end well."""


class Platform(Protocol):
    """A provider of slots."""

    @property
    def answers(self) -> bool:
        """Whether it answers, as far as its connection and its last calls tell."""
        ...

    def attach(self, scaler: Scaler, host: CourierHost) -> Courier | None:
        """Carry out a scaler's commands without Python, and let the host go on with those that do not go well.

        Called once, before any other method; None: this platform leaves them all to the host.
        """
        ...

    async def create_slot(self, slot: int, memory_mb: int) -> CreatedSlot:
        """Create a slot.

        Args:
            slot: the engine's name for it, for the platform's records.
            memory_mb: its memory.

        Raises:
            CreateUnansweredError: a slot may exist, but is not to be used.
            PlatformError: the slot certainly does not exist.
        """
        ...

    async def init(self, platform_id: str, instance_id: str, function: Function) -> int:
        """Make the slot an instance of the function and return how long that took, in ns.

        Raises:
            PlatformError: it failed; the slot exists all the same and has to be destroyed.
        """
        ...

    async def destroy(self, platform_id: str, reason: str) -> None:
        """Give a slot back; one that the platform does not know counts as given back.

        Raises:
            PlatformError: it failed; the slot may still exist.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; calls in flight end."""
        ...
