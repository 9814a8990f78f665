"""The host of the engine: carries out its commands against the platform and reports back what came of them.

It decides nothing about scaling. It guarantees that every CreateSlot, Init and DestroySlot leads to exactly the reports
the engine expects, whatever the platform does; that every waiting request is delivered one Wake, whichever of the two
came first; and that an instance whose client has gone returns to the engine. Methods run on one event loop but where
they say otherwise; tasks are bounded by the engine's live slots.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Literal, Protocol

import structlog

from pilotlight._core import CreateSlot, DestroySlot, Init, Wake
from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreateUnansweredError, Function
from pilotlight.server.failures import FailureLog
from pilotlight.server.refusals import RefusalLog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from pilotlight._core import Command, Courier, Outcome, Scaler
    from pilotlight.platform.base import CreatedSlot, Platform
    from pilotlight.server.metrics import PlatformMetrics

LONGEST_PAUSE_S = 0.02
"""Pause between two looks at the engine's schedule, and so how late something due sooner than that can be."""

SHORTEST_PAUSE_S = 0.001
"""Lets calls be served between two ticks when much is due at once."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class SlotNames(Protocol):
    """The platform's names of the slots that exist, by the engine's."""

    def __getitem__(self, slot: int, /) -> str: ...
    def __setitem__(self, slot: int, name: str, /) -> None: ...
    def __delitem__(self, slot: int, /) -> None: ...
    def __contains__(self, slot: int, /) -> bool: ...


class Host:
    """Runs one engine on one platform.

    Args:
        scaler: the engine.
        platform: where its slots come from.
        metrics: told of every platform call.
    """

    def __init__(self, scaler: Scaler, platform: Platform, metrics: PlatformMetrics) -> None:
        self._leaves_slots = False
        self._scaler = scaler
        self._platform = platform
        self._metrics = metrics
        self._failures = FailureLog(_log)
        self._refusals = RefusalLog(scaler, _log)
        self._courier: Courier | None = None
        self._platform_ids: SlotNames = {}
        self._commands: deque[Command] = deque()
        self._executing = False
        self._waits: dict[int, Callable[[Wake], None] | Wake] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for a Wake, and Wakes that wait for their request."""
        return len(self._waits)

    @property
    def calls(self) -> int:
        """Commands under way on the platform, late answers included."""
        carried = sum(now for now, _, _ in self._courier.calls()) if self._courier else 0
        return len(self._calls) + carried

    def start(self) -> None:
        """Begin to tick, with the help of a courier if the platform has one."""
        self._courier = self._platform.attach(self._scaler, self)
        if self._courier is not None:
            self._platform_ids = self._courier
            self._metrics.watch(self._courier)
        self._ticking = asyncio.create_task(self._tick())

    def leave_slots(self) -> None:
        """Drop every later DestroySlot: a shutdown that leaves slots on the platform."""
        self._leaves_slots = True
        if self._courier:
            self._courier.leave_slots()

    async def close(self) -> None:
        """Stop ticking and give up what is under way; the engine hears of nothing more."""
        tasks = [*self._calls, *([self._ticking] if self._ticking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def execute(self, commands: Iterable[Command]) -> None:
        """Start carrying out the engine's commands; returns at once."""
        self._commands.extend(commands)
        if self._executing:  # called by a Wake's delivery: a chain of clients that have gone must not nest
            return
        self._executing = True
        try:
            while self._commands:
                self._begin(self._commands.popleft())
        finally:
            self._executing = False

    def go_on(self, command: Command, begun_ns: int) -> None:
        """Start carrying out a command whose first call a courier has made, and which did not end well."""
        self._begin(command, begun_ns)

    def enqueue(self, outcome: Outcome, deliver: Callable[[Wake], None]) -> int:
        """Carry out the commands of an Assign that has to wait, and return its waiter.

        `deliver` is called with its Wake, once; see `await_wake`.
        """
        waiter = outcome.waiter
        if waiter is None:
            raise RuntimeError("an Assign came back with neither a reply nor a waiter")
        self.await_wake(waiter, deliver)
        self.execute(outcome.commands)
        return waiter

    def await_wake(self, waiter: int, deliver: Callable[[Wake], None]) -> None:
        """Have `deliver` called with a waiter's Wake, at once when it is here already. Callable from any thread."""
        # Whoever comes second has both: `setdefault` is one step, whatever threads do.
        early = self._waits.setdefault(waiter, deliver)
        if early is not deliver:
            del self._waits[waiter]
            deliver(early)  # type: ignore[arg-type]

    def wake(self, wake: Wake) -> None:
        """Deliver a Wake, or keep it for its request; callable from any thread."""
        deliver = self._waits.setdefault(wake.waiter, wake)
        if deliver is not wake:
            del self._waits[wake.waiter]
            deliver(wake)  # type: ignore[operator]

    def forget(self, waiter: int) -> None:
        """Let a request go whose client has gone. Callable from any thread.

        A Wake on its way is still delivered: what it brings is then to be taken back, as `undelivered` does.
        """
        if self._scaler.cancel(time.monotonic_ns(), waiter):
            del self._waits[waiter]

    def undelivered(self, wake: Wake) -> None:
        """Take back what a Wake brought for a client that has gone."""
        if wake.reply is not None:
            self.take_back(wake.reply)

    def take_back(self, reply: bytes) -> None:
        """Free the instance of an AssignReply that did not reach its client."""
        self.execute(self._scaler.abandon(time.monotonic_ns(), reply))

    def _begin(self, command: Command, begun_ns: int | None = None) -> None:
        match command:
            case CreateSlot():
                self._spawn(self._create(command, begun_ns))
            case Init():
                self._spawn(self._init(command, begun_ns))
            case DestroySlot():
                if not self._leaves_slots:
                    self._spawn(self._destroy(command, begun_ns))
            case Wake():
                self.wake(command)

    async def _create(self, command: CreateSlot, begun_ns: int | None) -> None:
        slot = command.slot
        try:
            with self._metrics.call("create", begun_ns):
                created = await self._platform.create_slot(slot, command.memory_mb)
        except CreateUnansweredError as unanswered:
            self._start_failed(slot, "create", unanswered)
            await self._listen(slot, unanswered)
        except Exception as error:  # noqa: BLE001 - whatever happened, the engine must hear of it
            self._start_failed(slot, "create", error)
        else:
            self._created(slot, created)

    async def _listen(self, slot: int, unanswered: CreateUnansweredError) -> None:
        """Wait for the late answer of a CreateSlot, so that its slot is destroyed rather than lost."""
        try:
            created = await unanswered.late_answer()
        except Exception as error:  # noqa: BLE001 - as above
            self._start_failed(slot, "create", error)
        else:
            _log.debug("a slot was created late", slot=slot, platform_id=created.platform_id)
            self._created(slot, created)

    async def _init(self, command: Init, begun_ns: int | None) -> None:
        function = Function(command.key, command.runtime, command.timeout_s, command.memory_mb)
        try:
            with self._metrics.call("init", begun_ns):
                init_ns = await self._platform.init(self._platform_ids[command.slot], command.instance_id, function)
        except Exception as error:  # noqa: BLE001 - as above
            if command.slot in self._platform_ids:
                self._start_failed(command.slot, "init", error)
        else:
            # Gone: the end of a drain does not wait for an Init before it destroys the slot.
            if command.slot in self._platform_ids:
                self.execute(self._scaler.instance_ready(time.monotonic_ns(), command.slot, init_ns))

    async def _destroy(self, command: DestroySlot, begun_ns: int | None) -> None:
        slot = command.slot
        try:
            with self._metrics.call("destroy", begun_ns):
                await self._platform.destroy(self._platform_ids[slot], command.reason)
        except Exception as error:  # noqa: BLE001 - as above
            self._failures.report("destroy", slot, error)
            self.execute(self._scaler.destroy_failed(time.monotonic_ns(), slot))
        else:
            del self._platform_ids[slot]
            self.execute(self._scaler.slot_destroyed(time.monotonic_ns(), slot))

    def _created(self, slot: int, created: CreatedSlot) -> None:
        self._platform_ids[slot] = created.platform_id
        self.execute(self._scaler.slot_created(time.monotonic_ns(), slot, created.create_ns))

    def _start_failed(self, slot: int, stage: Literal["create", "init"], error: Exception) -> None:
        self._failures.report(stage, slot, error)
        may_exist = isinstance(error, PlatformError) and error.may_exist
        self.execute(self._scaler.start_failed(time.monotonic_ns(), slot, stage, str(error), may_exist))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a report to the engine failed", exc_info=error)

    async def _tick(self) -> None:
        while True:
            wakeup_ns = self._scaler.next_wakeup_ns()
            pause = LONGEST_PAUSE_S if wakeup_ns is None else (wakeup_ns - time.monotonic_ns()) / 1e9
            await asyncio.sleep(min(max(pause, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))
            try:
                self.execute(self._scaler.tick(time.monotonic_ns()))
                self._refusals.look()
            except BaseException:  # noqa: BLE001 - a panic of the core is no Exception, and the next tick must come
                _log.exception("a tick failed")
