"""The platform's rules: what may be done with a slot, and what slots cost.

Plain state, no I/O and no clock: `platform` calls it for the scaler, `load` asks it whether an assigned instance may
serve. It guarantees that memory is accounted from the moment a slot's creation began until it was destroyed, whatever
happens between.
"""

from __future__ import annotations

import enum
import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class SlotState(enum.Enum):
    """Where a slot is in its life."""

    CREATING = "creating"
    CREATED = "created"
    INITIALISING = "initialising"
    READY = "ready"


class Function(NamedTuple):
    """What the platform knows about a function.

    Attributes:
        memory_mb: memory of the slots it runs in.
        init_ns: how long its own start takes, trace time.
    """

    memory_mb: int
    init_ns: int


@dataclass(eq=False)
class Slot:
    """One slot, from the start of its creation until it is destroyed.

    Attributes:
        slot_id: its name on the wire.
        memory_mb: what it holds.
        state: where it is in its life; only `READY` slots serve.
        key: the function that Init named, "" before.
        instance_id: the scaler's name for it since Init, "" before.
        busy: a request is executing on it.
    """

    slot_id: str
    memory_mb: int
    state: SlotState = SlotState.CREATING
    key: str = ""
    instance_id: str = ""
    busy: bool = False


class SlotAccount(NamedTuple):
    """What all slots came to, up to some moment.

    Attributes:
        held_mb_ns: their memory-time, MB·ns of trace time.
        live: slots not destroyed, those being created included.
        created: slots ever asked for.
        destroyed_busy: slots destroyed while a request was executing on them.
    """

    held_mb_ns: int
    live: int
    created: int
    destroyed_busy: int


class SlotRefused(Exception):  # noqa: N818 (not a fault of ours: an answer)
    """A platform call that breaks a rule; `status` and the text are the reply."""

    def __init__(self, status: wire.Status, text: str) -> None:
        super().__init__(text)
        self.status = status


class SlotTable:
    """All live slots, by id and by instance.

    Args:
        ids: the slots' ids to come.
    """

    def __init__(self, ids: Iterator[str]) -> None:
        self.functions: Mapping[str, Function] = {}
        """The functions that Init accepts, by key."""
        self._ids = ids
        self._created = 0
        self._destroyed_busy = 0
        self._slots: dict[str, Slot] = {}
        self._instances: dict[str, Slot] = {}
        self._live_mb = 0
        self._held_mb_ns = 0
        self._changed_ns = 0

    def account(self, now_ns: int) -> SlotAccount:
        """Return what all slots came to up to `now_ns`."""
        return SlotAccount(self._held(now_ns), len(self._slots), self._created, self._destroyed_busy)

    def begin_create(self, memory_mb: int, now_ns: int) -> Slot:
        """Reserve a slot; it costs from now on.

        Raises:
            SlotRefused: no memory is asked for.
        """
        if memory_mb <= 0:
            raise SlotRefused(wire.InvalidArgument, "resource_config.memory_in_megabytes must be positive")
        slot = Slot(next(self._ids), memory_mb)
        self._change(memory_mb, now_ns)
        self._slots[slot.slot_id] = slot
        self._created += 1
        return slot

    def begin_init(self, slot_id: str, instance_id: str, key: str) -> tuple[Slot, Function]:
        """Give a slot to a function, for good.

        Raises:
            SlotRefused: the slot or the function is unknown, the slot was given away before or has another memory than
                the function needs, or the instance's name is missing or taken.
        """
        slot = self._slots.get(slot_id)
        if slot is None or slot.state is SlotState.CREATING:
            raise SlotRefused(wire.NotFound, f"slot {slot_id} not found")
        if slot.state is not SlotState.CREATED:
            raise SlotRefused(wire.InvalidArgument, f"slot {slot_id} is already allocated")
        function = self.functions.get(key)
        if function is None:
            raise SlotRefused(wire.NotFound, f"function {key!r} is not in the data set")
        if slot.memory_mb != function.memory_mb:
            raise SlotRefused(
                wire.InvalidArgument,
                f"slot {slot_id} has {slot.memory_mb} MB, function {key!r} needs {function.memory_mb} MB",
            )
        if not instance_id or instance_id in self._instances:
            problem = "taken" if instance_id else "missing"
            raise SlotRefused(wire.InvalidArgument, f"instance_id {instance_id!r} is {problem}")
        slot.state, slot.key, slot.instance_id = SlotState.INITIALISING, key, instance_id
        self._instances[instance_id] = slot
        return slot, function

    def destroy(self, slot_id: str, now_ns: int) -> None:
        """Give a slot back; it costs until now.

        Raises:
            SlotRefused: the slot is unknown.
        """
        slot = self._slots.pop(slot_id, None)
        if slot is None:
            raise SlotRefused(wire.NotFound, f"slot {slot_id} not found")
        self._instances.pop(slot.instance_id, None)
        self._change(-slot.memory_mb, now_ns)
        self._destroyed_busy += slot.busy

    def instance(self, instance_id: str) -> Slot | None:
        """Find the slot that Init gave this name."""
        return self._instances.get(instance_id)

    def _change(self, change_mb: int, now_ns: int) -> None:
        self._held_mb_ns = self._held(now_ns)
        self._changed_ns = now_ns
        self._live_mb += change_mb

    def _held(self, now_ns: int) -> int:
        return self._held_mb_ns + self._live_mb * (now_ns - self._changed_ns)


def uuids(seed: str) -> Iterator[str]:
    """Yield random UUIDs for ever; the same seed yields the same ones."""
    bits = random.Random(seed)  # noqa: S311 (names, not secrets)
    while True:
        yield str(uuid.UUID(int=bits.getrandbits(128), version=4))
