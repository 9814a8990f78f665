"""A platform service on a real socket that answers as it is told, in the test's own process."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext


class Service(pb_grpc.PlatformServicer):
    """A platform that gives the answers in `script` first: a reply, a status to abort with, or a future of a reply."""

    def __init__(self) -> None:
        self.address = ""
        self._server: grpc.aio.Server | None = None
        self.script: deque[Any] = deque()
        self.live: set[str] = set()
        self.requests: list[str] = []
        self.destroyed: list[str] = []
        self.created = 0
        self.repeats = False

    async def start(self) -> None:
        self._server = grpc.aio.server()
        pb_grpc.add_PlatformServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address or '127.0.0.1:0')}"
        await self._server.start()

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop(None)

    async def _answer(self, context: Context, otherwise: Message) -> Any:  # noqa: ANN401
        answer = self.script.popleft() if self.script else otherwise
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "as told")
        return await answer if isinstance(answer, asyncio.Future) else answer

    async def CreateSlot(self, request: pb.CreateSlotRequest, context: Context) -> pb.CreateSlotReply:  # noqa: N802 - the wire's
        self.requests.append(request.request_id)
        self.created += not (self.repeats and self.created)
        reply = await self._answer(context, pb.CreateSlotReply(slot=pb.Slot(id=f"s{self.created}")))
        self.live.add(reply.slot.id)
        return reply

    async def Init(self, request: pb.InitRequest, context: Context) -> pb.InitReply:  # noqa: N802 - the wire's
        assert request.slot_id in self.live
        return await self._answer(context, pb.InitReply())

    async def DestroySlot(self, request: pb.DestroySlotRequest, context: Context) -> pb.DestroySlotReply:  # noqa: N802 - the wire's
        reply = await self._answer(context, pb.DestroySlotReply())
        self.live.discard(request.id)
        self.destroyed.append(request.id)
        return reply
