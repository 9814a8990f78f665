"""The front on grpcio's completion queue: one thread polls it and answers Assign and Idle there and then.

A `grpc.Server` of the public API owns the port, health, reflection, unknown methods and the shutdown; its completion
queue is replaced by a `CallQueue` before it starts, which answers the two methods before that server sees an event.
Everything in grpcio that this relies on and that is not public is named in `grpcio_guard.py`, here, in
`grpcio_calls.py` and in `grpcio_replies.py`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from pilotlight.server import grpcio_log, grpcio_reflection
from pilotlight.server.auth import BearerToken
from pilotlight.server.grpcio_calls import CallQueue
from pilotlight.server.grpcio_guard import cygrpc
from pilotlight.server.grpcio_listen import bind, health_status, server_options
from pilotlight.server.handlers import PLATFORM, SERVICE
from pilotlight.server.mailbox import Mailbox

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.host import Host

_HEALTH_THREADS = 2
"""Threads for health and for methods that do not exist; no open call keeps one."""

_REFLECTION_THREADS = 16
"""Threads for reflection; an open stream keeps one, and further streams wait."""


class QueueFront:
    """A grpcio server whose completion queue is driven directly; build it on the host's event loop.

    Args:
        config: the settings.
        scaler: the engine.
        host: carries out what the engine asks for besides the reply.

    Raises:
        ConfigError: the token cannot be read.
    """

    def __init__(self, config: ServeConfig, scaler: Scaler, host: Host) -> None:
        self._config = config
        token = BearerToken.from_file(config.auth_token_file) if config.auth_token_file else None
        grpcio_log.bound()
        self._calls = CallQueue(scaler, host, Mailbox(asyncio.get_running_loop()), token, config)
        self._threads = ThreadPoolExecutor(_HEALTH_THREADS, thread_name_prefix="grpc")
        self._reflection_threads = ThreadPoolExecutor(_REFLECTION_THREADS, thread_name_prefix="grpc-reflection")
        self._server = _server_on(self._calls, config, self._threads)
        self._health = health.HealthServicer(experimental_thread_pool=self._threads)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        grpcio_reflection.add_to(self._server, reflection.ReflectionServicer, self._reflection_threads)

    async def listen(self) -> str:
        """Bind and serve; see `Front`."""
        address = bind(self._server, self._config)
        self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        self._server.start()
        self._calls.accept()
        return address

    async def set_platform_health(self, serving: bool) -> None:
        """Say what health answers for the platform; see `Front`."""
        self._health.set(PLATFORM, health_status(serving))

    async def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING; see `Front`."""
        self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """End; see `Front`."""
        await asyncio.to_thread(self._server.stop(grace_s).wait)
        self._threads.shutdown(wait=False)
        self._reflection_threads.shutdown(wait=False)


def _server_on(queue: CallQueue, config: ServeConfig, threads: ThreadPoolExecutor) -> grpc.Server:
    """Return a server, not started, that polls this queue and no other."""
    core: Any = cygrpc.Server(tuple(server_options(config)), False)
    queue.attach(core)
    server: Any = grpc.server(threads)
    server._cy_server = core  # noqa: SLF001 - the guard let this version of grpcio through
    server._state.server = core  # noqa: SLF001
    server._state.completion_queue = queue  # noqa: SLF001
    return server  # type: ignore[no-any-return]
