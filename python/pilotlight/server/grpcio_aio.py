"""The front on grpcio's public asyncio API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from pilotlight.errors import ConfigError
from pilotlight.server.handlers import SERVICE, Handlers

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.host import Host

_LARGEST_REQUEST = 1 << 20


class AioFront:
    """A `grpc.aio` server with the Scaler's methods, health and reflection.

    Args:
        config: the settings.
        scaler: the engine.
        host: carries out what the engine asks for besides the reply.
    """

    def __init__(self, config: ServeConfig, scaler: Scaler, host: Host) -> None:
        self._address = config.address
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=_server_options(config))
        self._server.add_registered_method_handlers(SERVICE, Handlers(scaler, host).methods())
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def listen(self) -> str:
        """Bind and serve; see `Front`."""
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError:
            raise ConfigError(
                f"address = {self._address!r}: cannot listen; is the host this machine's, and the port free?"
            ) from None
        await self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return f"{self._address.rpartition(':')[0]}:{port}"

    async def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING; see `Front`."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """End; see `Front`."""
        await self._server.stop(grace_s)


def _server_options(config: ServeConfig) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.so_reuseport", 0),  # a second scaler on the port must fail, not take half of the calls
        ("grpc.max_receive_message_length", _LARGEST_REQUEST),
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),  # clients may ping more often than every five minutes
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    if config.grpc_keepalive:
        options.append(("grpc.keepalive_time_ms", round(config.grpc_keepalive * 1000)))
    return options
