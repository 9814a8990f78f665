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
from typing import TYPE_CHECKING, Literal

import structlog

from pilotlight._core import CreateSlot, DestroySlot, Init, Wake
from pilotlight.errors import PlatformError
from pilotlight.platform.base import CreateUnansweredError, Function
from pilotlight.server.failures import FailureLog
from pilotlight.server.refusals import RefusalLog
from pilotlight.server.slots import MOST_NAMED, HostNames, SlotsLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from pilotlight._core import Command, Courier, Outcome, Scaler
    from pilotlight.platform.base import CreatedSlot, Platform
    from pilotlight.server.metrics import PlatformMetrics
    from pilotlight.server.slots import SlotNames

LONGEST_PAUSE_S = 0.02
"""Pause between two looks at the engine's schedule, and so how late something due sooner than that can be."""

SHORTEST_PAUSE_S = 0.001
"""Lets calls be served between two ticks when much is due at once."""

_NAME_PAUSE_S = 0.05
"""Between two looks at whether a name that two slots were given is free: too rare for more than polling."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


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
        self._platform_ids: SlotNames = HostNames()
        self._written_off: deque[int] = deque(maxlen=MOST_NAMED)
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
        self._metrics.watch(self._platform, self._courier)
        self._ticking = asyncio.create_task(self._tick())

    def leave_slots(self) -> None:
        """Drop every later DestroySlot: a shutdown that leaves slots on the platform."""
        self._leaves_slots = True
        if self._courier:
            self._courier.leave_slots()

    def left(self) -> SlotsLeft:
        """Count and name the slots that are on the platform now, or may be."""
        slots = self._scaler.slots(self._scaler.live_slots)
        names = {slot: self._name(slot) for slot in slots}
        unnamed = [slot for slot, name in names.items() if name is None]
        return SlotsLeft(
            live=len(slots),
            unnamed=len(unnamed),
            written_off=self._scaler.snapshot(time.monotonic_ns())["written_off"],
            slots=[name for name in names.values() if name is not None][:MOST_NAMED],
            requests=[f"slot-{slot}" for slot in (*unnamed, *self._written_off)][:MOST_NAMED],
        )

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
                self._claim(slot, created)
        except CreateUnansweredError as unanswered:
            self._start_failed(slot, "create", unanswered)
            await self._listen(slot, unanswered)
        except Exception as error:  # noqa: BLE001 - whatever happened, the engine must hear of it
            self._start_failed(slot, "create", error)
        else:
            self.execute(self._scaler.slot_created(time.monotonic_ns(), slot, created.create_ns))

    def _claim(self, slot: int, created: CreatedSlot) -> None:
        """Note a new slot's name; one that another slot has makes it a slot that nobody can use."""
        name = created.platform_id
        if not self._platform_ids.claim(slot, name, takes_over=True):

            async def itself() -> CreatedSlot:
                return created

            text = f"CreateSlot of slot {slot}: the platform answered with slot {name}, which it had given out before"
            raise CreateUnansweredError(text, itself)

    async def _listen(self, slot: int, unanswered: CreateUnansweredError) -> None:
        """Wait for the slot that a failed CreateSlot may have made, so that it is destroyed rather than lost."""
        try:
            created = await unanswered.late_answer()
        except Exception as error:  # noqa: BLE001 - as above
            if isinstance(error, PlatformError) and error.may_exist:
                self._written_off.append(slot)
            self._start_failed(slot, "create", error)
            return
        # Destroyed by a name that another slot has, it would take that one with it.
        name = created.platform_id
        while not self._platform_ids.claim(slot, name, takes_over=False):  # noqa: ASYNC110 - see _NAME_PAUSE_S
            await asyncio.sleep(_NAME_PAUSE_S)
        _log.debug("the slot of a failed start is there", slot=slot, platform_id=name)
        self.execute(self._scaler.slot_created(time.monotonic_ns(), slot, created.create_ns))

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

    def _start_failed(self, slot: int, stage: Literal["create", "init"], error: Exception) -> None:
        self._failures.report(stage, slot, error)
        known = error if isinstance(error, PlatformError) else PlatformError(str(error))
        commands = self._scaler.start_failed(
            time.monotonic_ns(), slot, stage, str(error), may_exist=known.may_exist, throttled=known.throttled
        )
        self.execute(commands)

    def _name(self, slot: int) -> str | None:
        try:
            return self._platform_ids[slot]
        except KeyError:
            return None

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
