"""The engine as Python sees it: replies, commands, errors and the ledger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pilotlight._core import CreateSlot, DestroySlot, Init, Outcome, Scaler, Wake, policies
from pilotlight.errors import ConfigError, Draining, InstanceNotFound, Overloaded, PilotlightError, SlotNotFound
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight._core import Command

S = 1_000_000_000
LEDGER_PAGE = Path(__file__).resolve().parents[2] / "docs" / "ledger.md"


def assign(scaler: Scaler, now: int, request_id: str, key: str = "a", deadline: int | None = None) -> bytes | Outcome:
    meta = wire.Meta(key=key, runtime="go", timeout_in_secs=60, memory_in_mb=1024)
    request = wire.AssignRequest(request_id=request_id, meta_data=meta)
    return scaler.assign(now, request.SerializeToString(), deadline)


def queue(scaler: Scaler, now: int, request_id: str, deadline: int | None = None) -> tuple[int, list[Command]]:
    """Assign where nothing is free: the waiter and the commands."""
    outcome = assign(scaler, now, request_id, deadline=deadline)
    assert isinstance(outcome, Outcome)
    assert outcome.reply is None
    assert outcome.waiter is not None
    return outcome.waiter, outcome.commands


def start(scaler: Scaler, now: int, commands: list[Command]) -> list[Command]:
    """Carry out a CreateSlot and its Init at once."""
    (create,) = commands
    assert isinstance(create, CreateSlot)
    (init,) = scaler.slot_created(now, create.slot, 0)
    assert isinstance(init, Init)
    return scaler.instance_ready(now, init.slot, 0)


def busy(scaler: Scaler, now: int, request_id: str) -> wire.Assignment:
    """Start an instance for a request."""
    _, commands = queue(scaler, now, request_id)
    (wake,) = start(scaler, now, commands)
    assert isinstance(wake, Wake)
    assert wake.reply is not None
    return wire.AssignReply.FromString(wake.reply).assigment


def idle(scaler: Scaler, now: int, assignment: wire.Assignment, need_destroy: bool | None = None) -> bytes | Outcome:
    result = wire.Result(status_code=200, need_destroy=need_destroy)
    return scaler.idle(now, wire.IdleRequest(assigment=assignment, result=result).SerializeToString())


def renamed(assignment: wire.Assignment, **fields: str) -> wire.Assignment:
    changed = wire.Assignment()
    changed.CopyFrom(assignment)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def test_a_cold_start_creates_inits_and_wakes() -> None:
    scaler = Scaler(boot_id=7)
    waiter, (create,) = queue(scaler, 0, "r1")
    assert isinstance(create, CreateSlot)
    assert (create.memory_mb, create.key) == (1024, "a")
    (init,) = scaler.slot_created(S, create.slot, S)
    assert isinstance(init, Init)
    assert (init.slot, init.key, init.runtime, init.timeout_s, init.memory_mb) == (create.slot, "a", "go", 60, 1024)
    (wake,) = scaler.instance_ready(2 * S, init.slot, S)
    assert isinstance(wake, Wake)
    assert (wake.waiter, wake.error) == (waiter, None)
    assert wake.reply is not None
    assert wire.AssignReply.FromString(wake.reply).assigment.instance_id == init.instance_id
    ledger = scaler.snapshot(2 * S)
    assert (ledger["cold_starts"], ledger["wait_s"]["cold_start"], ledger["gb_s"]["starting"]) == (1, 2.0, 2.0)


def test_the_warm_path_answers_with_bytes_alone() -> None:
    scaler = Scaler()
    first = busy(scaler, 0, "r1")
    assert isinstance(idle(scaler, S, first), bytes)
    reply = assign(scaler, 2 * S, "r2")
    assert isinstance(reply, bytes)
    second = wire.AssignReply.FromString(reply).assigment
    assert (second.request_id, second.instance_id) == ("r2", first.instance_id)


def test_a_freed_instance_serves_the_waiting_request() -> None:
    scaler = Scaler()
    first = busy(scaler, 0, "r1")
    waiter, _ = queue(scaler, S, "r2")
    outcome = idle(scaler, 2 * S, first)
    assert isinstance(outcome, Outcome)
    assert outcome.reply is not None
    assert wire.IdleReply.FromString(outcome.reply).status == wire.Ok
    (wake,) = outcome.commands
    assert isinstance(wake, Wake)
    assert wake.waiter == waiter
    assert scaler.snapshot(2 * S)["handoffs"] == 1


def test_an_idle_of_an_instance_that_is_not_known_is_refused_and_counted() -> None:
    scaler = Scaler(boot_id=7)
    known = busy(scaler, 0, "r1")
    other_process = f"{8:08x}" + known.instance_id[8:]
    never_made = known.instance_id[:-1] + "9"
    for instance_id in ["", "i-1", other_process, never_made, known.instance_id.upper() + "0"]:
        with pytest.raises(InstanceNotFound, match=re.escape(f"`a` has no instance `{instance_id}`")):
            idle(scaler, S, renamed(known, instance_id=instance_id))
    assign(scaler, S, "r2", key="b")
    with pytest.raises(InstanceNotFound):
        idle(scaler, S, renamed(known, meta_key="b"))
    ledger = scaler.snapshot(S)
    assert (ledger["idle_unknown"], ledger["slots"]["busy"]) == (6, 1)


def test_a_late_idle_changes_nothing_but_its_reply() -> None:
    scaler = Scaler()
    first = busy(scaler, 0, "r1")
    idle(scaler, S, first)
    assign(scaler, 2 * S, "r2")
    assert isinstance(idle(scaler, 3 * S, first), bytes)
    ledger = scaler.snapshot(3 * S)
    assert (ledger["idles"], ledger["idle_duplicates"], ledger["slots"]["busy"]) == (1, 1, 1)


def test_a_bad_instance_is_destroyed() -> None:
    scaler = Scaler()
    outcome = idle(scaler, S, busy(scaler, 0, "r1"), need_destroy=True)
    assert isinstance(outcome, Outcome)
    (destroy,) = outcome.commands
    assert isinstance(destroy, DestroySlot)
    assert destroy.reason == "bad instance"
    assert scaler.destroy_failed(S, destroy.slot) == []
    assert scaler.tick(S) == []
    due = scaler.next_wakeup_ns()
    assert due is not None
    (again,) = scaler.tick(due)
    assert isinstance(again, DestroySlot)
    assert scaler.slot_destroyed(due, again.slot) == []
    assert scaler.live_slots == 0


@pytest.mark.parametrize(("own", "expected"), [(None, 5 * S), (3 * S, 3 * S), (9 * S, 5 * S)])
def test_a_request_waits_until_the_earlier_deadline(own: int | None, expected: int) -> None:
    scaler = Scaler(assign_deadline_ns=5 * S)
    waiter, _ = queue(scaler, 0, "r1", deadline=own)
    assert scaler.next_wakeup_ns() == expected
    assert scaler.tick(expected - 1) == []
    (wake,) = scaler.tick(expected)
    assert isinstance(wake, Wake)
    assert (wake.waiter, wake.reply) == (waiter, None)
    assert wake.error is not None
    assert wake.error[0] == "deadline"


def test_a_request_whose_starts_fail_learns_the_reason() -> None:
    scaler = Scaler(start_attempts=2)
    waiter, (create,) = queue(scaler, 0, "r1")
    assert isinstance(create, CreateSlot)
    (again,) = scaler.start_failed(S, create.slot, "create", "no room")
    assert isinstance(again, CreateSlot)
    (init,) = scaler.slot_created(2 * S, again.slot, S)
    assert isinstance(init, Init)
    commands = scaler.start_failed(3 * S, init.slot, "init", "image not found")
    (wake,) = [command for command in commands if isinstance(command, Wake)]
    text = "starting an instance failed: image not found"
    assert (wake.waiter, wake.reply, wake.error) == (waiter, None, ("start_failed", text))
    assert [type(command) for command in commands if command is not wake] == [DestroySlot]


def test_a_slot_that_may_exist_is_leaked_until_its_late_answer() -> None:
    scaler = Scaler(start_attempts=1)
    _, (create,) = queue(scaler, 0, "r1")
    assert isinstance(create, CreateSlot)
    scaler.start_failed(S, create.slot, "create", "timeout", may_exist=True)
    assert scaler.snapshot(S)["slots"]["leaked"] == 1
    (destroy,) = scaler.slot_created(2 * S, create.slot, 2 * S)
    assert isinstance(destroy, DestroySlot)
    assert scaler.slot_destroyed(3 * S, destroy.slot) == []
    assert scaler.live_slots == 0


def test_a_cancelled_request_is_not_woken() -> None:
    scaler = Scaler()
    waiter, commands = queue(scaler, 0, "r1")
    assert scaler.cancel(S, waiter)
    assert not scaler.cancel(S, waiter)
    (create,) = commands
    assert isinstance(create, CreateSlot)
    assert not any(isinstance(command, Wake) for command in scaler.slot_created(2 * S, create.slot, S))
    assert scaler.snapshot(2 * S)["cancelled"] == 1


def test_an_undelivered_instance_comes_back_once() -> None:
    scaler = Scaler()
    idle(scaler, S, busy(scaler, 0, "r1"))
    reply = assign(scaler, 2 * S, "r2")
    assert isinstance(reply, bytes)
    assert scaler.abandon(3 * S, reply) == []
    assert scaler.abandon(3 * S, reply) == []
    ledger = scaler.snapshot(3 * S)
    assert (ledger["abandoned"], ledger["slots"]["idle"]) == (1, 1)


def test_limits_refuse_with_the_setting_to_raise() -> None:
    scaler = Scaler(max_functions=1, max_waiting=1)
    queue(scaler, 0, "r1")
    with pytest.raises(Overloaded, match="max_waiting"):
        assign(scaler, 0, "r2")
    with pytest.raises(Overloaded, match="max_functions"):
        assign(scaler, 0, "r3", key="b")


def test_functions_at_rest_give_way_to_new_ones_and_the_totals_keep_what_they_booked() -> None:
    scaler = Scaler(policy="fixed", max_functions=1)
    for number in range(20):
        outcome = assign(scaler, number * S, "r", key=f"f{number}")
        assert isinstance(outcome, Outcome)
        assert outcome.waiter is not None
        (create,) = outcome.commands
        assert isinstance(create, CreateSlot)
        with pytest.raises(Overloaded, match=r"1 functions with slots or requests.*raise max_functions"):
            assign(scaler, number * S, "r", key="another")
        assert scaler.cancel(number * S, outcome.waiter)
        assert scaler.start_failed(number * S, create.slot, "create", "told to") == []
    ledger = scaler.snapshot(20 * S)
    assert (ledger["functions_count"], ledger["functions_given_up"], ledger["functions_refused"]) == (1, 19, 20)
    assert scaler.functions_refused == 20
    assert ledger["starts"] == 20


def test_a_function_whose_requests_all_wait_leaves_places_to_others() -> None:
    scaler = Scaler(max_waiting=10)
    for number in range(9):
        queue(scaler, 0, f"r{number}")
    with pytest.raises(Overloaded, match=r"9 requests of this function waiting.*10 that may wait.*raise max_waiting"):
        assign(scaler, 0, "r9")
    assert isinstance(assign(scaler, 0, "r10", key="b"), Outcome)


@pytest.mark.parametrize(
    ("limit", "setting"),
    [
        ({"max_slots": 1}, "max_slots"),
        ({"max_memory_mb": 1500}, "max_memory"),
        ({"max_starts_per_second": 1}, "max_starts_per_second"),
    ],
)
def test_a_start_beyond_a_limit_waits_and_its_request_is_told_which_limit_it_was(
    limit: dict[str, int], setting: str
) -> None:
    scaler = Scaler(policy="fixed", **limit)
    queue(scaler, 0, "r1")
    waiter, commands = queue(scaler, 0, "r2", deadline=S // 2)
    assert commands == []
    (wake,) = scaler.tick(S // 2)
    assert isinstance(wake, Wake)
    assert wake.waiter == waiter
    assert wake.error is not None
    assert wake.error[0] == "deadline"
    assert f"raise {setting})" in wake.error[1]


def test_a_limit_on_starts_beside_requests_bound_to_their_own_start_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"fixed:handoff=none.*max_slots.* need handoff=oldest"):
        Scaler(policy="fixed:handoff=none", max_slots=5)


def test_a_drain_answers_everyone_and_leaves_nothing() -> None:
    scaler = Scaler(policy="fixed", max_waiting=10)
    busy(scaler, 0, "r1")
    waiter, (create,) = queue(scaler, S, "r2")
    assert isinstance(create, CreateSlot)
    (wake,) = scaler.drain(2 * S)
    assert isinstance(wake, Wake)
    assert (wake.waiter, wake.reply, wake.error) == (waiter, None, ("shutting_down", "the scaler is shutting down"))
    with pytest.raises(Draining):
        assign(scaler, 3 * S, "r3")
    destroys = [*scaler.slot_created(3 * S, create.slot, S), *scaler.abandon_busy(4 * S)]
    for destroy in destroys:
        assert isinstance(destroy, DestroySlot)
        scaler.slot_destroyed(5 * S, destroy.slot)
    assert scaler.live_slots == 0


@pytest.mark.parametrize(
    "report",
    [
        lambda scaler: scaler.slot_created(0, 5, 0),
        lambda scaler: scaler.instance_ready(0, 5, 0),
        lambda scaler: scaler.start_failed(0, 5, "create", "x"),
        lambda scaler: scaler.start_failed(0, 5, "init", "x"),
        lambda scaler: scaler.slot_destroyed(0, 5),
        lambda scaler: scaler.destroy_failed(0, 5),
    ],
)
def test_a_report_of_an_unknown_slot_is_refused(report: Callable[[Scaler], list[Command]]) -> None:
    with pytest.raises(SlotNotFound, match="5"):
        report(Scaler())


def test_a_stage_is_create_or_init() -> None:
    with pytest.raises(ValueError, match="destroy"):
        Scaler().start_failed(0, 0, "destroy", "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"policy": "ttl"}, "`ttl`"),
        ({"policy": "fixed:keep_alive=5"}, "keep_alive"),
        ({"start_attempts": 0}, "start_attempts"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        Scaler(**settings)
    assert isinstance(caught.value, PilotlightError)
    assert isinstance(caught.value, ValueError)


def test_commands_compare_by_value_and_cannot_change() -> None:
    def first_two() -> list[Command]:
        scaler = Scaler()
        return [*queue(scaler, 0, "r1")[1], *queue(scaler, 0, "r2")[1]]

    create, other = first_two()
    assert [create, other] == first_two()
    assert hash(create) == hash(first_two()[0])
    assert create != other
    assert repr(create) == 'CreateSlot(slot=0, memory_mb=1024, key="a")'
    match create:
        case CreateSlot(slot, memory_mb, key):
            assert (slot, memory_mb, key) == (0, 1024, "a")
        case _:
            pytest.fail("a CreateSlot matches by position")
    with pytest.raises(AttributeError):
        create.slot = 1  # type: ignore[misc]


def test_every_listed_policy_makes_a_scaler() -> None:
    for policy in policies():
        defaults = ",".join(f"{each['name']}={each['default']}" for each in policy["parameters"])
        assert policy["summary"]
        assert policy["source"]
        Scaler(policy=f"{policy['name']}:{defaults}")


def test_every_key_of_the_ledger_is_documented_and_no_other() -> None:
    scaler = Scaler()
    busy(scaler, 0, "r1")
    ledger = scaler.snapshot(S, per_function=True)
    (function,) = ledger["functions"]
    keys = set(ledger) | set(function)
    for nested in ("slots", "wait_s", "gb_s"):
        keys |= {f"{nested}.{key}" for key in ledger[nested]}
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", LEDGER_PAGE.read_text("utf-8"), re.MULTILINE))
    assert documented == keys
