"""A Scaler that does nothing but answer: the floor that grpcio sets for any front on it.

    python benches/peers/grpcio_constant.py --address 127.0.0.1:9001 --mode queue

Every Assign gets a new instance's id and every Idle an empty reply; nothing is kept. `queue` drives
grpcio's core from one thread, `aio` is the public asyncio API on uvloop, `sync` the public thread-pool API with four
threads on one CPU, which is where it is fastest. None watches for clients that have gone, checks deadlines, or shuts
down gracefully.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

# gRPC reads its variables when it is loaded. These are what `pilotlight serve` sets for the same mode.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
if not any(word.endswith(("aio", "sync")) for word in sys.argv[1:]):
    os.environ.setdefault("GRPC_POLL_STRATEGY", "poll")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
import grpc.aio
import uvloop
from grpc._cython import cygrpc

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "serverless.simulator.Scaler"
OUTSTANDING = 64
_instances = itertools.count()


def assign(request: bytes) -> bytes:
    """Copy the request's id and its function's key, where encoders put them, beside a new instance's id."""
    at = 2 + request[1]  # field 1: the id
    id_field = request[:at]
    if request[at] == 0x10:  # field 2: the timestamp, a varint
        at += 2
        while request[at - 1] & 0x80:
            at += 1
    key_length = request[at + 3]  # field 3: meta_data, whose field 1 is the key
    key = request[at + 4 : at + 4 + key_length]
    assignment = b"%b\x12%c%b\x1a\x20%032x" % (id_field, key_length, key, next(_instances))
    return b"\x12%c%b" % (len(assignment), assignment)


def idle(_request: bytes) -> bytes:
    return b""


ANSWERS = {"Assign": assign, "Idle": idle}


def serve_queue(address: str) -> None:
    server: Any = cygrpc.Server((("grpc.so_reuseport", 0),), False)
    queue = cygrpc.CompletionQueue()
    server.register_completion_queue(queue)
    methods = {f"/{SERVICE}/{name}": answer for name, answer in ANSWERS.items()}
    for method in methods:
        server.register_method(method)
    if not server.add_http2_port(address.encode()):
        sys.exit(f"cannot listen on {address}")
    server.start()
    for method in methods:
        for _ in range(OUTSTANDING):
            server.request_registered_call(queue, queue, method, method)
    while True:
        event = queue.poll()
        tag = event.tag
        if type(tag) is str:
            call = event.call
            call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), (call, methods[tag]))
            server.request_registered_call(queue, queue, tag, tag)
        elif type(tag) is tuple:
            call, answer = tag
            operations = (
                cygrpc.SendInitialMetadataOperation(None, 0),
                cygrpc.SendMessageOperation(answer(event.batch_operations[0].message()), 0),
                cygrpc.SendStatusFromServerOperation(None, cygrpc.StatusCode.ok, b"", 0),
                cygrpc.ReceiveCloseOnServerOperation(0),
            )
            call.start_server_batch(operations, None)
        event = tag = call = None


async def serve_aio(address: str) -> None:
    def handler(answer: Callable[[bytes], bytes]) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(request: bytes, _context: object) -> bytes:
            return answer(request)

        return grpc.unary_unary_rpc_method_handler(handle)

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_registered_method_handlers(SERVICE, {name: handler(answer) for name, answer in ANSWERS.items()})
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def serve_sync(address: str) -> None:
    def handler(answer: Callable[[bytes], bytes]) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: answer(request))

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_registered_method_handlers(SERVICE, {name: handler(answer) for name, answer in ANSWERS.items()})
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:9001", help="where to listen")
    parser.add_argument("--mode", choices=("queue", "aio", "sync"), default="queue", help="how grpcio is driven")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    gc.freeze()
    if chosen.mode == "queue":
        serve_queue(chosen.address)
    elif chosen.mode == "sync":
        serve_sync(chosen.address)
    else:
        uvloop.install()
        asyncio.run(serve_aio(chosen.address))


if __name__ == "__main__":
    main()
