"""The remote platform: CreateSlot, Init and DestroySlot of `serverless.simulator.Platform` over gRPC.

Every call has a deadline that covers its retries, its turn among the calls in flight and the wait for a connection.
UNAVAILABLE is repeated where a second call does no harm. A refusal (status Throttle, RESOURCE_EXHAUSTED) is not: the
engine makes everybody pause and asks again.

# What is known after a failed CreateSlot

CreateSlot is not idempotent, so a repeat after a call that *was* carried out loses a slot. It is sent only over a
connection that is up; before that, nothing can have happened. Once sent, UNAVAILABLE may mean a refusal or a connection
lost after the platform did the work, and no client can tell which: it is never repeated here (the engine asks for
another slot), and the slot is written off, since nothing can name it any more. A call without an answer is not
cancelled on the wire at its deadline, because a cancelled call's slot would have no owner: it is awaited longer, and a
late answer brings the slot's name, which is enough to destroy it. Without one the slot is written off too.

# What an answer may say

An answer that contradicts its request is a failed call: Ok without a slot, a slot of another size, a slot beside an
error, bytes that are no message. A slot that it names is destroyed, one that may be there without a name written off.
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

_LATE_FACTOR = 10
_SHORTEST_AWAITED_S = 60.0

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

_REFUSED = frozenset({grpc.StatusCode.RESOURCE_EXHAUSTED})
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


class _UnavailableError(PlatformError):
    """The platform cannot be reached, or does not want to be."""


class GrpcPlatform:
    """A client of the platform service; build it on the event loop that uses it.

    Args:
        address: ``host:port`` of the service.
        create_timeout: seconds for a CreateSlot with everything around it; likewise `init_timeout`, `destroy_timeout`.
        create_awaited: seconds after which a CreateSlot without an answer is written off.
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
        create_awaited: float = _SHORTEST_AWAITED_S,
        init_timeout: float = 300.0,
        destroy_timeout: float = 5.0,
        retries: int = 3,
        concurrency: int = 4096,
        keepalive: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._address = address
        self._create_timeout = create_timeout
        self._create_awaited = max(create_timeout, create_awaited)
        self._init_timeout = init_timeout
        self._destroy_timeout = destroy_timeout
        self._retries = retries
        self._random = random.Random(seed)  # noqa: S311 - spreads repeats, guards nothing
        self._channel = Channel(address, SERVICE, keepalive, concurrency)
        self._begun: dict[tuple[str, str], BegunCall] = {}
        self._courier_calls: CourierCalls | None = None

    @property
    def answers(self) -> bool:
        """Whether there is a connection, and the last call that was answered, or should have been, was."""
        return self._channel.client.answers

    def attach(self, scaler: Scaler, host: CourierHost) -> Courier:
        """Start a courier on this platform's connection; on the event loop."""
        courier = Courier(
            scaler,
            self._channel.client,
            now_ns=time.monotonic_ns(),
            create_ns=round(self._create_timeout * 1e9),
            init_ns=round(self._init_timeout * 1e9),
            destroy_ns=round(self._destroy_timeout * 1e9),
            create_awaited_ns=round(self._create_awaited * 1e9),
        )
        self._courier_calls = CourierCalls(courier, self._begun, host)
        return courier

    async def create_slot(self, slot: int, memory_mb: int) -> CreatedSlot:
        """Create a slot; see the module's text for what is known after a failure."""
        what = f"CreateSlot of slot {slot} ({memory_mb} MB)"
        request = pb.CreateSlotRequest(
            request_id=f"slot-{slot}", resource_config=pb.ResourceConfig(memory_in_megabytes=memory_mb)
        )
        attempt, started = self._attempts("CreateSlot", str(slot), request.SerializeToString(), self._create_awaited)

        def read(reply: bytes) -> pb.CreateSlotReply:
            return _read_create(what, reply, memory_mb, started)

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
                raise _unusable(f"{what}: {error}") from None

        async def late(reply: Awaitable[bytes]) -> CreatedSlot:
            try:
                return _created_slot(what, read(await reply), started)
            except CreateUnansweredError as unusable:
                return await unusable.late_answer()
            except CallError as error:
                may_exist = error.code not in _SETTLED
                raise PlatformError(f"{what}: still no slot: {error}", may_exist=may_exist) from None

        remaining = self._create_timeout - (time.monotonic_ns() - started) / 1e9
        reply = await self._once(what, send(remaining))
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

        what = f"Init of {platform_id} for function {function.key}"

        async def send(remaining: float) -> pb.InitReply:
            return _read(what, pb.InitReply, await attempt(remaining))

        reply = await self._repeat(what, send, started, self._init_timeout)
        if reply.status != pb.Ok:
            raise _refusal(what, reply)
        return time.monotonic_ns() - started

    async def destroy(self, platform_id: str, reason: str) -> None:
        """Give a slot back; NotFound means that an earlier call did it."""
        request = pb.DestroySlotRequest(request_id=f"destroy-{platform_id}", id=platform_id, reason=reason)
        attempt, started = self._attempts("DestroySlot", platform_id, request.SerializeToString())

        what = f"DestroySlot of {platform_id}"

        async def send(remaining: float) -> pb.DestroySlotReply:
            return _read(what, pb.DestroySlotReply, await attempt(remaining))

        try:
            reply = await self._repeat(what, send, started, self._destroy_timeout)
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

    async def _once(self, what: str, sending: Awaitable[_Reply]) -> _Reply:
        """Await a call's reply; whatever else comes of it is a `PlatformError`."""
        try:
            return await sending
        except NotSentError as error:
            raise PlatformError(f"{what}: not sent, {error.reason(self._address)}") from None
        except CallError as error:
            text = f"{what}: {error}"
            match error.code:
                case grpc.StatusCode.NOT_FOUND:
                    raise _NotFoundError(text) from None
                case grpc.StatusCode.UNAVAILABLE:
                    raise _UnavailableError(text) from None
            raise PlatformError(text, throttled=error.code in _REFUSED) from None

    async def _repeat(
        self, what: str, send: Callable[[float], Awaitable[_Reply]], started_ns: int, timeout: float
    ) -> _Reply:
        """Send until the call ends with something other than UNAVAILABLE, `timeout` seconds from its start."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout - (time.monotonic_ns() - started_ns) / 1e9
        last = ""
        for attempt in range(self._retries + 1):
            if attempt:
                longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
                await asyncio.sleep(min(self._random.uniform(0, longest), deadline - loop.time()))
            try:
                return await self._once(what, send(deadline - loop.time()))
            except _UnavailableError as error:
                last = str(error)
            if loop.time() >= deadline:
                break
        raise PlatformError(f"{last} ({attempt + 1} times)")


def awaited_longest(create_timeout: float) -> float:
    """Return how many seconds the answer to a CreateSlot is awaited in all."""
    return max(_LATE_FACTOR * create_timeout, _SHORTEST_AWAITED_S)


def _read(what: str, kind: type[_Reply], reply: bytes) -> _Reply:
    try:
        return kind.FromString(reply)
    except DecodeError as error:
        raise PlatformError(f"{what}: unreadable answer: {error}") from None


def _read_create(what: str, reply: bytes, memory_mb: int, started_ns: int) -> pb.CreateSlotReply:
    """Read the answer to a CreateSlot, and refuse one that contradicts its request."""
    try:
        answer = _read(what, pb.CreateSlotReply, reply)
    except PlatformError as error:
        raise _unusable(str(error)) from None
    name = answer.slot.id
    made_mb = answer.slot.resource_config.memory_in_megabytes or memory_mb  # 0 is how the wire says nothing
    if answer.status == pb.Ok and not name:
        wrong = "the platform answered Ok without a slot id"
    elif answer.status != pb.Ok and name:
        wrong = f"the platform made slot {name} and yet answered {_status_text(answer)}"
    elif name and made_mb != memory_mb:
        wrong = f"the platform made slot {name} with {made_mb} MB"
    else:
        return answer
    raise _unusable(f"{what}: {wrong}", name, started_ns)


def _unusable(message: str, name: str = "", started_ns: int = 0) -> CreateUnansweredError:
    """Say that a CreateSlot failed and may have made a slot, of this name or out of reach."""

    async def settle() -> CreatedSlot:
        if not name:
            raise PlatformError(f"{message}; written off", may_exist=True)
        return CreatedSlot(name, time.monotonic_ns() - started_ns)

    return CreateUnansweredError(message, settle)


def _created_slot(what: str, reply: pb.CreateSlotReply, started_ns: int) -> CreatedSlot:
    if reply.status != pb.Ok:
        raise _refusal(what, reply)
    return CreatedSlot(reply.slot.id, time.monotonic_ns() - started_ns)


def _refusal(what: str, reply: pb.CreateSlotReply | pb.InitReply) -> PlatformError:
    return PlatformError(f"{what}: {_status_text(reply)}", throttled=reply.status == pb.Throttle)


def _status_text(reply: pb.CreateSlotReply | pb.InitReply | pb.DestroySlotReply) -> str:
    known = reply.status in pb.Status.values()
    return f"status {pb.Status.Name(reply.status) if known else reply.status}: {reply.error_message or 'no message'}"
