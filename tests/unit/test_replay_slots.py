"""The platform's rules, without sockets."""

import pytest

from pilotlight.replay.slots import Function, Slot, SlotRefused, SlotState, SlotTable, uuids
from pilotlight.wire import simulator_pb2 as wire

MB_S = 1_000_000_000


@pytest.fixture
def slots() -> SlotTable:
    table = SlotTable(uuids("1"))
    table.functions = {"small": Function(128, 5), "alike": Function(128, 7), "large": Function(512, 5)}
    return table


def created(slots: SlotTable, memory_mb: int = 128) -> Slot:
    slot = slots.begin_create(memory_mb, 0)
    slot.state = SlotState.CREATED
    return slot


def refusal(caught: pytest.ExceptionInfo[SlotRefused]) -> tuple[int, str]:
    return caught.value.status, str(caught.value)


def test_created_slot_serves_any_function_of_its_memory(slots: SlotTable) -> None:
    for key, init_ns in (("small", 5), ("alike", 7)):
        slot, function = slots.begin_init(created(slots).slot_id, f"of-{key}", key)
        assert (slot.key, slot.state, function.init_ns) == (key, SlotState.INITIALISING, init_ns)
        assert slots.instance(f"of-{key}") is slot


@pytest.mark.parametrize("state", [SlotState.INITIALISING, SlotState.READY])
def test_slot_is_initialised_once(slots: SlotTable, state: SlotState) -> None:
    slot = created(slots)
    slots.begin_init(slot.slot_id, "first", "small")
    slot.state = state
    with pytest.raises(SlotRefused) as caught:
        slots.begin_init(slot.slot_id, "second", "small")
    assert refusal(caught) == (wire.InvalidArgument, f"slot {slot.slot_id} is already allocated")
    assert slots.instance("second") is None


def test_slot_of_other_memory_is_refused_and_stays_usable(slots: SlotTable) -> None:
    slot = created(slots, 128)
    with pytest.raises(SlotRefused) as caught:
        slots.begin_init(slot.slot_id, "i", "large")
    assert refusal(caught) == (wire.InvalidArgument, f"slot {slot.slot_id} has 128 MB, function 'large' needs 512 MB")
    slots.begin_init(slot.slot_id, "i", "small")


def test_slot_being_created_cannot_be_initialised(slots: SlotTable) -> None:
    slot = slots.begin_create(128, 0)
    with pytest.raises(SlotRefused) as caught:
        slots.begin_init(slot.slot_id, "i", "small")
    assert caught.value.status == wire.NotFound


@pytest.mark.parametrize(
    ("slot_id", "instance_id", "key", "status"),
    [
        ("nowhere", "i", "small", wire.NotFound),
        (None, "i", "nobody", wire.NotFound),
        (None, "", "small", wire.InvalidArgument),
        (None, "taken", "small", wire.InvalidArgument),
    ],
)
def test_init_names_a_slot_a_function_and_a_new_instance(
    slots: SlotTable, slot_id: str | None, instance_id: str, key: str, status: int
) -> None:
    slots.begin_init(created(slots).slot_id, "taken", "small")
    with pytest.raises(SlotRefused) as caught:
        slots.begin_init(slot_id or created(slots).slot_id, instance_id, key)
    assert caught.value.status == status


@pytest.mark.parametrize("state", list(SlotState))
def test_slot_is_destroyed_in_any_state_and_only_once(slots: SlotTable, state: SlotState) -> None:
    slot = created(slots)
    slots.begin_init(slot.slot_id, "i", "small")
    slot.state = state
    slots.destroy(slot.slot_id, 0)
    assert slots.instance("i") is None
    with pytest.raises(SlotRefused) as caught:
        slots.destroy(slot.slot_id, 0)
    assert refusal(caught) == (wire.NotFound, f"slot {slot.slot_id} not found")


def test_slot_without_memory_is_refused(slots: SlotTable) -> None:
    with pytest.raises(SlotRefused) as caught:
        slots.begin_create(0, 0)
    assert caught.value.status == wire.InvalidArgument
    assert slots.account(0).live == 0


def test_slot_costs_from_the_start_of_its_creation_to_its_end(slots: SlotTable) -> None:
    first = slots.begin_create(128, 10 * MB_S)
    second = slots.begin_create(512, 20 * MB_S)
    assert slots.account(30 * MB_S).held_mb_ns == (128 * 20 + 512 * 10) * MB_S
    slots.destroy(first.slot_id, 40 * MB_S)
    slots.destroy(second.slot_id, 45 * MB_S)
    account = slots.account(1000 * MB_S)
    assert account.held_mb_ns == (128 * 30 + 512 * 25) * MB_S
    assert (account.live, account.created, account.destroyed_busy) == (0, 2, 0)


def test_slot_destroyed_under_a_request_is_noted(slots: SlotTable) -> None:
    slot = created(slots)
    slot.busy = True
    slots.destroy(slot.slot_id, 0)
    assert slots.account(0).destroyed_busy == 1


def test_slot_ids_repeat_with_the_seed_only() -> None:
    ids = [[SlotTable(uuids(seed)).begin_create(1, 0).slot_id for _ in range(2)] for seed in ("1", "2")]
    assert ids[0][0] == ids[0][1] != ids[1][0]
