"""Server reflection under both of its names: `v1`, and `v1alpha` that older clients ask for.

grpcio-reflection has only the older one. The messages of both are the same on the wire, so its servicer answers for
both; what the newer one's are called is described in a pool of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from pilotlight.server.handlers import SERVICE
from pilotlight.wire import simulator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

_OLDER: Final = reflection.SERVICE_NAME
_NEWER: Final = _OLDER.replace("v1alpha", "v1")

SERVICES: Final = (SERVICE, health.SERVICE_NAME, _NEWER, _OLDER)
"""What is listed."""


def add_to(server: grpc.Server | grpc.aio.Server, make: Callable[..., Any], threads: Any = None) -> None:  # noqa: ANN401
    """Answer reflection.

    Args:
        server: has not started.
        make: grpcio-reflection's servicer that fits the server.
        threads: what streams run on that keep a thread each.
    """
    stream: Any = make(SERVICES, pool=_pool()).ServerReflectionInfo
    if threads is not None:
        stream = _OnThreads(stream, threads)
    handler = grpc.stream_stream_rpc_method_handler(
        stream,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (_NEWER, _OLDER):
        generic = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
        server.add_generic_rpc_handlers((generic,))


class _OnThreads:
    """A method that a `grpc.Server` runs on threads of its own."""

    def __init__(self, method: Callable[..., Any], threads: Any) -> None:  # noqa: ANN401
        self.experimental_thread_pool = threads
        self._method = method

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        return self._method(*arguments)


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in (simulator_pb2, health_pb2, reflection_pb2):
        pool.AddSerializedFile(file.DESCRIPTOR.serialized_pb)
    pool.Add(_renamed(reflection_pb2.DESCRIPTOR))
    return pool


def _renamed(older: Any) -> descriptor_pb2.FileDescriptorProto:  # noqa: ANN401
    """Describe the newer version's file by the older one's."""
    file = descriptor_pb2.FileDescriptorProto()
    older.CopyToProto(file)
    file.name = file.name.replace("v1alpha", "v1")
    file.package = file.package.replace("v1alpha", "v1")
    for message in file.message_type:
        for each in (field for field in message.field if field.type_name):
            each.type_name = each.type_name.replace("v1alpha", "v1")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace("v1alpha", "v1")
            method.output_type = method.output_type.replace("v1alpha", "v1")
    return file
