"""The Platform service of a replay: slots that take their time, and nothing else.

The rules are `slots`'; this module adds the durations and the wire. A refusal travels as the reply's status and text,
as the contract has it, never as a gRPC error.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pilotlight.replay.clock import MS_PER_S, TraceClock
from pilotlight.replay.slots import SlotRefused, SlotState, SlotTable
from pilotlight.traces.trace import NS_PER_MS
from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

if TYPE_CHECKING:
    import grpc.aio


class PlatformService(services.PlatformServicer):
    """Answer CreateSlot, Init and DestroySlot as the contest's simulator does.

    Args:
        slots: the rules and the account.
        clock: trace time.
        create_ns: how long CreateSlot takes, whatever the memory.
    """

    def __init__(self, slots: SlotTable, clock: TraceClock, create_ns: int) -> None:
        self._slots = slots
        self._clock = clock
        self._create_ns = create_ns

    async def CreateSlot(  # noqa: N802 (the contract's name)
        self,
        request: wire.CreateSlotRequest,
        context: grpc.aio.ServicerContext[wire.CreateSlotRequest, wire.CreateSlotReply],
    ) -> wire.CreateSlotReply:
        """Create a slot after `create_ns`; a caller that hangs up before leaves none behind."""
        del context
        begun_ns = self._clock.now_ns()
        try:
            slot = self._slots.begin_create(request.resource_config.memory_in_megabytes, begun_ns)
        except SlotRefused as refusal:
            return wire.CreateSlotReply(status=refusal.status, error_message=str(refusal))
        try:
            await self._clock.sleep_until(begun_ns + self._create_ns)
        except asyncio.CancelledError:
            self._slots.destroy(slot.slot_id, self._clock.now_ns())
            raise
        slot.state = SlotState.CREATED
        return wire.CreateSlotReply(
            status=wire.Ok,
            slot=wire.Slot(
                id=slot.slot_id,
                resource_config=wire.ResourceConfig(memory_in_megabytes=slot.memory_mb),
                create_time=_epoch_ms(),
                create_duration_in_ms=self._wall_ms(self._create_ns),
            ),
        )

    async def Init(  # noqa: N802 (the contract's name)
        self, request: wire.InitRequest, context: grpc.aio.ServicerContext[wire.InitRequest, wire.InitReply]
    ) -> wire.InitReply:
        """Make the slot an instance after the function's own start; Ok also when the slot was destroyed meanwhile."""
        del context
        begun_ns = self._clock.now_ns()
        try:
            slot, function = self._slots.begin_init(request.slot_id, request.instance_id, request.meta_data.key)
        except SlotRefused as refusal:
            return wire.InitReply(status=refusal.status, error_message=str(refusal))
        # A caller that hangs up here leaves a slot that is given away and never ready; it can only be destroyed.
        await self._clock.sleep_until(begun_ns + function.init_ns)
        slot.state = SlotState.READY
        return wire.InitReply(
            status=wire.Ok, create_time=_epoch_ms(), init_duration_in_ms=self._wall_ms(function.init_ns)
        )

    async def DestroySlot(  # noqa: N802 (the contract's name)
        self,
        request: wire.DestroySlotRequest,
        context: grpc.aio.ServicerContext[wire.DestroySlotRequest, wire.DestroySlotReply],
    ) -> wire.DestroySlotReply:
        """Destroy a slot in any state, at once."""
        del context
        try:
            self._slots.destroy(request.id, self._clock.now_ns())
        except SlotRefused as refusal:
            return wire.DestroySlotReply(status=refusal.status, error_message=str(refusal))
        return wire.DestroySlotReply(status=wire.Ok)

    def _wall_ms(self, trace_ns: int) -> int:
        """Say a duration as the scaler lives it: its clock is the wall clock, whatever the speed."""
        return round(self._clock.wall_s(trace_ns) * MS_PER_S)


def _epoch_ms() -> int:
    return time.time_ns() // NS_PER_MS
