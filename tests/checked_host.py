"""A host around one engine that holds every reply and command against what its platform and its clients know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from pilotlight._core import CreateSlot, DestroySlot, Init, Scaler, Wake
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight._core import Command, Outcome

    Test = Callable[["Slot"], object]

MS = 1_000_000
MEMORY_MB = {"f": 128, "g": 128, "h": 256}
MAX_WAITING = 6
START_ATTEMPTS = 2
ASSIGN_DEADLINE_NS = 30_000 * MS
STATES = ("starting", "idle", "busy", "retiring", "leaked")


@dataclass
class Slot:
    """A slot as the platform knows it, from the moment it was asked for until its end is confirmed."""

    memory_mb: int
    call: str | None = "create"
    """What the host waits for: create, late (a create reported as unanswered), init, or None."""
    created: bool = False
    instance_id: str | None = None
    key: str | None = None
    ready: bool = False
    retired: bool = False
    destroying: bool = False
    """A DestroySlot is under way; it may fail, `retired` stays."""
    busy_with: str | None = None
    last_request: str | None = None


class CheckedHost(RuleBasedStateMachine):
    """A state machine without rules; subclasses choose the policy and say what happens."""

    policy = "break_even"
    shares = True
    """Freed instances serve whoever waits."""
    max_functions = len(MEMORY_MB)
    max_slots: int | None = None
    max_memory_mb: int | None = None
    max_starts_per_second: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000 * MS
        self.scaler = Scaler(
            policy=self.policy,
            boot_id=7,
            assign_deadline_ns=ASSIGN_DEADLINE_NS,
            start_attempts=START_ATTEMPTS,
            max_functions=self.max_functions,
            max_waiting=MAX_WAITING,
            max_slots=self.max_slots,
            max_memory_mb=self.max_memory_mb,
            max_starts_per_second=self.max_starts_per_second,
        )
        self.starts: list[int] = []
        self.slots: dict[int, Slot] = {}
        self.waiting: dict[int, tuple[str, str, int]] = {}  # waiter → request, key, deadline
        self.woken: set[int] = set()
        self.requests = 0
        self.failures = 0
        self.draining = False
        self.patience_over = False
        self.instances: set[str] = set()
        self.outcomes: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.held: dict[str, float] = dict.fromkeys(STATES, 0.0)

    # What the engine asks for.

    def carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case CreateSlot(slot, memory_mb, key):
                    assert slot not in self.slots
                    assert memory_mb == MEMORY_MB[key]
                    assert not self.draining
                    self.slots[slot] = Slot(memory_mb)
                    self.starts.append(self.now)
                case Init():
                    self.check_init(command)
                case DestroySlot(slot, reason):
                    self.check_destroy(self.slots[slot])
                    assert reason
                case Wake():
                    self.check_wake(command)

    def check_init(self, command: Init) -> None:
        slot = self.slots[command.slot]
        assert slot.created
        assert not slot.retired
        assert slot.instance_id is None, "a slot takes one Init"
        assert command.instance_id not in self.instances, "an instance id is used once"
        assert slot.memory_mb == command.memory_mb == MEMORY_MB[command.key]
        assert (command.runtime, command.timeout_s) == ("python", 60)
        self.instances.add(command.instance_id)
        slot.instance_id, slot.key, slot.call = command.instance_id, command.key, "init"

    def check_destroy(self, slot: Slot) -> None:
        assert slot.created, "only a slot that exists can be destroyed"
        assert not slot.destroying, "one DestroySlot at a time"
        assert slot.busy_with is None or self.patience_over, "a busy instance is not retired"
        assert slot.call != "init" or self.patience_over
        slot.retired, slot.destroying, slot.busy_with = True, True, None

    def check_wake(self, wake: Wake) -> None:
        request, key, deadline = self.waiting.pop(wake.waiter)
        self.woken.add(wake.waiter)
        assert (wake.reply is None) != (wake.error is None)
        if wake.reply is not None:
            self.check_reply(wake.reply, request, key)
            return
        assert wake.error is not None
        kind, text = wake.error
        assert text
        expected = {"deadline": self.now >= deadline, "start_failed": self.failures > 0, "shutting_down": self.draining}
        assert expected[kind], kind
        self.outcomes["error"] += 1

    def check_reply(self, encoded: bytes, request: str, key: str) -> None:
        reply = pb.AssignReply.FromString(encoded)
        assert (reply.status, reply.assigment.request_id, reply.assigment.meta_key) == (pb.Ok, request, key)
        slot = next(slot for slot in self.slots.values() if slot.instance_id == reply.assigment.instance_id)
        assert slot.ready
        assert not slot.retired
        assert slot.key == key
        assert slot.busy_with is None, "an instance serves one request at a time"
        slot.busy_with = slot.last_request = request
        self.outcomes["instance"] += 1

    def check_outcome(self, outcome: Outcome, request: str, key: str) -> None:
        assert (outcome.reply is None) != (outcome.waiter is None)
        if outcome.reply is not None:
            self.check_reply(outcome.reply, request, key)
        self.carry_out(outcome.commands)

    # What clients send.

    def idle(self, request: str | None, key: str | None, instance_id: str | None, bad: bool, status: int = 200) -> int:
        """End a request and return the reply's status."""
        assignment = pb.Assignment(request_id=request, meta_key=key, instance_id=instance_id)
        message = pb.IdleRequest(assigment=assignment, result=pb.Result(status_code=status, need_destroy=bad))
        outcome = self.scaler.idle(self.now, message.SerializeToString())
        if isinstance(outcome, bytes):
            return pb.IdleReply.FromString(outcome).status
        assert outcome.waiter is None
        assert outcome.reply is not None
        self.carry_out(outcome.commands)
        return pb.IdleReply.FromString(outcome.reply).status

    # What is there.

    def where(self, test: Test) -> list[int]:
        return [slot_id for slot_id, slot in self.slots.items() if test(slot)]

    def draw_id(self, data: st.DataObject, test: Test) -> int:
        return data.draw(st.sampled_from(self.where(test)))

    def draw(self, data: st.DataObject, test: Test) -> Slot:
        return self.slots[self.draw_id(data, test)]

    def free(self, key: str) -> list[int]:
        return self.where(lambda slot: slot.key == key and slot.ready and not slot.retired and slot.busy_with is None)


def assign_request(request: str, key: str) -> bytes:
    meta = pb.Meta(key=key, runtime="python", timeout_in_secs=60, memory_in_mb=MEMORY_MB[key])
    return pb.AssignRequest(request_id=request, meta_data=meta).SerializeToString()
