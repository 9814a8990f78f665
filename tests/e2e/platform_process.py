"""A platform service in a process of its own, for tests that make it hang, kill it or ask what it holds.

Prints its address. Then reads commands, one a line, from stdin: `live` prints how many slots exist, `hang` leaves every
later call unanswered, `resume` answers calls again, those left unanswered included.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import grpc.aio

from pilotlight.errors import PlatformError
from pilotlight.platform.base import Function
from pilotlight.platform.sim import SimPlatform
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext


class Service(pb_grpc.PlatformServicer):
    """Puts a `SimPlatform` behind the wire."""

    def __init__(self) -> None:
        self.platform = SimPlatform(create_time=0.005, init_time=0.005)
        self.answering = asyncio.Event()
        self.answering.set()

    async def CreateSlot(self, request: pb.CreateSlotRequest, context: Context) -> pb.CreateSlotReply:  # noqa: N802 - the wire's
        del context
        created = await self.platform.create_slot(0, request.resource_config.memory_in_megabytes)
        await self.answering.wait()
        return pb.CreateSlotReply(slot=pb.Slot(id=created.platform_id))

    async def Init(self, request: pb.InitRequest, context: Context) -> pb.InitReply:  # noqa: N802 - the wire's
        del context
        meta = request.meta_data
        function = Function(meta.key, meta.runtime, meta.timeout_in_secs, meta.memory_in_mb)
        await self.answering.wait()
        try:
            await self.platform.init(request.slot_id, request.instance_id, function)
        except PlatformError as error:
            return pb.InitReply(status=pb.InvalidArgument, error_message=str(error))
        return pb.InitReply()

    async def DestroySlot(self, request: pb.DestroySlotRequest, context: Context) -> pb.DestroySlotReply:  # noqa: N802 - the wire's
        del context
        await self.answering.wait()
        known = request.id in self.platform.live
        await self.platform.destroy(request.id, request.reason)
        return pb.DestroySlotReply(status=pb.Ok if known else pb.NotFound)


async def main() -> None:
    service = Service()
    server = grpc.aio.server()
    pb_grpc.add_PlatformServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{sys.argv[1] if len(sys.argv) > 1 else 0}")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)  # noqa: T201 - the test reads it
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.strip():
            case "live":
                answer = str(len(service.platform.live))
            case "hang":
                service.answering.clear()
                answer = "hanging"
            case "resume":
                service.answering.set()
                answer = "answering"
            case unknown:
                answer = f"unknown command {unknown!r}"
        print(answer, flush=True)  # noqa: T201 - the test reads it
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
