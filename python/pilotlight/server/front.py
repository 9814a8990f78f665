"""What stands between the sockets and the engine: the seam that every front fills, and the choice of one.

A front answers Assign, Idle, health and reflection on one address. It calls the engine (`Scaler`) on whatever thread it
likes, but the `Host` only on the event loop that ran `listen`, except for the methods that say otherwise: requests that
wait go to `Host.await_wake` or `Host.enqueue`, the commands of calls to `Host.execute`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from pilotlight.errors import ConfigError
from pilotlight.server import grpcio_guard, grpcio_versions
from pilotlight.server.grpcio_aio import AioFront
from pilotlight.server.native import NativeFront

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.host import Host

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Front(Protocol):
    """One gRPC server. Every method runs on the event loop, in this order, each but the second at most once."""

    async def listen(self) -> str:
        """Bind `config.address`, serve, and return ``host:port`` with the port that was bound.

        Raises:
            ConfigError: the address cannot be bound, or a TLS setting is no good.
        """

    async def set_platform_health(self, serving: bool) -> None:
        """Say what health answers for the platform, from `listen` on; not after `begin_shutdown`."""

    async def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING for good; calls are answered as before."""

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, give open calls this long to end, then cancel them; also when `listen` never ran."""


def make_front(config: ServeConfig, scaler: Scaler, host: Host) -> Front:
    """Build the front that the settings name; call it on the event loop.

    Raises:
        ConfigError: settings that do not go together, or that this grpcio cannot do.
    """
    if config.front == "native":
        _check_native(config)
        return NativeFront(config, scaler, host)
    if not _drives_queue(config):
        return AioFront(config, scaler, host)
    from pilotlight.server.grpcio_queue import QueueFront  # noqa: PLC0415 - only where the guard found what it imports

    return QueueFront(config, scaler, host)


def _check_native(config: ServeConfig) -> None:
    for name in ("tls_certificate", "tls_key", "tls_client_ca", "grpcio_interceptors"):
        if getattr(config, name):
            raise ConfigError(
                f"{name} = {getattr(config, name)!r}: the native front has no such thing; leave it empty, or set "
                "front = grpcio"
            )


def _drives_queue(config: ServeConfig) -> bool:
    """Say whether grpcio's completion queue is driven directly; its public API is the way out."""
    mode = config.grpcio_mode
    if mode == "aio":
        return False
    if config.grpcio_interceptors:
        if mode == "completion_queue":
            raise ConfigError(
                "grpcio_mode = 'completion_queue': no interceptor sees these calls; leave grpcio_interceptors empty, "
                "or set grpcio_mode = aio"
            )
        return False
    if mode == "completion_queue":
        if (absent := grpcio_guard.missing()) is not None:
            raise ConfigError(f"grpcio_mode = 'completion_queue': this grpcio has no {absent}; set grpcio_mode = auto")
        return True
    if (refusal := grpcio_guard.refusal()) is not None:
        tested = grpcio_versions.TESTED[-1]
        _log.warning(
            "serving on grpcio's public API, which is several times slower",
            reason=refusal,
            remedy=f"install grpcio {tested}, or set grpcio_mode = completion_queue to try it anyway",
        )
        return False
    return True
