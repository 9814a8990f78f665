"""Requests that wait on a completion queue, and the answers that are to be sent to them.

A freed instance that serves the next in line makes a client call again at once: hundreds of such chains, after a burst
of cold starts, would keep the queue full and every warm call behind them. So the queue's thread sends an answer when
nothing else is to be done, and one after every few events when there always is: as many requests are served in the same
time, and a warm call finds few calls ahead of it.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from pilotlight.server import grpcio_replies
from pilotlight.server.handlers import STATUS

if TYPE_CHECKING:
    from pilotlight._core import Wake
    from pilotlight.server.host import Host
    from pilotlight.server.mailbox import Mailbox

_EVENTS_PER_ANSWER = 16
"""Events of the queue after which an answer is sent although there are more: a request costs four."""


class Waits:
    """The waiting requests of one completion queue.

    Args:
        host: brings the requests together with their Wakes.
        mailbox: leads to the host's event loop.
    """

    def __init__(self, host: Host, mailbox: Mailbox) -> None:
        self._host = host
        self._mailbox = mailbox
        self._lock = threading.Lock()
        self._passed = 0
        self.answers: deque[tuple[_Wait, Wake]] = deque()
        """Answers to be sent; to be read by the queue's thread."""
        self.asleep = False
        """The queue's thread waits for an event. It says so before it looks at `answers` for the last time, so that
        either it sees an answer, or whoever brings one sees it asleep."""

    def begin(self, call: Any, waiter: int) -> None:  # noqa: ANN401 - Cython classes have no types
        """Have a call wait for its Wake, with an eye on its client."""
        wait = _Wait(call, waiter)
        self._host.await_wake(waiter, partial(self._woken, wait))
        grpcio_replies.watch(call, partial(self._closed, wait))

    def event_passed(self) -> None:
        """Count an event of the queue's that went before the answers."""
        self._passed += 1
        if self._passed >= _EVENTS_PER_ANSWER:
            self.send_one()

    def send_one(self) -> bool:
        """Send the oldest answer whose client is still there; False: there is none. Callable from any thread."""
        self._passed = 0
        while True:
            try:
                wait, wake = self.answers.popleft()
            except IndexError:
                return False
            with self._lock:
                wait.wake = wake
                gone = wait.gone
            if not gone:
                _send(wait.call, wake)
                return True
            self._take_back(wake)

    def _woken(self, wait: _Wait, wake: Wake) -> None:
        """Note an answer, on whatever thread; if the queue sleeps, sending one wakes it."""
        self.answers.append((wait, wake))
        if self.asleep:
            self.asleep = False
            # Nothing sent, nothing woken: the next answer must try again.
            self.asleep = not self.send_one()

    def _closed(self, wait: _Wait, event: Any) -> None:  # noqa: ANN401
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

    __slots__ = ("call", "gone", "waiter", "wake")

    def __init__(self, call: Any, waiter: int) -> None:  # noqa: ANN401
        self.call = call
        self.waiter = waiter
        self.gone = False
        self.wake: Wake | None = None


def _send(call: Any, wake: Wake) -> None:  # noqa: ANN401
    if wake.reply is not None:
        grpcio_replies.answer(call, wake.reply)
    elif wake.error is not None:
        kind, text = wake.error
        grpcio_replies.give_up(call, STATUS[kind], text)
