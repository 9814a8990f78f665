"""Random interleavings of all that a host may tell the engine, checked against what a platform and its clients see."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pilotlight._core import CreateSlot, DestroySlot, Init, Scaler, Wake
from pilotlight.errors import Draining, InstanceNotFound, InvalidRequest, Overloaded
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
ENDS = ("destroyed", "never_created", "written_off")
STATES = ("starting", "idle", "busy", "retiring", "leaked")

keys = st.sampled_from(sorted(MEMORY_MB))
pauses = st.sampled_from([0, 1, 20, 300, 2_000, 60_000]).map(lambda ms: ms * MS)


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


class ScalerMachine(RuleBasedStateMachine):
    """A host, a platform and clients around one engine. Subclasses choose the policy."""

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

    # What clients do.

    @rule(key=keys, patience=st.none() | pauses)
    def assign(self, key: str, patience: int | None) -> None:
        self.requests += 1
        request = f"r{self.requests}"
        deadline = None if patience is None else self.now + patience
        try:
            outcome = self.scaler.assign(self.now, assign_request(request, key), deadline)
        except Draining:
            assert self.draining
            return
        except Overloaded as error:
            if "max_functions" in str(error):
                assert len(self.slots) + len(self.waiting) >= self.max_functions, "all functions are in use"
                return
            own = sum(waits == key for _, waits, _ in self.waiting.values())
            assert len(self.waiting) == MAX_WAITING or own > 4 * (MAX_WAITING - len(self.waiting))
            assert not self.free(key)
            return
        assert not self.draining
        self.outcomes["assign"] += 1
        if isinstance(outcome, bytes):
            self.check_reply(outcome, request, key)
            return
        if outcome.waiter is not None:
            limit = self.now + ASSIGN_DEADLINE_NS
            self.waiting[outcome.waiter] = (request, key, limit if deadline is None else min(limit, deadline))
        self.check_outcome(outcome, request, key)

    def check_outcome(self, outcome: Outcome, request: str, key: str) -> None:
        assert (outcome.reply is None) != (outcome.waiter is None)
        if outcome.reply is not None:
            self.check_reply(outcome.reply, request, key)
        self.carry_out(outcome.commands)

    @rule(data=st.data(), bad=st.booleans(), status=st.sampled_from([200, 500, 500]))
    @precondition(lambda self: self.where(lambda slot: slot.busy_with))
    def end_request(self, data: st.DataObject, bad: bool, status: int) -> None:
        slot = self.draw(data, lambda slot: slot.busy_with)
        request, slot.busy_with = slot.busy_with, None
        assert self.idle(request, slot.key, slot.instance_id, bad, status) == pb.Ok
        assert slot.retired or not bad, "a bad instance is destroyed"

    @rule(data=st.data(), bad=st.booleans())
    @precondition(lambda self: self.where(lambda slot: slot.last_request))
    def end_request_again(self, data: st.DataObject, bad: bool) -> None:
        slot = self.draw(data, lambda slot: slot.last_request)
        stale = slot.last_request if slot.busy_with is None else "another request"
        before = (slot.busy_with, slot.retired)
        try:
            assert self.idle(stale, slot.key, slot.instance_id, bad) == pb.Ok
        except InstanceNotFound:
            assert slot.retired
        assert (slot.busy_with, slot.retired) == before, "a late Idle changes nothing"

    @rule(key=keys, instance_id=st.sampled_from(["", "foreign", "00000008-1-1", "x" * 300]), bad=st.booleans())
    def end_a_foreign_request(self, key: str, instance_id: str, bad: bool) -> None:
        with suppress(InstanceNotFound):
            assert self.idle("r", key, instance_id, bad) == pb.InternalError

    @rule(junk=st.binary(max_size=40))
    def send_junk(self, junk: bytes) -> None:
        for message, call in ((pb.AssignRequest, self.scaler.assign), (pb.IdleRequest, self.scaler.idle)):
            if not is_usable(message, junk):
                with pytest.raises(InvalidRequest):
                    call(self.now, junk)

    @rule(data=st.data())
    @precondition(lambda self: self.waiting)
    def cancel(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.scaler.cancel(self.now, waiter)
        del self.waiting[waiter]
        self.outcomes["error"] += 1
        assert not self.scaler.cancel(self.now, waiter)

    @rule(data=st.data())
    @precondition(lambda self: self.woken)
    def cancel_too_late(self, data: st.DataObject) -> None:
        assert not self.scaler.cancel(self.now, data.draw(st.sampled_from(sorted(self.woken))))

    @rule(data=st.data())
    @precondition(lambda self: self.where(lambda slot: slot.busy_with))
    def lose_a_reply(self, data: st.DataObject) -> None:
        slot = self.draw(data, lambda slot: slot.busy_with)
        assignment = pb.Assignment(request_id=slot.busy_with, meta_key=slot.key, instance_id=slot.instance_id)
        slot.busy_with = None
        self.carry_out(self.scaler.abandon(self.now, pb.AssignReply(assigment=assignment).SerializeToString()))

    # What the platform answers.

    @rule(data=st.data(), result=st.sampled_from(["ok", "ok", "failed", "unanswered", "throttled"]))
    @precondition(lambda self: self.where(lambda slot: slot.call == "create"))
    def answer_create(self, data: st.DataObject, result: str) -> None:
        self.settle_create(self.draw_id(data, lambda slot: slot.call == "create"), result)

    @rule(data=st.data(), result=st.sampled_from(["ok", "failed", "unanswered"]))
    @precondition(lambda self: self.where(lambda slot: slot.call == "late"))
    def answer_create_late(self, data: st.DataObject, result: str) -> None:
        self.settle_create(self.draw_id(data, lambda slot: slot.call == "late"), result)

    def settle_create(self, slot_id: int, result: str) -> None:
        slot = self.slots[slot_id]
        if result == "ok":
            late = slot.call == "late"
            slot.created, slot.call = True, None
            self.carry_out(self.scaler.slot_created(self.now, slot_id, 100 * MS))
            assert slot.destroying or not late, "a slot created late is destroyed"
            return
        self.failures += result != "throttled"
        if result in {"failed", "throttled"} or slot.call == "late":
            del self.slots[slot_id]
            self.ends["written_off" if result == "unanswered" else "never_created"] += 1
        slot.call = "late"
        told = {"may_exist": result == "unanswered", "throttled": result == "throttled"}
        self.carry_out(self.scaler.start_failed(self.now, slot_id, "create", "told to", **told))

    @rule(data=st.data(), works=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.where(lambda slot: slot.call == "init"))
    def answer_init(self, data: st.DataObject, works: bool) -> None:
        slot_id = self.draw_id(data, lambda slot: slot.call == "init")
        slot = self.slots[slot_id]
        slot.call = None
        if works:
            slot.ready = True
            self.carry_out(self.scaler.instance_ready(self.now, slot_id, 50 * MS))
            return
        self.failures += 1
        self.carry_out(self.scaler.start_failed(self.now, slot_id, "init", "told to"))
        assert slot.destroying, "a slot whose Init failed is destroyed"

    @rule(data=st.data(), works=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.where(lambda slot: slot.destroying))
    def answer_destroy(self, data: st.DataObject, works: bool) -> None:
        slot_id = self.draw_id(data, lambda slot: slot.destroying)
        if works:
            self.settle_destroy(slot_id)
        else:
            self.slots[slot_id].destroying = False
            self.carry_out(self.scaler.destroy_failed(self.now, slot_id))

    def settle_destroy(self, slot_id: int) -> None:
        del self.slots[slot_id]
        self.ends["destroyed"] += 1
        self.carry_out(self.scaler.slot_destroyed(self.now, slot_id))

    # Time and shutdown.

    @rule(pause=pauses)
    def let_time_pass(self, pause: int) -> None:
        self.now += pause

    @rule()
    def tick(self) -> None:
        for _ in range(1_000):
            self.carry_out(self.scaler.tick(self.now))
            wakeup = self.scaler.next_wakeup_ns()
            if wakeup is None or wakeup > self.now:
                break
        else:
            raise AssertionError("ticks do not come to an end")
        assert all(deadline > self.now for _, _, deadline in self.waiting.values()), "deadlines bound the wait"

    @rule()
    @precondition(lambda self: len(self.slots) > 3)
    def drain(self) -> None:
        self.draining = True
        self.carry_out(self.scaler.drain(self.now))
        assert not self.waiting
        assert not any(self.free(key) for key in MEMORY_MB)

    @rule()
    @precondition(lambda self: self.draining)
    def lose_patience(self) -> None:
        self.patience_over = True
        self.carry_out(self.scaler.abandon_busy(self.now))
        assert not self.where(lambda slot: slot.busy_with)

    # What is always true.

    @invariant()
    def the_engine_and_the_platform_agree(self) -> None:
        ledger = self.scaler.snapshot(self.now)
        assert self.scaler.live_slots == ledger["live_slots"] == sum(ledger["slots"].values()) == len(self.slots)
        assert ledger["slots"]["busy"] == len(self.where(lambda slot: slot.busy_with))
        assert ledger["slots"]["idle"] == sum(len(self.free(key)) for key in MEMORY_MB)
        assert ledger["slots"]["starting"] == len(
            self.where(lambda slot: not slot.retired and slot.call in ("create", "init"))
        )
        assert ledger["waiting"] == len(self.waiting)
        assert {end: ledger[end] for end in ENDS} == {end: self.ends[end] for end in ENDS}
        assert ledger["starts"] == ledger["live_slots"] + self.ends.total()

    @invariant()
    def every_assign_has_one_answer_or_waits(self) -> None:
        answered = self.outcomes["instance"] + self.outcomes["error"]
        assert self.outcomes["assign"] == answered + len(self.waiting)
        ledger = self.scaler.snapshot(self.now)
        assert ledger["warm_starts"] + ledger["cold_starts"] + ledger["handoffs"] == self.outcomes["instance"]

    @invariant()
    def nobody_waits_beside_a_free_instance(self) -> None:
        if self.shares:
            for _, key, _ in self.waiting.values():
                assert not self.free(key)

    @invariant()
    def whoever_waits_will_be_looked_at(self) -> None:
        assert not self.waiting or self.scaler.next_wakeup_ns() is not None

    @invariant()
    def limits_on_slots_memory_and_starts_hold(self) -> None:
        assert self.max_slots is None or len(self.slots) <= self.max_slots
        memory_mb = sum(slot.memory_mb for slot in self.slots.values())
        assert self.max_memory_mb is None or memory_mb <= self.max_memory_mb
        if self.max_starts_per_second is not None:
            lately = [at for at in self.starts if at > self.now - 1_000 * MS]
            assert len(lately) < 2 * self.max_starts_per_second, "as many as come in a second may come at once"

    @invariant()
    def held_memory_only_grows(self) -> None:
        held = self.scaler.snapshot(self.now)["gb_s"]
        for state in STATES:
            assert held[state] >= self.held[state] - 1e-9, state
        self.held = held

    def teardown(self) -> None:
        """Shut down with a platform that works: nothing may be left."""
        self.draining = self.patience_over = True
        self.carry_out(self.scaler.drain(self.now))
        self.carry_out(self.scaler.abandon_busy(self.now))
        for _ in range(10_000):
            if not self.slots:
                break
            self.now += 1_000 * MS
            self.tick()
            for slot_id, slot in list(self.slots.items()):
                if slot.call in ("create", "late"):
                    self.settle_create(slot_id, "ok")
                elif slot.destroying:
                    self.settle_destroy(slot_id)
        assert not self.slots
        assert self.scaler.live_slots == 0
        assert not self.waiting

    # Helpers.

    def where(self, test: Test) -> list[int]:
        return [slot_id for slot_id, slot in self.slots.items() if test(slot)]

    def draw_id(self, data: st.DataObject, test: Test) -> int:
        return data.draw(st.sampled_from(self.where(test)))

    def draw(self, data: st.DataObject, test: Test) -> Slot:
        return self.slots[self.draw_id(data, test)]

    def free(self, key: str) -> list[int]:
        return self.where(lambda slot: slot.key == key and slot.ready and not slot.retired and slot.busy_with is None)

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


def assign_request(request: str, key: str) -> bytes:
    meta = pb.Meta(key=key, runtime="python", timeout_in_secs=60, memory_in_mb=MEMORY_MB[key])
    return pb.AssignRequest(request_id=request, meta_data=meta).SerializeToString()


def is_usable(message: type[pb.AssignRequest | pb.IdleRequest], junk: bytes) -> bool:
    """Tell whether random bytes happen to be a request that names a function or an instance."""
    try:
        parsed = message.FromString(junk)
    except Exception:  # noqa: BLE001 - DecodeError's module is not public
        return False
    return parsed.HasField("meta_data" if message is pb.AssignRequest else "assigment")


class BreakEvenSharing(ScalerMachine):
    policy = "break_even"


class FixedKeeping(ScalerMachine):
    policy = "fixed:keep_alive=300ms,surplus=keep"


class OwnStarts(ScalerMachine):
    policy = "fixed:keep_alive=2s,handoff=none,surplus=keep"
    shares = False


class FewFunctions(ScalerMachine):
    policy = "fixed:keep_alive=300ms"
    max_functions = 1


class Limited(ScalerMachine):
    policy = "level_gap"
    max_slots = 4
    max_memory_mb = 600
    max_starts_per_second = 3


_BOUNDED = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestBreakEvenSharing = BreakEvenSharing.TestCase
TestFixedKeeping = FixedKeeping.TestCase
TestOwnStarts = OwnStarts.TestCase
TestFewFunctions = FewFunctions.TestCase
TestLimited = Limited.TestCase
for machine in (TestBreakEvenSharing, TestFixedKeeping, TestOwnStarts, TestFewFunctions, TestLimited):
    machine.settings = _BOUNDED
