"""What both grpcio fronts share: channel options, the bound port, with or without TLS, and health's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from pilotlight.config import ServeConfig

_LARGEST_REQUEST = 1 << 20
_LARGEST_METADATA = 16 << 10

_CONNECTIONS_UNREAD = 4
"""Connections whose every call may have come and not be looked at yet; what comes then is refused."""

_CALLS_PER_SPARE_ONE = 6
"""One of so many calls that a connection may have open is kept from requests that wait."""

_PATIENCE_S = 20
"""How long a client may take to greet, and to answer a ping."""

CROWDED: Final = "too many requests wait on this connection: retry later, or on another connection"
"""What a client reads that has `most_waits` requests waiting."""


def most_waits(config: ServeConfig) -> int:
    """Return how many requests may wait on one connection."""
    return config.max_streams - config.max_streams // _CALLS_PER_SPARE_ONE


def server_options(config: ServeConfig) -> list[tuple[str, Any]]:
    """Return the options of a grpcio server."""
    options: list[tuple[str, Any]] = [
        ("grpc.so_reuseport", 0),  # a second scaler on the port must fail, not take half of the calls
        ("grpc.max_receive_message_length", _LARGEST_REQUEST),
        ("grpc.max_metadata_size", _LARGEST_METADATA),  # both: below the second gRPC refuses some calls by chance
        ("grpc.absolute_max_metadata_size", _LARGEST_METADATA),
        # A call costs memory from its headers on, also once its client has reset it.
        ("grpc.max_concurrent_streams", config.max_streams),
        ("grpc.server.max_pending_requests", _CONNECTIONS_UNREAD * config.max_streams),
        ("grpc.server.max_pending_requests_hard_limit", _CONNECTIONS_UNREAD * config.max_streams),
        ("grpc.http2.max_ping_strikes", 0),  # no ping is one too many; otherwise a client that waits is sent away
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.server_handshake_timeout_ms", _PATIENCE_S * 1000),
    ]
    if config.grpc_keepalive:
        options += [
            ("grpc.keepalive_time_ms", round(config.grpc_keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", round(min(config.grpc_keepalive, _PATIENCE_S) * 1000)),
        ]
    return options


def health_status(serving: bool) -> health_pb2.HealthCheckResponse.ServingStatus:
    """Return health's word for it."""
    status = health_pb2.HealthCheckResponse
    return status.SERVING if serving else status.NOT_SERVING


def bind(server: grpc.Server | grpc.aio.Server, config: ServeConfig) -> str:
    """Bind `config.address` and return ``host:port`` with the port that was bound.

    Raises:
        ConfigError: the address cannot be bound, or a TLS setting is no good.
    """
    credentials = _credentials(config)
    try:
        if credentials is None:
            port = server.add_insecure_port(config.address)
        else:
            port = server.add_secure_port(config.address, credentials)
    except RuntimeError:
        also = "" if credentials is None else " and do tls_certificate and tls_key belong together?"
        raise ConfigError(
            f"address = {config.address!r}: cannot listen; is the host this machine's, and the port free?{also}"
        ) from None
    return f"{config.address.rpartition(':')[0]}:{port}"


def _credentials(config: ServeConfig) -> grpc.ServerCredentials | None:
    if not (config.tls_certificate or config.tls_key or config.tls_client_ca):
        return None
    for name in ("tls_certificate", "tls_key"):
        if not getattr(config, name):
            raise ConfigError(f"{name} is empty: TLS needs both tls_certificate and tls_key")
    chain = _pem("tls_certificate", config.tls_certificate)
    key = _pem("tls_key", config.tls_key)
    authority = _pem("tls_client_ca", config.tls_client_ca) if config.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(key, chain)], root_certificates=authority, require_client_auth=authority is not None
    )


def _pem(name: str, path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} = {path!r}: cannot read it: {error.strerror}") from None
    if b"-----BEGIN " not in content:
        raise ConfigError(f"{name} = {path!r}: not a PEM file; it has no line `-----BEGIN …`")
    return content
