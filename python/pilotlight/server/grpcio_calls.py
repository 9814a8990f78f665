"""Assign and Idle as events of one completion queue: bytes in, one crossing into the engine, bytes out.

A call is three events on the thread that polls: it came; its message was read; it is over, and its reply went out or
did not. It costs no Python object but gRPC's own operations, and nothing is logged or counted. Requests that wait, and
commands, go to the event loop through the mailbox.

Events of everything else (health, reflection, methods that do not exist, shutdown) leave `poll` untouched: a
`grpc.Server` reads them from there.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from pilotlight.errors import PilotlightError
from pilotlight.server.auth import REFUSAL
from pilotlight.server.grpcio_guard import cygrpc
from pilotlight.server.handlers import SERVICE, STATUS, deadline_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from pilotlight._core import Outcome, Scaler, Wake
    from pilotlight.server.auth import BearerToken
    from pilotlight.server.host import Host
    from pilotlight.server.mailbox import Mailbox

ASSIGN: Final = f"/{SERVICE}/Assign"
IDLE: Final = f"/{SERVICE}/Idle"

_OUTSTANDING = 64
"""Calls of each method that gRPC may hand over without being asked again."""

_NEVER_S = 1e18
"""Deadlines beyond this are gRPC's way to say that there is none."""

_NO_FLAGS = 0
_SEND_HEADERS = cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS)
_SEND_OK = cygrpc.SendStatusFromServerOperation(None, cygrpc.StatusCode.ok, b"", _NO_FLAGS)
_IGNORE_CLOSE = (cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),)
# These hold nothing of their own that anybody reads, so all calls share them.

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class CallQueue(cygrpc.CompletionQueue):  # type: ignore[misc]
    """The completion queue of a server whose Assign and Idle it answers itself.

    Args:
        scaler: the engine.
        host: carries out what the engine asks for besides the reply; called through `mailbox` alone.
        mailbox: leads to the host's event loop.
        token: what a call must carry; None: nothing.
    """

    def __new__(cls, *_arguments: object) -> Self:
        """Keep the arguments from Cython's constructor, which has its own."""
        return super().__new__(cls)  # type: ignore[no-any-return]

    def __init__(self, scaler: Scaler, host: Host, mailbox: Mailbox, token: BearerToken | None) -> None:
        self._scaler = scaler
        self._host = host
        self._mailbox = mailbox
        self._token = token
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
        next_event = super().poll
        while True:
            event = next_event(deadline)
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
            read = (cygrpc.ReceiveMessageOperation(_NO_FLAGS),)
            call.start_server_batch(read, partial(handle, call, deadline_s))
        else:
            _refuse(call, grpc.StatusCode.UNAUTHENTICATED, REFUSAL)
        try:
            self._request(method, event.tag)
        except ValueError:  # the server shuts down, and takes no request for a call any more
            return

    def _assign(self, call: Any, deadline_s: float, event: Any) -> None:  # noqa: ANN401
        request = event.batch_operations[0].message()
        if request is None:  # too large, which gRPC has answered, or the client has gone
            _refuse(call, grpc.StatusCode.INTERNAL, "the call carries no message")
            return
        now_ns = time.monotonic_ns()
        deadline = None
        if deadline_s < _NEVER_S:
            remaining_s = deadline_s - time.time()
            if remaining_s <= 0:  # an instance given to a client that has gone would only come back
                _refuse(call, grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request was read")
                return
            deadline = deadline_ns(now_ns, remaining_s)
        try:
            outcome = self._scaler.assign(now_ns, request, deadline)
        except PilotlightError as error:
            _refuse(call, STATUS[type(error)], str(error))
            return
        except BaseException:
            _refuse(call, grpc.StatusCode.UNKNOWN, "the engine failed on an Assign")
            raise
        if isinstance(outcome, bytes):
            _reply(call, outcome, partial(self._sent, outcome))
        elif outcome.reply is not None:
            _reply(call, outcome.reply, partial(self._sent, outcome.reply))
            self._mailbox.post(self._host.execute, outcome.commands)
        else:
            waiting = _Waiting(call, self._host, self._mailbox)
            self._mailbox.post(waiting.begin, outcome)
            close = (cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),)
            call.start_server_batch(close, partial(waiting.closed))

    def _idle(self, call: Any, _deadline_s: float, event: Any) -> None:  # noqa: ANN401
        request = event.batch_operations[0].message()
        if request is None:
            _refuse(call, grpc.StatusCode.INTERNAL, "the call carries no message")
            return
        try:
            outcome = self._scaler.idle(time.monotonic_ns(), request)
        except PilotlightError as error:
            _refuse(call, STATUS[type(error)], str(error))
            return
        except BaseException:
            _refuse(call, grpc.StatusCode.UNKNOWN, "the engine failed on an Idle")
            raise
        # Whether an Idle's reply went out changes nothing, so the close may share its batch.
        if isinstance(outcome, bytes):
            call.start_server_batch(_success(outcome) + _IGNORE_CLOSE, _ENDED)
            return
        call.start_server_batch(_success(outcome.reply or b"") + _IGNORE_CLOSE, _ENDED)
        self._mailbox.post(self._host.execute, outcome.commands)

    def _sent(self, reply: bytes, event: Any) -> None:  # noqa: ANN401
        """Take the instance back when its reply did not go out: the client cancelled, or its connection is gone."""
        if event.batch_operations[-1].cancelled():
            self._mailbox.post(self._host.take_back, reply)


