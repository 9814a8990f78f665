"""What is sent on a call of grpcio's Cython layer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pilotlight.server.grpcio_guard import cygrpc

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

NO_FLAGS: Final = 0

# These hold nothing of their own that anybody reads, so all calls share them.
_SEND_HEADERS = cygrpc.SendInitialMetadataOperation(None, NO_FLAGS)
_SEND_OK = cygrpc.SendStatusFromServerOperation(None, cygrpc.StatusCode.ok, b"", NO_FLAGS)
_IGNORE_CLOSE = cygrpc.ReceiveCloseOnServerOperation(NO_FLAGS)


def reply(call: Any, message: bytes, sent: Callable[[Any], None]) -> None:  # noqa: ANN401 - Cython classes have no types
    """Answer a call and end it; `sent` is given an event whose last operation says whether it was cancelled instead.

    The close says whether the status went out, and with it the reply: it costs no event of its own.
    """
    call.start_server_batch((*_success(message), cygrpc.ReceiveCloseOnServerOperation(NO_FLAGS)), sent)


def reply_anyway(call: Any, message: bytes) -> None:  # noqa: ANN401
    """Answer a call and end it, whether or not anybody is there."""
    call.start_server_batch((*_success(message), _IGNORE_CLOSE), ENDED)


def refuse(call: Any, status: grpc.StatusCode, text: str) -> None:  # noqa: ANN401
    """End a call with an error."""
    call.start_server_batch((*_failure(status, text), _IGNORE_CLOSE), ENDED)


def watch(call: Any, closed: Callable[[Any], None]) -> None:  # noqa: ANN401
    """Have `closed` called when the call is over; what is sent on it then needs `answer` or `give_up`."""
    call.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(NO_FLAGS),), closed)


def answer(call: Any, message: bytes) -> None:  # noqa: ANN401
    """Answer a call that is watched, and end it."""
    call.start_server_batch(_success(message), ENDED)


def give_up(call: Any, status: grpc.StatusCode, text: str) -> None:  # noqa: ANN401
    """End a call that is watched with an error."""
    call.start_server_batch(_failure(status, text), ENDED)


def _success(message: bytes) -> tuple[Any, ...]:
    return (_SEND_HEADERS, cygrpc.SendMessageOperation(message, NO_FLAGS), _SEND_OK)


def _failure(status: grpc.StatusCode, text: str) -> tuple[Any, ...]:
    code = status.value[0]
    return (_SEND_HEADERS, cygrpc.SendStatusFromServerOperation(None, code, text.encode(), NO_FLAGS))


def _nothing(_event: Any) -> None:  # noqa: ANN401
    """Leave an event at that."""


ENDED: Final = partial(_nothing)
"""The tag of a batch whose end changes nothing."""
