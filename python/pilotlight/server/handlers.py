"""The gRPC methods of the Scaler service: bytes in, one crossing into the engine, bytes out.

No protobuf object is made here and nothing is logged a call: a warm Assign costs the engine's parse, decision and
reply. A request that has to wait is handed to the host.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Literal

import grpc
import grpc.aio

from pilotlight.errors import Draining, InstanceNotFound, InvalidRequest, Overloaded, PilotlightError
from pilotlight.server.grpcio_listen import CROWDED
from pilotlight.wire import simulator_pb2

if TYPE_CHECKING:
    from pilotlight._core import Outcome, Scaler, Wake
    from pilotlight.server.grpcio_crowd import Crowd
    from pilotlight.server.host import Host

    Context = grpc.aio.ServicerContext[bytes, bytes]

SERVICE: Final = simulator_pb2.DESCRIPTOR.services_by_name["Scaler"].full_name
"""The service that is answered; health knows this name, the empty one and `PLATFORM`."""

PLATFORM: Final = "platform"
"""Health's name of what is behind this server."""

STATUS: Final[dict[type[PilotlightError] | Literal["deadline", "start_failed", "shutting_down"], grpc.StatusCode]] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    InstanceNotFound: grpc.StatusCode.NOT_FOUND,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Draining: grpc.StatusCode.UNAVAILABLE,
    "deadline": grpc.StatusCode.DEADLINE_EXCEEDED,
    "start_failed": grpc.StatusCode.UNAVAILABLE,
    "shutting_down": grpc.StatusCode.UNAVAILABLE,
}
"""What a client sees of each error: of those the engine raises, and of those it wakes a waiting request with."""


_LONGEST_S = 1e9
"""Thirty years: a client's deadline further away is no different, and must not leave the core's 64 bits."""


def deadline_ns(now_ns: int, remaining_s: float) -> int:
    """Return when a call ends that has this much time left, on the clock of `now_ns`."""
    return now_ns + int(min(remaining_s, _LONGEST_S) * 1e9)


class Handlers:
    """Assign and Idle.

    Args:
        scaler: the engine.
        host: carries out what the engine asks for besides the reply.
        crowd: counts the requests that wait.
    """

    def __init__(self, scaler: Scaler, host: Host, crowd: Crowd) -> None:
        self._scaler = scaler
        self._host = host
        self._crowd = crowd

    def methods(self, *, intercepted: bool) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
        """Return the handlers by method name; without a (de)serialiser gRPC passes bytes.

        Args:
            intercepted: interceptors look at them, and may expect what the protocol says: one message, one reply.
        """
        assign: grpc.RpcMethodHandler[bytes, bytes] = (
            grpc.unary_unary_rpc_method_handler(self.assign)
            if intercepted
            else grpc.unary_stream_rpc_method_handler(self.deliver)
        )
        return {"Assign": assign, "Idle": grpc.unary_unary_rpc_method_handler(self.idle)}

    async def deliver(self, request: bytes, context: Context) -> None:
        """Serve an encoded AssignRequest as `assign` does, and take the instance back when its reply cannot be sent.

        Only a method that sends its replies itself hears of that.
        """
        reply = await self.assign(request, context)
        try:
            await context.write(reply)
        except BaseException:
            self._host.take_back(reply)
            raise

    async def assign(self, request: bytes, context: Context) -> bytes:
        """Serve an encoded AssignRequest: at once when an instance is free, else when one is or the deadline passes."""
        remaining = context.time_remaining()
        if remaining == 0:  # an instance given to a client that has gone would stay busy
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request was read")
        if self._crowd.is_full(context):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, CROWDED)
        now = time.monotonic_ns()
        deadline = None if remaining is None else deadline_ns(now, remaining)
        try:
            outcome = self._scaler.assign(now, request, deadline)
        except PilotlightError as error:
            await context.abort(STATUS[type(error)], str(error))
        except BaseException as panic:  # a panic of the core is no Exception, and gRPC answers only those
            raise RuntimeError("the engine failed on an Assign") from panic
        if isinstance(outcome, bytes):
            return outcome
        if outcome.reply is not None:
            self._host.execute(outcome.commands)
            return outcome.reply
        peer = self._crowd.enter(context)
        try:
            wake = await self._wait(outcome)
        finally:
            self._crowd.leave(peer)
        if context.time_remaining() == 0:
            self._host.undelivered(wake)
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed while the request waited")
        if wake.error is not None:
            kind, text = wake.error
            await context.abort(STATUS[kind], text)
        if wake.reply is None:
            raise RuntimeError("a Wake came with neither a reply nor an error")
        return wake.reply

    async def _wait(self, outcome: Outcome) -> Wake:
        """Wait until the request is woken; a client that goes away meanwhile cancels the task that waits here."""
        woken: asyncio.Future[Wake] = asyncio.get_running_loop().create_future()

        def deliver(wake: Wake) -> None:
            if woken.done():  # cancelled, and the task has not run since
                self._host.undelivered(wake)
            else:
                woken.set_result(wake)

        waiter = self._host.enqueue(outcome, deliver)
        try:
            return await woken
        except asyncio.CancelledError:
            if woken.cancelled():
                self._host.forget(waiter)
            else:
                self._host.undelivered(woken.result())
            raise

    async def idle(self, request: bytes, context: Context) -> bytes:
        """Serve an encoded IdleRequest."""
        try:
            outcome = self._scaler.idle(time.monotonic_ns(), request)
        except PilotlightError as error:
            await context.abort(STATUS[type(error)], str(error))
        except BaseException as panic:  # as above
            raise RuntimeError("the engine failed on an Idle") from panic
        if isinstance(outcome, bytes):
            return outcome
        self._host.execute(outcome.commands)
        if outcome.reply is None:
            raise RuntimeError("an Idle came back without a reply")
        return outcome.reply
