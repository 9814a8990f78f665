"""The remote platform: CreateSlot, Init and DestroySlot of `serverless.simulator.Platform` over gRPC.

Every call has a deadline that covers its retries, its turn among the calls in flight and the wait for a connection.
Refusals (status Throttle, RESOURCE_EXHAUSTED) are repeated; so is UNAVAILABLE, where a second call does no harm.

# What is known after a failed CreateSlot

CreateSlot is not idempotent, so a repeat after a call that *was* carried out loses a slot. It is sent only over a
connection that is up; before that, nothing can have happened. Once sent, UNAVAILABLE may mean a refusal or a connection
lost after the platform did the work, and no client can tell which: it is never repeated here (the engine asks for
another slot), and the slot counts as possibly existing, like one whose call got no answer. Such a call is not cancelled
on the wire at its deadline, because a cancelled call's slot would have no owner: it is awaited `LATE_FACTOR` times as
long, and a late answer brings the slot's name, which is enough to destroy it.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError

from pilotlight._core import Courier
from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreatedSlot, CreateUnansweredError, Function
from pilotlight.platform.channel import CallError, Channel, NotSentError, UnansweredError
from pilotlight.platform.courier import BegunCall, CourierCalls
from pilotlight.units import format_duration
from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pilotlight._core import Scaler
    from pilotlight.platform.base import CourierHost

SERVICE: Final = "serverless.simulator.Platform"

LATE_FACTOR = 10
"""A CreateSlot without an answer is written off after this many of its deadlines."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

_REFUSED = frozenset({grpc.StatusCode.RESOURCE_EXHAUSTED})
_REPEATED = _REFUSED | {grpc.StatusCode.UNAVAILABLE}
_SETTLED = _REFUSED | {
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
}
"""Codes that only a server that did nothing answers: after any other, a slot may exist."""

_Reply = TypeVar("_Reply", pb.CreateSlotReply, pb.InitReply, pb.DestroySlotReply)


class _NotFoundError(PlatformError):
    """The platform does not know what the call named."""


