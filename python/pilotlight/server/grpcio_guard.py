"""Whether this grpcio's completion queue may be driven directly: its Cython layer is private and may change."""

from __future__ import annotations

import importlib
from typing import Any, Final

import grpc

try:
    cygrpc: Any = importlib.import_module("grpc._cython.cygrpc")
except ImportError:  # moved by a later version
    cygrpc = None

TESTED: Final = ("1.85",)
"""The grpcio versions, without their patch level, that the tests of `completion_queue` ran over."""

_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "CompletionQueue": ("poll",),
    "Server": ("register_completion_queue", "register_method", "request_registered_call", "add_http2_port"),
    "Call": ("start_server_batch",),
    "CallDetails": ("deadline",),
    "RequestCallEvent": ("call", "call_details", "invocation_metadata", "success", "tag"),
    "BatchOperationEvent": ("batch_operations", "success", "tag"),
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
    return None


def refusal(version: str | None = None) -> str | None:
    """Say why the public API is to be used instead; None: the completion queue is known to work.

    Args:
        version: of grpcio; the installed one's if not given.
    """
    version = version or grpc.__version__
    if ".".join(version.split(".")[:2]) not in TESTED:
        return f"grpcio {version} is not a tested version"
    absent = missing()
    return absent and f"grpcio {version} has no {absent}"