class _Waiting:
    """An Assign that waits for its Wake, with an eye on its client.

    Everything but `closed` runs on the host's event loop.
    """

    __slots__ = ("_call", "_host", "_mailbox", "_reply", "_waiter")

    def __init__(self, call: Any, host: Host, mailbox: Mailbox) -> None:  # noqa: ANN401
        self._call = call
        self._host = host
        self._mailbox = mailbox
        self._waiter = -1
        self._reply: bytes | None = None

    def begin(self, outcome: Outcome) -> None:
        self._waiter = self._host.enqueue(outcome, self._deliver)

    def closed(self, event: Any) -> None:  # noqa: ANN401
        if event.batch_operations[0].cancelled():  # posted after `begin`, and so after the waiter is known
            self._mailbox.post(self._leave)

    def _leave(self) -> None:
        if self._reply is None:
            self._host.forget(self._waiter)
        else:
            self._host.take_back(self._reply)

    def _deliver(self, wake: Wake) -> None:
        if wake.reply is not None:
            self._reply = wake.reply
            self._call.start_server_batch(_success(wake.reply), _ENDED)
        elif wake.error is not None:
            kind, text = wake.error
            self._call.start_server_batch(_failure(STATUS[kind], text), _ENDED)


def _reply(call: Any, reply: bytes, sent: Callable[[Any], None]) -> None:  # noqa: ANN401
    # The close says whether the status went out, and with it the reply.
    call.start_server_batch((*_success(reply), cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS)), sent)


def _refuse(call: Any, status: grpc.StatusCode, text: str) -> None:  # noqa: ANN401
    call.start_server_batch(_failure(status, text) + _IGNORE_CLOSE, _ENDED)


def _success(reply: bytes) -> tuple[Any, ...]:
    return (_SEND_HEADERS, cygrpc.SendMessageOperation(reply, _NO_FLAGS), _SEND_OK)


def _failure(status: grpc.StatusCode, text: str) -> tuple[Any, ...]:
    code = status.value[0]
    return (_SEND_HEADERS, cygrpc.SendStatusFromServerOperation(None, code, text.encode(), _NO_FLAGS))


def _nothing(_event: Any) -> None:  # noqa: ANN401
    """Leave an event at that."""


_ENDED = partial(_nothing)
