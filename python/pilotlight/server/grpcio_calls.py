"""Assign and Idle as events of one completion queue: bytes in, one crossing into the engine, bytes out.

A call is three events on the thread that polls: it came; its message was read; it is over, and its reply went out or
did not. It costs no Python object but gRPC's own operations, and nothing is logged or counted. Requests that wait are
answered after the calls that are there (`grpcio_waits`); commands go to the event loop through the mailbox.

Events of everything else (health, reflection, methods that do not exist, shutdown) leave `poll` untouched: a
`grpc.Server` reads them from there.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from pilotlight._core import Wake
from pilotlight.errors import PilotlightError
from pilotlight.server.auth import REFUSAL
from pilotlight.server.grpcio_crowd import Crowd
from pilotlight.server.grpcio_guard import cygrpc
from pilotlight.server.grpcio_listen import CROWDED, most_waits
from pilotlight.server.grpcio_replies import NO_FLAGS, refuse, reply, reply_anyway
from pilotlight.server.grpcio_waits import Waits
from pilotlight.server.handlers import SERVICE, STATUS, deadline_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

    from pilotlight._core import Command, Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.auth import BearerToken
    from pilotlight.server.host import Host
    from pilotlight.server.mailbox import Mailbox

ASSIGN: Final = f"/{SERVICE}/Assign"
IDLE: Final = f"/{SERVICE}/Idle"

_OUTSTANDING = 64
"""Calls of each method that gRPC may hand over without being asked again."""

_NEVER_S = 1e18
"""Deadlines beyond this are gRPC's way to say that there is none."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class CallQueue(cygrpc.CompletionQueue):  # type: ignore[misc]
    """The completion queue of a server whose Assign and Idle it answers itself.

    Args:
        scaler: the engine.
        host: carries out what the engine asks for besides the reply.
        mailbox: leads to the host's event loop.
        token: what a call must carry; None: nothing.
        config: the limits on calls that are open.
    """

    def __new__(cls, *_arguments: object) -> Self:
        """Keep the arguments from Cython's constructor, which has its own."""
        return super().__new__(cls)  # type: ignore[no-any-return]

    def __init__(
        self,
        scaler: Scaler,
        host: Host,
        mailbox: Mailbox,
        token: BearerToken | None,
        config: ServeConfig,
    ) -> None:
        self._scaler = scaler
        self._host = host
        self._mailbox = mailbox
        self._token = token
        self._waits = Waits(host, mailbox)
        self._crowd = Crowd(most_waits(config))
        self._most_unread = config.max_streams
        self._unread: dict[Any, bool] = {}
        self._server: Any = None
        self._assign_came: partial[None] = partial(self._came, ASSIGN, self._assign)
        self._idle_came: partial[None] = partial(self._came, IDLE, self._idle)

    def attach(self, server: Any) -> None:  # noqa: ANN401 - Cython classes have no types
        """Take the two methods of a `cygrpc.Server` that has not started."""
        self._server = server
        server.register_completion_queue(self)
        for method in (ASSIGN, IDLE):
            server.register_method(method)

    def accept(self) -> None:
        """Ask for calls, once the server has started."""
        for _ in range(_OUTSTANDING):
            self._request(ASSIGN, self._assign_came)
            self._request(IDLE, self._idle_came)

    def poll(self, deadline: float | None = None) -> Any:  # noqa: ANN401
        """Work off this class's own events, and return the first one that is not."""
        poll, next_event = super().poll, self._waits.next_event
        while True:
            event = next_event(poll, deadline)
            tag = event.tag
            if type(tag) is not partial:
                return event
            try:
                tag(event)
            except BaseException:  # noqa: BLE001 - the thread serves everybody, and a panic of the core is no Exception
                _log.exception("a call failed")
            event = tag = None  # a call that ended must be gone before the next poll

    def _request(self, method: str, came: partial[None]) -> None:
        self._server.request_registered_call(self, self, method, came)

    def _came(self, method: str, handle: Callable[..., None], event: Any) -> None:  # noqa: ANN401
        """Have a call's message read, and ask for the next call."""
        if not event.success:  # the server shuts down
            return
        call = event.call
        if self._token is None or self._token.accepts(event.invocation_metadata):
            deadline_s = event.call_details.deadline
            read = (cygrpc.ReceiveMessageOperation(NO_FLAGS),)
            call.start_server_batch(read, partial(handle, call, deadline_s))
            self._unread[call] = True
            if len(self._unread) > self._most_unread:
                self._refuse_oldest()
        else:
            refuse(call, grpc.StatusCode.UNAUTHENTICATED, REFUSAL)
        try:
            self._request(method, event.tag)
        except ValueError:  # the server shuts down, and takes no request for a call any more
            return

    @property
    def unread(self) -> int:
        """Calls whose message has not come."""
        return len(self._unread)

    def _refuse_oldest(self) -> None:
        """Make room: an honest client's message comes at once, so the oldest call without one is the least so."""
        oldest = next(iter(self._unread))
        del self._unread[oldest]
        refuse(oldest, grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls are open: retry later")

    def _message(self, call: Any, event: Any) -> Any:  # noqa: ANN401
        """Return a call's message; None: it is over already."""
        if self._unread.pop(call, None) is None:  # refused meanwhile
            return None
        request = event.batch_operations[0].message()
        if request is None:  # too large, which gRPC has answered, or the client has gone
            refuse(call, grpc.StatusCode.INTERNAL, "the call carries no message")
        return request

    def _assign(self, call: Any, deadline_s: float, event: Any) -> None:  # noqa: ANN401
        request = self._message(call, event)
        if request is None:
            return
        now_ns = time.monotonic_ns()
        deadline = None
        if deadline_s < _NEVER_S:
            remaining_s = deadline_s - time.time()
            if remaining_s <= 0:  # an instance given to a client that has gone would only come back
                refuse(call, grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request was read")
                return
            deadline = deadline_ns(now_ns, remaining_s)
        if self._crowd.is_full(call):
            refuse(call, grpc.StatusCode.RESOURCE_EXHAUSTED, CROWDED)
            return
        try:
            outcome = self._scaler.assign(now_ns, request, deadline)
        except PilotlightError as error:
            refuse(call, STATUS[type(error)], str(error))
            return
        except BaseException:
            refuse(call, grpc.StatusCode.UNKNOWN, "the engine failed on an Assign")
            raise
        if isinstance(outcome, bytes):
            reply(call, outcome, partial(self._sent, outcome))
        elif outcome.reply is not None:
            reply(call, outcome.reply, partial(self._sent, outcome.reply))
            self._carry_out(outcome.commands)
        elif outcome.waiter is not None:
            self._carry_out(outcome.commands)
            self._waits.begin(call, outcome.waiter, partial(self._crowd.leave, self._crowd.enter(call)))
        else:
            refuse(call, grpc.StatusCode.UNKNOWN, "the engine failed on an Assign")
            raise RuntimeError("an Assign came back with neither a reply nor a waiter")

    def _idle(self, call: Any, _deadline_s: float, event: Any) -> None:  # noqa: ANN401
        request = self._message(call, event)
        if request is None:
            return
        try:
            outcome = self._scaler.idle(time.monotonic_ns(), request)
        except PilotlightError as error:
            refuse(call, STATUS[type(error)], str(error))
            return
        except BaseException:
            refuse(call, grpc.StatusCode.UNKNOWN, "the engine failed on an Idle")
            raise
        # Whether an Idle's reply went out changes nothing.
        if isinstance(outcome, bytes):
            reply_anyway(call, outcome)
            return
        reply_anyway(call, outcome.reply or b"")
        self._carry_out(outcome.commands)

    def _carry_out(self, commands: Iterable[Command]) -> None:
        """Answer the requests that were woken from here, and have the host do the rest."""
        others = []
        for command in commands:
            if isinstance(command, Wake):
                self._host.wake(command)
            else:
                others.append(command)
        if others:
            self._mailbox.post(self._host.execute, others)

    def _sent(self, reply: bytes, event: Any) -> None:  # noqa: ANN401
        """Take the instance back when its reply did not go out: the client cancelled, or its connection is gone."""
        if event.batch_operations[-1].cancelled():
            self._mailbox.post(self._host.take_back, reply)
