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
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from pilotlight.config import format_duration
from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreatedSlot, CreateUnansweredError, Function
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
        self._turns = asyncio.Semaphore(concurrency)
        self._random = random.Random(seed)  # noqa: S311 - spreads repeats, guards nothing
        self._channel = grpc.aio.insecure_channel(address, options=_channel_options(keepalive))
        self._stub: pb_grpc.PlatformAsyncStub = pb_grpc.PlatformStub(self._channel)
        self._connecting: asyncio.Future[None] | None = None

    async def create_slot(self, slot: int, memory_mb: int) -> CreatedSlot:
        """Create a slot; see the module's text for what is known after a failure."""
        what = f"CreateSlot of slot {slot} ({memory_mb} MB)"
        started = time.monotonic_ns()
        request = pb.CreateSlotRequest(
            request_id=f"slot-{slot}", resource_config=pb.ResourceConfig(memory_in_megabytes=memory_mb)
        )

        async def send(remaining: float) -> pb.CreateSlotReply:
            limit = LATE_FACTOR * self._create_timeout
            call = asyncio.ensure_future(self._stub.CreateSlot(request, timeout=limit))
            await asyncio.wait({call}, timeout=remaining)
            if not call.done():
                raise CreateUnansweredError(
                    f"{what}: no answer within {format_duration(self._create_timeout)}; still listening for it",
                    lambda: late(call),
                )
            try:
                return call.result()
            except grpc.aio.AioRpcError as error:
                if error.code() in _SETTLED:
                    raise
                raise CreateUnansweredError(f"{what}: {_rpc_text(error)}", lambda: silence(limit)) from None
            except Exception as error:
                # There was an answer, but not one that can be read: the slot is there under a name we do not know.
                raise CreateUnansweredError(f"{what}: unreadable answer: {error}", lambda: silence(limit)) from error

        async def late(call: Awaitable[pb.CreateSlotReply]) -> CreatedSlot:
            try:
                reply = await call
            except grpc.aio.AioRpcError as error:
                raise PlatformError(f"{what}: written off without an answer: {_rpc_text(error)}") from None
            return _created_slot(what, reply, started)

        async def silence(limit: float) -> CreatedSlot:
            await asyncio.sleep(limit)
            raise PlatformError(f"{what}: written off {format_duration(limit)} after its connection was lost")

        reply = await self._repeat(what, send, self._create_timeout, _REFUSED)
        return _created_slot(what, reply, started)

    async def init(self, platform_id: str, instance_id: str, function: Function) -> int:
        """Make a slot an instance; a repeat that finds the slot taken fails, and the engine then destroys it."""
        started = time.monotonic_ns()
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
        what = f"Init of {platform_id} for function {function.key}"
        reply = await self._repeat(
            what, lambda remaining: self._stub.Init(request, timeout=remaining), self._init_timeout, _REPEATED
        )
        if reply.status != pb.Ok:
            raise PlatformError(f"{what}: {_status_text(reply)}")
        return time.monotonic_ns() - started

    async def destroy(self, platform_id: str, reason: str) -> None:
        """Give a slot back; NotFound means that an earlier call did it."""
        request = pb.DestroySlotRequest(request_id=f"destroy-{platform_id}", id=platform_id, reason=reason)
        what = f"DestroySlot of {platform_id}"
        try:
            reply = await self._repeat(
                what,
                lambda remaining: self._stub.DestroySlot(request, timeout=remaining),
                self._destroy_timeout,
                _REPEATED,
            )
        except _NotFoundError:
            return
        if reply.status not in (pb.Ok, pb.NotFound):
            raise PlatformError(f"{what}: {_status_text(reply)}")

    async def close(self) -> None:
        """Close the connection; calls in flight end as cancelled."""
        if self._connecting is not None:
            self._connecting.cancel()
        await self._channel.close()

    async def _repeat(
        self,
        what: str,
        send: Callable[[float], Awaitable[_Reply]],
        timeout: float,
        repeated: frozenset[grpc.StatusCode],
    ) -> _Reply:
        """Send until the call is answered with something other than a refusal, within `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        refusal = ""
        for attempt in range(self._retries + 1):
            if attempt:
                longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
                await asyncio.sleep(min(self._random.uniform(0, longest), deadline - loop.time()))
            await self._take_turn(what, deadline)
            try:
                await self._connect(what, deadline)
                reply = await send(deadline - loop.time())
            except grpc.aio.AioRpcError as error:
                refusal = _rpc_text(error)
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    raise _NotFoundError(f"{what}: {refusal}") from None
                if error.code() not in repeated:
                    raise PlatformError(f"{what}: {refusal}") from None
            else:
                if reply.status != pb.Throttle:
                    return reply
                refusal = _status_text(reply)
            finally:
                self._turns.release()
            if loop.time() >= deadline:
                break
        raise PlatformError(f"{what}: refused {attempt + 1} times, last: {refusal}")

    async def _take_turn(self, what: str, deadline: float) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            await asyncio.wait_for(self._turns.acquire(), deadline - asyncio.get_running_loop().time())
        except (asyncio.TimeoutError, TimeoutError):
            raise PlatformError(
                f"{what}: not sent, too many platform calls in flight; raise platform_concurrency"
            ) from None

    async def _connect(self, what: str, deadline: float) -> None:
        """Wait until the connection is up, so that a call which fails here was certainly not sent."""
        if self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return
        # One watcher for all calls: gRPC keeps an abandoned one until the connection's state changes.
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.ensure_future(self._channel.channel_ready())
        done, _ = await asyncio.wait({self._connecting}, timeout=deadline - asyncio.get_running_loop().time())
        if not done:
            raise PlatformError(f"{what}: not sent, no connection to the platform at {self._address}; is it running?")


def _created_slot(what: str, reply: pb.CreateSlotReply, started_ns: int) -> CreatedSlot:
    if reply.status != pb.Ok:
        raise PlatformError(f"{what}: {_status_text(reply)}")
    if not reply.slot.id:
        raise PlatformError(f"{what}: the platform answered Ok without a slot id")
    return CreatedSlot(reply.slot.id, time.monotonic_ns() - started_ns)


def _rpc_text(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details() or 'no details'}"


def _status_text(reply: pb.CreateSlotReply | pb.InitReply | pb.DestroySlotReply) -> str:
    known = reply.status in pb.Status.values()
    return f"status {pb.Status.Name(reply.status) if known else reply.status}: {reply.error_message or 'no message'}"


def _channel_options(keepalive: float) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # With a limit of our own RESOURCE_EXHAUSTED could come from here, after the platform has done its work.
        ("grpc.max_receive_message_length", -1),
    ]
    if keepalive:
        options += [("grpc.keepalive_time_ms", round(keepalive * 1000)), ("grpc.keepalive_permit_without_calls", 1)]
    return options
