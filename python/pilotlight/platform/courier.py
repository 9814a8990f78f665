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
    from collections.abc import Callable

    from pilotlight._core import Command, Courier

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
        execute: is given their commands, and every Wake.
    """

    def __init__(
        self, courier: Courier, begun: dict[tuple[str, str], BegunCall], execute: Callable[[list[Command]], None]
    ) -> None:
        self._courier = courier
        self._begun = begun
        self._execute = execute
        self._late: dict[int, asyncio.Future[bytes]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(courier.fileno(), self._take)

    def close(self) -> None:
        """Stop listening; answers awaited end as cancelled."""
        self._loop.remove_reader(self._courier.fileno())
        for answer in self._late.values():
            answer.cancel()

    def _take(self) -> None:
        commands: list[Command] = []
        for left in self._courier.take():
            match left:
                case Wake():
                    commands.append(left)
                case LeftCall():
                    if self._keep(left):
                        commands.append(left.command)
                case LateOutcome():
                    settle(self._late.pop(left.slot), left.outcome)
                case RefusedReport():
                    _log.error("a report to the engine failed", reason=left.reason)
        self._execute(commands)

    def _keep(self, left: LeftCall) -> bool:
        """Note a call as begun; False: its slot is gone, and nothing is left to do."""
        command = left.command
        match command:
            case CreateSlot():
                key = ("CreateSlot", str(command.slot))
            case Init() | DestroySlot():
                if command.slot not in self._courier:
                    return False
                key = (type(command).__name__, self._courier[command.slot])
            case _:
                raise TypeError(f"{command!r} is no call")
        answer: asyncio.Future[bytes] = self._loop.create_future()
        late = None
        if left.outcome[0] == UNANSWERED and isinstance(command, CreateSlot):
            late = self._late[command.slot] = self._loop.create_future()
        settle(answer, left.outcome, late)
        self._begun[key] = BegunCall(answer, left.begun_ns)
        return True
