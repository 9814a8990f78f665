"""The platform's names of the slots that exist, and what is said of those that a scaler leaves behind."""

from __future__ import annotations

from typing import NamedTuple, Protocol

MOST_NAMED = 20
"""Slots of each kind that a line of the log names."""


class SlotNames(Protocol):
    """The platform's names of slots, by the engine's.

    No two slots share one: destroying either would destroy both.
    """

    def claim(self, slot: int, name: str, *, takes_over: bool) -> bool:
        """Note a slot's name; False: another slot has it.

        Args:
            slot: the engine's name of it.
            name: the platform's.
            takes_over: one that a platform of before gave this name is taken to be gone.
        """

    def __getitem__(self, slot: int, /) -> str: ...
    def __delitem__(self, slot: int, /) -> None: ...
    def __contains__(self, slot: int, /) -> bool: ...


class HostNames:
    """The names of a host without a courier."""

    def __init__(self) -> None:
        self._by_slot: dict[int, str] = {}
        self._held: set[str] = set()

    def claim(self, slot: int, name: str, *, takes_over: bool) -> bool:
        """See `SlotNames`; this platform is always the same one."""
        del takes_over
        if name in self._held:
            return False
        self._held.add(name)
        self._by_slot[slot] = name
        return True

    def __getitem__(self, slot: int, /) -> str:
        return self._by_slot[slot]

    def __delitem__(self, slot: int, /) -> None:
        self._held.discard(self._by_slot.pop(slot))

    def __contains__(self, slot: int, /) -> bool:
        return slot in self._by_slot


class SlotsLeft(NamedTuple):
    """What a scaler leaves on the platform when it ends."""

    live: int
    """Slots in the ledger."""
    unnamed: int
    """Of these, those whose CreateSlot has not been answered."""
    written_off: int
    """Slots no longer in the ledger that the platform may hold all the same."""
    slots: list[str]
    """Some of those that the platform has named."""
    requests: list[str]
    """Request ids of the CreateSlots of some of the others."""

    def fields(self) -> dict[str, int | list[str]]:
        """Write it as fields of a line of the log."""
        counts: dict[str, int | list[str]] = {"slots_left": self.live + self.written_off}
        if self.written_off:
            counts["written_off"] = self.written_off
        return counts | {name: names for name in ("slots", "requests") if (names := getattr(self, name))}
