"""The front on grpcio's public asyncio API: the way out when the completion queue cannot be driven directly.

It is the one that interceptors see, and costs several times as much a call.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from pilotlight.errors import ConfigError
from pilotlight.server import grpcio_log, grpcio_reflection
from pilotlight.server.auth import REFUSAL, BearerToken
from pilotlight.server.grpcio_crowd import Crowd
from pilotlight.server.grpcio_listen import bind, health_status, most_waits, server_options
from pilotlight.server.handlers import PLATFORM, SERVICE, Handlers

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.host import Host


class AioFront:
    """A `grpc.aio` server with the Scaler's methods, health and reflection.

    Args:
        config: the settings.
        scaler: the engine.
        host: carries out what the engine asks for besides the reply.

    Raises:
        ConfigError: the token cannot be read, or the interceptors cannot be had.
    """

    def __init__(self, config: ServeConfig, scaler: Scaler, host: Host) -> None:
        self._config = config
        self._health = health.aio.HealthServicer()
        grpcio_log.bound()
        self._server = grpc.aio.server(
            interceptors=_interceptors(config),
            options=server_options(config),
            maximum_concurrent_rpcs=config.max_waiting + config.max_streams,
        )
        handlers = Handlers(scaler, host, Crowd(most_waits(config)))
        methods = handlers.methods(intercepted=bool(config.grpcio_interceptors))
        self._server.add_registered_method_handlers(SERVICE, methods)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        grpcio_reflection.add_to(self._server, reflection.aio.ReflectionServicer)

    async def listen(self) -> str:
        """Bind and serve; see `Front`."""
        address = bind(self._server, self._config)
        await self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return address

    async def set_platform_health(self, serving: bool) -> None:
        """Say what health answers for the platform; see `Front`."""
        await self._health.set(PLATFORM, health_status(serving))

    async def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING; see `Front`."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """End; see `Front`."""
        await self._server.stop(grace_s)


def _interceptors(config: ServeConfig) -> list[grpc.aio.ServerInterceptor]:
    own: list[grpc.aio.ServerInterceptor] = []
    if config.auth_token_file:
        own.append(_TokenInterceptor(BearerToken.from_file(config.auth_token_file)))
    return own + _named(config.grpcio_interceptors)


def _named(path: str) -> list[grpc.aio.ServerInterceptor]:
    """Call the function ``module:name`` for the operator's interceptors."""
    if not path:
        return []
    module, _, name = path.partition(":")
    try:
        return list(getattr(importlib.import_module(module), name)())
    except Exception as error:
        raise ConfigError(
            f"grpcio_interceptors = {path!r}: {error}; write module:function, a function that takes nothing and "
            "returns grpc.aio.ServerInterceptor objects"
        ) from error


class _TokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls of Assign and Idle without the token."""

    def __init__(self, token: BearerToken) -> None:
        self._token = token

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401
        if not details.method.startswith(f"/{SERVICE}/") or self._token.accepts(details.invocation_metadata):
            return await continuation(details)

        async def refuse(_requests: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, REFUSAL)

        return grpc.stream_unary_rpc_method_handler(refuse)  # answered before its message is there
