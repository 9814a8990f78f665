"""An in-process platform for trying `pilotlight serve` and for tests: starts are sleeps, failures come from a seed.

It keeps the rules of a real one: a slot takes one Init, its memory must equal the function's, and an unknown slot is an
error.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreatedSlot, Function

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.platform.base import CourierHost


@dataclass(slots=True)
class SimSlot:
    """A live slot: its memory and, once Init was accepted, its instance."""

    memory_mb: int
    instance_id: str | None = None


class SimPlatform:
    """A platform of sleeps.

    Args:
        create_time: seconds that CreateSlot takes.
        init_time: seconds that Init takes.
        create_failure: share of CreateSlot calls that fail, after their full time.
        init_failure: share of Init calls that fail, after their full time.
        seed: of the failures; they follow the order of the calls.
    """

    def __init__(
        self,
        *,
        create_time: float = 0.105,
        init_time: float = 0.1,
        create_failure: float = 0.0,
        init_failure: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.live: dict[str, SimSlot] = {}
        self._create_time = create_time
        self._init_time = init_time
        self._create_failure = create_failure
        self._init_failure = init_failure
        self._random = random.Random(seed)  # noqa: S311 - failures must repeat from their seed
        self._created = 0

    @property
    def answers(self) -> bool:
        """Answer always: it is this process."""
        return True

    def attach(self, scaler: Scaler, host: CourierHost) -> None:
        """Leave all commands to the host: there is no connection to call through."""

    async def create_slot(self, slot: int, memory_mb: int) -> CreatedSlot:
        """Sleep, then create a slot."""
        started = time.monotonic_ns()
        fails = self._random.random() < self._create_failure
        await asyncio.sleep(self._create_time)
        if fails:
            raise PlatformError(f"CreateSlot of slot {slot}: simulated failure")
        self._created += 1
        platform_id = f"sim-{self._created}"
        self.live[platform_id] = SimSlot(memory_mb)
        return CreatedSlot(platform_id, time.monotonic_ns() - started)

    async def init(self, platform_id: str, instance_id: str, function: Function) -> int:
        """Check the slot's rules, sleep, and report the time."""
        started = time.monotonic_ns()
        slot = self.live.get(platform_id)
        if slot is None:
            raise PlatformError(f"Init of {platform_id}: slot not found")
        if slot.instance_id is not None:
            raise PlatformError(f"Init of {platform_id}: slot {platform_id} is already allocated")
        if slot.memory_mb != function.memory_mb:
            raise PlatformError(
                f"Init of {platform_id}: the slot has {slot.memory_mb} MB, "
                f"function {function.key} needs {function.memory_mb} MB"
            )
        slot.instance_id = instance_id
        fails = self._random.random() < self._init_failure
        await asyncio.sleep(self._init_time)
        if fails:
            raise PlatformError(f"Init of {platform_id}: simulated failure")
        return time.monotonic_ns() - started

    async def destroy(self, platform_id: str, reason: str) -> None:
        """Forget the slot."""
        del reason
        self.live.pop(platform_id, None)

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
