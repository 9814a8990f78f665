"""What a courier leaves: given to the platform as calls begun, and to the host as commands.

A courier carries out a scaler's commands without Python for as long as every call ends well. A call that does not is
left here with its outcome. The host gets its command as if it had just been issued, and the platform, asked to carry it
out, finds the first attempt made: what may be repeated and what may exist is decided there alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from pilotlight._core import CreateSlot, DestroySlot, Init, LateOutcome, LeftCall, RefusedReport, Wake
from pilotlight.platform.channel import UNANSWERED, settle

if TYPE_CHECKING:
    from pilotlight._core import Courier
    from pilotlight.platform.base import CourierHost

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BegunCall:
    """A call whose first attempt has been made: its answer, as `Channel.call` gives it, and since when it goes on."""

    answer: asyncio.Future[bytes]
    begun_ns: int


class CourierCalls:
    """Listens to a courier on the current event loop.

    Args:
        courier: what leaves calls.
        begun: where they are put, by method and by the name that the platform's caller has for the slot.
        host: is given their commands, and every Wake.
    """

    def __init__(self, courier: Courier, begun: dict[tuple[str, str], BegunCall], host: CourierHost) -> None:
        self._courier = courier
        self._begun = begun
        self._host = host
        self._late: dict[int, asyncio.Future[bytes]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(courier.fileno(), self._take)

    def close(self) -> None:
        """Stop listening; answers awaited end as cancelled."""
        self._loop.remove_reader(self._courier.fileno())
        for answer in self._late.values():
            answer.cancel()

    def _take(self) -> None:
        kept: list[tuple[str, str]] = []
        for left in self._courier.take():
            match left:
                case Wake():
                    self._host.execute([left])
                case LeftCall():
                    if (key := self._keep(left)) is not None:
                        kept.append(key)
                        self._host.go_on(left.command, left.begun_ns)
                case LateOutcome():
                    settle(self._late.pop(left.slot), left.outcome)
                case RefusedReport():
                    _log.error("a report to the engine failed", reason=left.reason)
        # By then the host's tasks have begun; a call that nobody asked for belongs to a slot that went meanwhile.
        self._loop.call_soon(self._forget, kept)

    def _keep(self, left: LeftCall) -> tuple[str, str] | None:
        """Note a call as begun; None: its slot is gone, and nothing is left to do."""
        command = left.command
        match command:
            case CreateSlot():
                name = str(command.slot)
            case Init() | DestroySlot():
                try:
                    name = self._courier[command.slot]
                except KeyError:
                    return None
            case _:
                raise TypeError(f"{command!r} is no call")
        answer: asyncio.Future[bytes] = self._loop.create_future()
        late = None
        if left.outcome[0] == UNANSWERED:
            late = self._late[command.slot] = self._loop.create_future()
        settle(answer, left.outcome, late)
        key = (type(command).__name__, name)
        self._begun[key] = BegunCall(answer, left.begun_ns)
        return key

    def _forget(self, kept: list[tuple[str, str]]) -> None:
        for key in kept:
            self._begun.pop(key, None)
