"""Answers of a remote platform that contradict the request: none is taken for a success, and no slot is forgotten."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreateUnansweredError, Function
from pilotlight.platform.grpc import SERVICE, GrpcPlatform
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FUNCTION = Function(key="f", runtime="python", timeout_s=60, memory_mb=1024)
NO_MESSAGE = b"\xff"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[GrpcPlatform]:
    """Serve a platform that gives every call the same bytes."""

    async def give(_request: bytes, _context: Any) -> bytes:  # noqa: ANN401
        return answer

    server = grpc.aio.server()
    methods = {name: grpc.unary_unary_rpc_method_handler(give) for name in ("CreateSlot", "Init", "DestroySlot")}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    platform = GrpcPlatform(f"127.0.0.1:{port}", create_timeout=30.0)
    try:
        yield platform
    finally:
        await platform.close()
        await server.stop(None)


def slot(memory_mb: int) -> pb.Slot:
    return pb.Slot(id="s1", resource_config=pb.ResourceConfig(memory_in_megabytes=memory_mb))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (pb.CreateSlotReply(slot=slot(64)), "made slot s1 with 64 MB"),
        (pb.CreateSlotReply(slot=slot(2048)), "made slot s1 with 2048 MB"),
        (pb.CreateSlotReply(status=pb.InternalError, slot=slot(1024)), "made slot s1 and yet answered .*InternalError"),
        (pb.CreateSlotReply(status=pb.Throttle, slot=slot(1024)), "made slot s1 and yet answered .*Throttle"),
        (pb.CreateSlotReply(status=77, slot=slot(1024)), "made slot s1 and yet answered status 77"),  # type: ignore[arg-type]
    ],
    ids=["smaller", "larger", "failed", "throttled", "status unknown"],
)
async def test_a_slot_that_is_not_what_was_asked_for_fails_and_is_named_to_be_destroyed(
    answer: pb.CreateSlotReply, complaint: str
) -> None:
    async with answering(answer.SerializeToString()) as platform:
        with pytest.raises(CreateUnansweredError, match=complaint) as caught:
            await platform.create_slot(7, 1024)
        assert (await caught.value.late_answer()).platform_id == "s1"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        pb.CreateSlotReply(slot=pb.Slot()).SerializeToString(),
        pb.CreateSlotReply(
            slot=pb.Slot(resource_config=pb.ResourceConfig(memory_in_megabytes=1024))
        ).SerializeToString(),
        NO_MESSAGE,
    ],
    ids=["no slot", "empty slot", "no id", "no message"],
)
async def test_a_slot_without_a_name_is_written_off(answer: bytes) -> None:
    async with answering(answer) as platform:
        with pytest.raises(CreateUnansweredError, match=r"CreateSlot of slot 7 \(1024 MB\)") as caught:
            await platform.create_slot(7, 1024)
        with pytest.raises(PlatformError, match="written off") as written_off:
            await caught.value.late_answer()
        assert written_off.value.may_exist


@pytest.mark.parametrize("memory_mb", [0, 1024], ids=["unsaid", "as asked"])
async def test_a_slot_whose_size_is_as_asked_or_unsaid_is_taken(memory_mb: int) -> None:
    async with answering(pb.CreateSlotReply(slot=slot(memory_mb)).SerializeToString()) as platform:
        assert (await platform.create_slot(7, 1024)).platform_id == "s1"


async def test_an_unreadable_answer_fails_an_init_and_a_destroy() -> None:
    async with answering(NO_MESSAGE) as platform:
        with pytest.raises(PlatformError, match="Init of s1 for function f: unreadable answer"):
            await platform.init("s1", "i", FUNCTION)
        with pytest.raises(PlatformError, match="DestroySlot of s1: unreadable answer"):
            await platform.destroy("s1", "done")
