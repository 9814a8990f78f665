"""Whether this grpcio's completion queue may be driven directly: its Cython layer is private and may change."""

from __future__ import annotations

import importlib
from typing import Any, Final

import grpc

from pilotlight.server.grpcio_versions import is_tested


def _module(name: str) -> Any:  # noqa: ANN401 - private modules have no types
    """Return a module of grpcio's; None: a later version has moved it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


cygrpc: Any = _module("grpc._cython.cygrpc")

_STATE: Final = ("completion_queue", "server")
"""What of a `grpc.server`'s state is replaced."""

_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "CompletionQueue": ("poll",),
    "Server": ("register_completion_queue", "register_method", "request_registered_call", "add_http2_port"),
    "Call": ("peer", "start_server_batch"),
    "CompletionType": ("queue_timeout",),
    "CallDetails": ("deadline",),
    "RequestCallEvent": ("call", "call_details", "invocation_metadata", "success", "tag"),
    "BatchOperationEvent": ("batch_operations", "success", "tag"),
    "ConnectivityEvent": ("completion_type", "tag"),
    "ReceiveMessageOperation": ("message",),
    "ReceiveCloseOnServerOperation": ("cancelled",),
    "SendInitialMetadataOperation": (),
    "SendMessageOperation": (),
    "SendStatusFromServerOperation": (),
}


def missing() -> str | None:
    """Return the name of something the completion-queue front needs and this grpcio does not have."""
    for name, members in _NEEDED.items():
        for member in ("__init__", *members):
            if not hasattr(getattr(cygrpc, name, None), member):
                return f"grpc._cython.cygrpc.{name}.{member}"
    state = getattr(_module("grpc._server"), "_ServerState", None)
    for member in _STATE:
        if member not in getattr(state, "__annotations__", ()):
            return f"grpc._server._ServerState.{member}"
    return None


def refusal(version: str | None = None) -> str | None:
    """Say why the public API is to be used instead; None: the completion queue is known to work.

    Args:
        version: of grpcio; the installed one's if not given.
    """
    version = version or grpc.__version__
    if not is_tested(version):
        return f"grpcio {version} is not a tested version"
    absent = missing()
    return absent and f"grpcio {version} has no {absent}"
