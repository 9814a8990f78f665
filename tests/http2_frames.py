"""HTTP/2 by hand, for what no client library sends."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM = ACK = 1
END_HEADERS = 4

ASSIGN = "/serverless.simulator.Scaler/Assign"
IDLE = "/serverless.simulator.Scaler/Idle"

_PATIENCE_S = 60.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_ONE_BYTE = 127


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(stream: int, path: str, more: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """Return the headers of a call, as literals that are not indexed."""
    known = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "scaler"}
    known |= {"content-type": "application/grpc", "te": "trailers"}
    block = b""
    for name, value in [*((name, value.encode()) for name, value in known.items()), *more]:
        block += b"\0" + _text(name.encode()) + _text(value)
    return frame(HEADERS, END_HEADERS, stream, block)


def assign_message(key: str = "f", request_id: str = "r") -> bytes:
    """Return an encoded AssignRequest with gRPC's prefix."""
    meta = pb.Meta(key=key, runtime="python", timeout_in_secs=60, memory_in_mb=128)
    message = pb.AssignRequest(request_id=request_id, meta_data=meta).SerializeToString()
    return b"\0" + struct.pack(">I", len(message)) + message


def call(stream: int, path: str, message: bytes) -> bytes:
    """Return a whole call."""
    return headers(stream, path) + frame(DATA, END_STREAM, stream, message)


def reset(stream: int) -> bytes:
    """Return what cancels a call."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", 8))


def _text(text: bytes) -> bytes:
    if len(text) < _ONE_BYTE:
        return bytes([len(text)]) + text
    length, rest = bytes([_ONE_BYTE]), len(text) - _ONE_BYTE
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + text


class Connection:
    """One connection that has greeted and acknowledged whatever the server sets."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=_PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.settings: dict[int, int] = {}
        self.send(_PREFACE + frame(SETTINGS, 0, 0))
        kind, flags, _, payload = self.next()
        while kind != SETTINGS or flags & ACK:
            kind, flags, _, payload = self.next()
        self.settings = dict(struct.iter_unpack(">HI", payload))
        self.send(frame(SETTINGS, ACK, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()

    def send(self, frames: bytes) -> None:
        """Send some frames."""
        self.socket.sendall(frames)

    def next(self) -> tuple[int, int, int, bytes]:
        """Return the next frame: its kind, flags, stream and payload."""
        head = self._read(9)
        payload = self._read(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    def until_ended(self, streams: int = 1) -> None:
        """Read until some streams have ended, well or not."""
        while streams:
            kind, flags, _, payload = self.next()
            assert kind != GOAWAY, payload
            streams -= kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM)

    def _read(self, count: int) -> bytes:
        read = b""
        while len(read) < count:
            more = self.socket.recv(count - len(read))
            assert more, "the server closed the connection"
            read += more
        return read
