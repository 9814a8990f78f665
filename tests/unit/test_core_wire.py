"""The core's own reading and writing of the protocol, against the generated messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight._core import CreateSlot, Init, Outcome, Scaler, Wake
from pilotlight.errors import InvalidRequest
from pilotlight.wire import simulator_pb2 as wire

META = wire.Meta(key="nodes1", runtime="go", timeout_in_secs=627, memory_in_mb=512)
GOOD = wire.AssignRequest(request_id="r1", timestamp=1685980824304, meta_data=META)


def assign_cold(scaler: Scaler, request: bytes) -> tuple[CreateSlot, Init, Wake]:
    """Play the first Assign of a function until its request is woken."""
    outcome = scaler.assign(0, request)
    assert isinstance(outcome, Outcome)
    (create,) = outcome.commands
    assert isinstance(create, CreateSlot)
    (init,) = scaler.slot_created(1, create.slot, 1)
    assert isinstance(init, Init)
    (wake,) = scaler.instance_ready(2, init.slot, 1)
    assert isinstance(wake, Wake)
    return create, init, wake


@given(
    request_id=st.text(),
    key=st.text(min_size=1),
    runtime=st.text(),
    timeout_s=st.integers(0, 2**32 - 1),
    memory_mb=st.integers(1, 16 * 1024 * 1024),
)
def test_every_field_of_an_assign_arrives(
    request_id: str, key: str, runtime: str, timeout_s: int, memory_mb: int
) -> None:
    meta = wire.Meta(key=key, runtime=runtime, timeout_in_secs=timeout_s, memory_in_mb=memory_mb)
    request = wire.AssignRequest(request_id=request_id, timestamp=2**64 - 1, meta_data=meta)
    create, init, wake = assign_cold(Scaler(), request.SerializeToString())
    assert (create.key, create.memory_mb) == (key, memory_mb)
    assert (init.key, init.runtime, init.timeout_s, init.memory_mb) == (key, runtime, timeout_s, memory_mb)
    assert wake.reply is not None
    reply = wire.AssignReply.FromString(wake.reply)
    assert reply == wire.AssignReply(
        status=wire.Ok,
        assigment=wire.Assignment(request_id=request_id, meta_key=key, instance_id=init.instance_id),
    )


def test_warm_and_woken_replies_are_the_same_message() -> None:
    scaler = Scaler()
    _, _, wake = assign_cold(scaler, GOOD.SerializeToString())
    assert wake.reply is not None
    assignment = wire.AssignReply.FromString(wake.reply).assigment
    scaler.idle(3, wire.IdleRequest(assigment=assignment, result=wire.Result(status_code=200)).SerializeToString())
    assert scaler.assign(4, GOOD.SerializeToString()) == wake.reply


def test_fields_that_the_core_does_not_know_are_skipped() -> None:
    unknown = bytes([15 << 3 | 2, 3]) + b"new"
    outcome = Scaler().assign(0, GOOD.SerializeToString() + unknown)
    assert isinstance(outcome, Outcome)


def test_an_instance_id_names_process_and_slot() -> None:
    create, init, _ = assign_cold(Scaler(boot_id=0xABC), GOOD.SerializeToString())
    assert init.instance_id == f"{0xABC:08x}-{create.slot:016x}"


def test_two_scalers_without_a_boot_id_differ() -> None:
    names = {assign_cold(Scaler(), GOOD.SerializeToString())[1].instance_id for _ in range(2)}
    assert len(names) == 2


def test_an_idle_is_answered_with_ok() -> None:
    scaler = Scaler()
    _, _, wake = assign_cold(scaler, GOOD.SerializeToString())
    assert wake.reply is not None
    assignment = wire.AssignReply.FromString(wake.reply).assigment
    reply = scaler.idle(3, wire.IdleRequest(assigment=assignment).SerializeToString())
    assert isinstance(reply, bytes)
    assert wire.IdleReply.FromString(reply) == wire.IdleReply(status=wire.Ok)


def test_an_idle_of_a_function_never_seen_is_answered_with_an_internal_error() -> None:
    request = wire.IdleRequest(assigment=wire.Assignment(request_id="r1", meta_key="nodes1", instance_id="x"))
    reply = Scaler().idle(0, request.SerializeToString())
    assert isinstance(reply, bytes)
    decoded = wire.IdleReply.FromString(reply)
    assert decoded.status == wire.InternalError
    assert "`nodes1`" in decoded.error_message


@pytest.mark.parametrize(
    ("request_bytes", "named"),
    [
        (b"\xff", "AssignRequest"),
        (b"\x0a\x02\xc3\x28", "AssignRequest.request_id"),
        (b"", "AssignRequest.meta_data is missing"),
        (wire.AssignRequest(meta_data=wire.Meta(memory_in_mb=1)).SerializeToString(), "meta_data.key is empty"),
        (wire.AssignRequest(meta_data=wire.Meta(key="a")).SerializeToString(), "meta_data.memory_in_mb is 0"),
        (
            wire.AssignRequest(meta_data=wire.Meta(key="a", memory_in_mb=16 * 1024 * 1024 + 1)).SerializeToString(),
            "meta_data.memory_in_mb is 16777217: allowed are 1 to 16777216",
        ),
        (
            wire.AssignRequest(meta_data=wire.Meta(key="a", memory_in_mb=2**32 + 1)).SerializeToString(),
            "meta_data.memory_in_mb is 4294967297",
        ),
    ],
)
def test_an_unusable_assign_is_refused_by_field(request_bytes: bytes, named: str) -> None:
    scaler = Scaler()
    with pytest.raises(InvalidRequest) as caught:
        scaler.assign(0, request_bytes)
    assert named in str(caught.value)
    assert scaler.snapshot(0)["functions_count"] == 0


@pytest.mark.parametrize(
    ("request_bytes", "named"), [(b"\xff", "IdleRequest"), (b"", "IdleRequest.assigment is missing")]
)
def test_an_unusable_idle_is_refused_by_field(request_bytes: bytes, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Scaler().idle(0, request_bytes)
    assert named in str(caught.value)


@pytest.mark.parametrize("reply", [b"\xff", b""])
def test_only_a_reply_with_an_instance_can_be_abandoned(reply: bytes) -> None:
    with pytest.raises(InvalidRequest, match="AssignReply"):
        Scaler().abandon(0, reply)


@pytest.mark.parametrize("field", ["request_id", "key", "runtime"])
def test_a_text_that_nobody_needs_is_refused(field: str) -> None:
    request = wire.AssignRequest(request_id="r", meta_data=META)
    setattr(request if field == "request_id" else request.meta_data, field, "x" * 1025)
    with pytest.raises(InvalidRequest, match=f"{field} has 1025 bytes: allowed are 1024"):
        Scaler().assign(1, request.SerializeToString())


def test_a_platforms_long_reason_reaches_the_client_in_short() -> None:
    scaler = Scaler(start_attempts=1)
    outcome = scaler.assign(0, GOOD.SerializeToString())
    assert isinstance(outcome, Outcome)
    (create,) = outcome.commands
    assert isinstance(create, CreateSlot)
    wakes = [
        command for command in scaler.start_failed(1, create.slot, "create", "ü" * 100_000) if isinstance(command, Wake)
    ]
    assert wakes[0].error is not None
    _, text = wakes[0].error
    assert "üüü" in text
    assert len(text.encode()) <= 1024
