"""The way from a front's own thread to the event loop."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_MOST_AT_ONCE = 64
"""Functions called before the loop looks at signals, timers and sockets again: under overload there is always more."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Mailbox:
    """Calls functions on an event loop, in the order in which they were posted; one wake-up serves many.

    Args:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        """Have a function called on the loop; callable from any thread."""
        self._posted.append((function, arguments))
        if not self._woken:  # after the append: whoever clears the mark looks at the queue after that
            self._wake()

    def _wake(self) -> None:
        self._woken = True
        self._loop.call_soon_threadsafe(self._work_off)

    def _work_off(self) -> None:
        self._woken = False
        for _ in range(min(len(self._posted), _MOST_AT_ONCE)):
            function, arguments = self._posted.popleft()
            try:
                function(*arguments)
            except BaseException:  # noqa: BLE001 - a panic of the core is no Exception, and the next one must run
                _log.exception("a call of the host failed")
        if self._posted and not self._woken:
            self._wake()
