"""Random interleavings of all that a host may tell the engine, checked against what a platform and its clients see."""

from __future__ import annotations

from contextlib import suppress

import pytest
from checked_host import ASSIGN_DEADLINE_NS, MAX_WAITING, MEMORY_MB, MS, STATES, CheckedHost, assign_request
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from pilotlight.errors import Draining, InstanceNotFound, InvalidRequest, Overloaded
from pilotlight.wire import simulator_pb2 as pb

ENDS = ("destroyed", "never_created", "written_off")

keys = st.sampled_from(sorted(MEMORY_MB))
pauses = st.sampled_from([0, 1, 20, 300, 2_000, 60_000]).map(lambda ms: ms * MS)


class ScalerMachine(CheckedHost):
    """A host, a platform and clients around one engine. Subclasses choose the policy."""

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
