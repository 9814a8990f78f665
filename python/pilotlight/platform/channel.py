"""Unary calls to one gRPC server, awaited on an event loop and made outside Python.

grpc.aio takes several hundred microseconds of the interpreter for a call; in a storm of cold starts that is what warm
calls would wait for.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final, TypeAlias

import grpc

from pilotlight._core import GrpcClient

if TYPE_CHECKING:
    from collections.abc import Awaitable

Told: TypeAlias = tuple[str, bytes | None, str]
"""What came of a call: gRPC's status or `NOT_SENT`, `NO_TURN`, `UNANSWERED`; with OK the reply; a text."""

UNANSWERED: Final = "UNANSWERED"
_NOT_SENT: Final = "NOT_SENT"
_NO_TURN: Final = "NO_TURN"


class NotSentError(Exception):
    """The call was not sent within its time: the server has not seen it.

    Args:
        status: what it waited for: `NOT_SENT` for a connection, `NO_TURN` for its turn.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self._status = status

    def reason(self, address: str) -> str:
        """Say what was missing, and what to do about it."""
        if self._status == _NO_TURN:
            return "too many platform calls in flight; raise platform_concurrency"
        return f"no connection to the platform at {address}; is it running?"


class CallError(Exception):
    """The call ended without a reply, and the server may have carried it out.

    Args:
        code: gRPC's status.
        details: the server's text, or what became of the connection.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details or 'no details'}")
        self.code = code


class UnansweredError(Exception):
    """The call was sent and is awaited longer than its time.

    Args:
        late: its reply, or the `CallError` it ended with.
    """

    def __init__(self, late: Awaitable[bytes]) -> None:
        super().__init__("no answer yet")
        self.late = late


def settle(answer: asyncio.Future[bytes], told: Told, late: Awaitable[bytes] | None = None) -> None:
    """Give a call's future what came of the call, in the errors of `Channel.call`; `late` is for one unanswered."""
    if answer.done():  # its task was cancelled
        return
    status, reply, text = told
    if reply is not None:
        answer.set_result(reply)
        return
    if late is not None:
        answer.set_exception(UnansweredError(late))
    elif status in {_NOT_SENT, _NO_TURN}:
        answer.set_exception(NotSentError(status))
    else:
        answer.set_exception(CallError(grpc.StatusCode[status], text))
    answer.exception()  # nobody may want to know any more, which asyncio would complain of


class Channel:
    """A connection that is kept up; build it on the event loop that uses it.

    Args:
        address: ``host:port`` of a server without TLS.
        service: full name of its service.
        keepalive: seconds between HTTP/2 pings; 0 sends none.
        concurrency: calls in flight at once.
    """

    def __init__(self, address: str, service: str, keepalive: float, concurrency: int) -> None:
        self.client = GrpcClient(address, keepalive_ns=round(keepalive * 1e9), concurrency=concurrency)
        """What makes the calls."""
        self._service = service
        self._tickets = itertools.count()
        self._awaited: dict[int, asyncio.Future[bytes]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.client.fileno(), self._take)

    async def call(
        self, method: str, request: bytes, within: float, *, awaited: float = 0.0, urgent: bool = True
    ) -> bytes:
        """Send a request once there is a connection, and return the reply.

        Args:
            method: its name.
            request: encoded.
            within: seconds for it to be sent and answered.
            awaited: seconds after which a call that was sent is cancelled on the wire, if more than `within`.
            urgent: whether it takes its turn before all that are not.

        Raises:
            NotSentError: no connection, or no turn among the calls in flight, within its time.
            UnansweredError: it was sent, and goes on.
            CallError: it failed; with DEADLINE_EXCEEDED when it was not answered.
        """
        ticket = next(self._tickets)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._awaited[ticket] = answer
        within_ns = max(0, round(within * 1e9))
        self.client.call(
            ticket,
            f"/{self._service}/{method}",
            request,
            urgent=urgent,
            within_ns=within_ns,
            awaited_ns=max(within_ns, round(awaited * 1e9)),
        )
        return await answer

    def close(self) -> None:
        """Close the connection; calls in flight end as cancelled."""
        self._loop.remove_reader(self.client.fileno())
        self.client.close()
        for answer in self._awaited.values():
            answer.cancel()

    def _take(self) -> None:
        for ticket, told in self.client.take():
            answer = self._awaited.pop(ticket)
            late = None
            if told[0] == UNANSWERED:
                late = self._awaited[ticket] = self._loop.create_future()
            settle(answer, told, late)