class GrpcPlatform:
    """A client of the platform service; build it on the event loop that uses it.

    Args:
        address: ``host:port`` of the service.
        create_timeout: seconds for a CreateSlot with everything around it; likewise `init_timeout`, `destroy_timeout`.
        retries: repeats of a refused call.
        concurrency: calls in flight at once.
        keepalive: seconds between HTTP/2 pings; 0 sends none.
        seed: of the pauses between repeats; None differs from process to process.
    """

    def __init__(
        self,
        address: str,
        *,
        create_timeout: float = 5.0,
        init_timeout: float = 300.0,
        destroy_timeout: float = 5.0,
        retries: int = 3,
        concurrency: int = 4096,
        keepalive: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._address = address
        self._create_timeout = create_timeout
        self._init_timeout = init_timeout
        self._destroy_timeout = destroy_timeout
        self._retries = retries
        self._random = random.Random(seed)  # noqa: S311 - spreads repeats, guards nothing
        self._channel = Channel(address, SERVICE, keepalive, concurrency)
        self._begun: dict[tuple[str, str], BegunCall] = {}
        self._courier_calls: CourierCalls | None = None

    def attach(self, scaler: Scaler, host: CourierHost) -> Courier:
        """Start a courier on this platform's connection; on the event loop."""
        courier = Courier(
            scaler,
            self._channel.client,
            now_ns=time.monotonic_ns(),
            create_ns=round(self._create_timeout * 1e9),
            init_ns=round(self._init_timeout * 1e9),
            destroy_ns=round(self._destroy_timeout * 1e9),
            create_awaited_ns=round(LATE_FACTOR * self._create_timeout * 1e9),
        )
        self._courier_calls = CourierCalls(courier, self._begun, host)
        return courier

    async def create_slot(self, slot: int, memory_mb: int) -> CreatedSlot:
        """Create a slot; see the module's text for what is known after a failure."""
        what = f"CreateSlot of slot {slot} ({memory_mb} MB)"
        request = pb.CreateSlotRequest(
            request_id=f"slot-{slot}", resource_config=pb.ResourceConfig(memory_in_megabytes=memory_mb)
        )
        limit = LATE_FACTOR * self._create_timeout
        attempt, started = self._attempts("CreateSlot", str(slot), request.SerializeToString(), limit)

        async def send(remaining: float) -> pb.CreateSlotReply:
            try:
                return read(await attempt(remaining))
            except UnansweredError as unanswered:
                raise CreateUnansweredError(
                    f"{what}: no answer within {format_duration(self._create_timeout)}; still listening for it",
                    partial(late, unanswered.late),
                ) from None
            except CallError as error:
                if error.code in _SETTLED:
                    raise
                raise CreateUnansweredError(f"{what}: {error}", silence) from None

        def read(reply: bytes) -> pb.CreateSlotReply:
            try:
                return pb.CreateSlotReply.FromString(reply)
            except DecodeError as error:
                # There was an answer, but not one that can be read: the slot is there under a name we do not know.
                raise CreateUnansweredError(f"{what}: unreadable answer: {error}", silence) from error

        async def late(reply: Awaitable[bytes]) -> CreatedSlot:
            try:
                return _created_slot(what, pb.CreateSlotReply.FromString(await reply), started)
            except CallError as error:
                raise PlatformError(f"{what}: written off without an answer: {error}") from None

        async def silence() -> CreatedSlot:
            await asyncio.sleep(limit)
            raise PlatformError(f"{what}: written off {format_duration(limit)} after its connection was lost")

        reply = await self._repeat(what, send, started, self._create_timeout, _REFUSED)
        return _created_slot(what, reply, started)

    async def init(self, platform_id: str, instance_id: str, function: Function) -> int:
        """Make a slot an instance; a repeat that finds the slot taken fails, and the engine then destroys it."""
        request = pb.InitRequest(
            request_id=instance_id,
            slot_id=platform_id,
            instance_id=instance_id,
            meta_data=pb.Meta(
                key=function.key,
                runtime=function.runtime,
                timeout_in_secs=function.timeout_s,
                memory_in_mb=function.memory_mb,
            ),
        )
        attempt, started = self._attempts("Init", platform_id, request.SerializeToString())

        async def send(remaining: float) -> pb.InitReply:
            return pb.InitReply.FromString(await attempt(remaining))

        what = f"Init of {platform_id} for function {function.key}"
        reply = await self._repeat(what, send, started, self._init_timeout, _REPEATED)
        if reply.status != pb.Ok:
            raise PlatformError(f"{what}: {_status_text(reply)}")
        return time.monotonic_ns() - started

    async def destroy(self, platform_id: str, reason: str) -> None:
        """Give a slot back; NotFound means that an earlier call did it."""
        request = pb.DestroySlotRequest(request_id=f"destroy-{platform_id}", id=platform_id, reason=reason)
        attempt, started = self._attempts("DestroySlot", platform_id, request.SerializeToString())

        async def send(remaining: float) -> pb.DestroySlotReply:
            return pb.DestroySlotReply.FromString(await attempt(remaining))

        what = f"DestroySlot of {platform_id}"
        try:
            reply = await self._repeat(what, send, started, self._destroy_timeout, _REPEATED)
        except _NotFoundError:
            return
        if reply.status not in (pb.Ok, pb.NotFound):
            raise PlatformError(f"{what}: {_status_text(reply)}")

    async def close(self) -> None:
        """Close the connection; calls in flight end as cancelled."""
        if self._courier_calls is not None:
            self._courier_calls.close()
        self._channel.close()

    def _attempts(
        self, method: str, name: str, request: bytes, awaited: float = 0.0
    ) -> tuple[Callable[[float], Awaitable[bytes]], int]:
        """Return what attempts a call within some seconds, and since when it goes on.

        The first attempt may be a courier's, under way or over.
        """
        begun = self._begun.pop((method, name), None)
        started_ns = time.monotonic_ns() if begun is None else begun.begun_ns

        def attempt(within: float) -> Awaitable[bytes]:
            nonlocal begun
            if begun is None:
                # What goes on with a start, or ends one, must not wait for others to begin.
                return self._channel.call(method, request, within, awaited=awaited, urgent=method != "CreateSlot")
            answer, begun = begun.answer, None
            return answer

        return attempt, started_ns

    async def _repeat(
        self,
        what: str,
        send: Callable[[float], Awaitable[_Reply]],
        started_ns: int,
        timeout: float,
        repeated: frozenset[grpc.StatusCode],
    ) -> _Reply:
        """Send until the call is answered with something other than a refusal, `timeout` seconds from its start."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout - (time.monotonic_ns() - started_ns) / 1e9
        refusal = ""
        for attempt in range(self._retries + 1):
            if attempt:
                longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
                await asyncio.sleep(min(self._random.uniform(0, longest), deadline - loop.time()))
            try:
                reply = await send(deadline - loop.time())
            except NotSentError as error:
                raise PlatformError(f"{what}: not sent, {error.reason(self._address)}") from None
            except CallError as error:
                refusal = str(error)
                if error.code is grpc.StatusCode.NOT_FOUND:
                    raise _NotFoundError(f"{what}: {refusal}") from None
                if error.code not in repeated:
                    raise PlatformError(f"{what}: {refusal}") from None
            else:
                if reply.status != pb.Throttle:
                    return reply
                refusal = _status_text(reply)
            if loop.time() >= deadline:
                break
        raise PlatformError(f"{what}: refused {attempt + 1} times, last: {refusal}")


def _created_slot(what: str, reply: pb.CreateSlotReply, started_ns: int) -> CreatedSlot:
    if reply.status != pb.Ok:
        raise PlatformError(f"{what}: {_status_text(reply)}")
    if not reply.slot.id:
        raise PlatformError(f"{what}: the platform answered Ok without a slot id")
    return CreatedSlot(reply.slot.id, time.monotonic_ns() - started_ns)


def _status_text(reply: pb.CreateSlotReply | pb.InitReply | pb.DestroySlotReply) -> str:
    known = reply.status in pb.Status.values()
    return f"status {pb.Status.Name(reply.status) if known else reply.status}: {reply.error_message or 'no message'}"
