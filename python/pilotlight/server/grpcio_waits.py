"""Requests that wait on a completion queue, and the answers that are to be sent to them.

A freed instance that serves the next in line makes a client call again at once: hundreds of such chains, after a burst
of cold starts, would keep the queue full and every warm call behind them. So the queue's thread sends an answer when
nothing else is to be done, and one after every few events when there always is: a warm call finds few ahead of it.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from pilotlight.server import grpcio_replies
from pilotlight.server.grpcio_guard import cygrpc
from pilotlight.server.handlers import STATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight._core import Wake
    from pilotlight.server.host import Host
    from pilotlight.server.mailbox import Mailbox

_EVENTS_PER_ANSWER = 16
"""Events of the queue after which an answer is sent although there are more. A request that waits
is four events, and its Idle three."""

_AT_ONCE = 0.0
"""A moment that has passed: what is ready is returned, and nothing is waited for."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Waits:
    """The waiting requests of one completion queue.

    Args:
        host: brings the requests together with their Wakes.
        mailbox: leads to the host's event loop.
    """

    def __init__(self, host: Host, mailbox: Mailbox) -> None:
        self._host = host
        self._mailbox = mailbox
        self._answers: deque[tuple[_Wait, Wake]] = deque()
        self._passed = 0
        self._asleep = False
        self._lock = threading.Lock()

    def begin(self, call: Any, waiter: int, ended: Callable[[], None] | None = None) -> None:  # noqa: ANN401 - Cython classes have no types
        """Have a call wait for its Wake, with an eye on its client; `ended` is called once it is over."""
        wait = _Wait(call, waiter, ended)
        self._host.await_wake(waiter, partial(self._woken, wait))
        grpcio_replies.watch(call, partial(self._closed, wait))

    def next_event(self, poll: Callable[[float | None], Any], deadline: float | None) -> Any:  # noqa: ANN401
        """Poll the queue for its next event, sending answers meanwhile; for the queue's thread."""
        while True:
            # Asleep is said before the last look at the answers, so either this thread sees an answer, or whoever
            # brings one sees it asleep.
            self._asleep = True
            if not self._answers:
                event = poll(deadline)
                self._asleep = False
                return event
            self._asleep = False
            event = poll(_AT_ONCE)
            if event.completion_type != cygrpc.CompletionType.queue_timeout:
                self._passed += 1
                if self._passed >= _EVENTS_PER_ANSWER:
                    self._send_one()
                return event
            self._send_one()

    def _woken(self, wait: _Wait, wake: Wake) -> None:
        """Send or note an answer, on whatever thread."""
        if wake.reply is None:  # an error brings no further call
            self._deliver(wait, wake)
            return
        self._answers.append((wait, wake))
        # A queue that sleeps is woken by the end of what is sent. It may be asleep again before this goes on.
        while self._answers and self._asleep:
            self._asleep = False
            if self._send_one():
                return
            self._asleep = True

    def _send_one(self) -> bool:
        """Send the oldest answer whose client is still there; False: there is none."""
        self._passed = 0
        while True:
            try:
                wait, wake = self._answers.popleft()
            except IndexError:
                return False
            if self._deliver(wait, wake):
                return True

    def _deliver(self, wait: _Wait, wake: Wake) -> bool:
        """Send an answer, or take back what it brings to a client that has gone."""
        try:
            with self._lock:
                wait.wake = wake
                gone = wait.gone
            if gone:
                self._take_back(wake)
            else:
                _send(wait.call, wake)
        except Exception:  # noqa: BLE001 - whoever brought it has others to serve
            _log.exception("an answer could not be sent")
            return False
        return not gone

    def _closed(self, wait: _Wait, event: Any) -> None:  # noqa: ANN401
        if wait.ended is not None:
            wait.ended()
        if not event.batch_operations[0].cancelled():
            return
        with self._lock:
            wait.gone = True
            wake = wait.wake
        if wake is None:
            self._host.forget(wait.waiter)  # or its Wake is on the way, and finds it gone
        else:
            self._take_back(wake)

    def _take_back(self, wake: Wake) -> None:
        if wake.reply is not None:
            self._mailbox.post(self._host.take_back, wake.reply)


class _Wait:
    """A waiting request. Whether its answer or its client's end came first is decided under the lock of `Waits`."""

    __slots__ = ("call", "ended", "gone", "waiter", "wake")

    def __init__(self, call: Any, waiter: int, ended: Callable[[], None] | None) -> None:  # noqa: ANN401
        self.call = call
        self.waiter = waiter
        self.ended = ended
        self.gone = False
        self.wake: Wake | None = None


def _send(call: Any, wake: Wake) -> None:  # noqa: ANN401
    if wake.reply is not None:
        grpcio_replies.answer(call, wake.reply)
    elif wake.error is not None:
        kind, text = wake.error
        grpcio_replies.give_up(call, STATUS[kind], text)
