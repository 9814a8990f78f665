"""The front in Rust: calls are answered on threads that never take the GIL; only the cold path comes here.

What calls want of a platform without a courier is handed over in batches: one wake-up of the event loop and one
crossing for all that came since the last. Requests that wait are answered by the core itself.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pilotlight._core import NativeServer
from pilotlight.errors import ConfigError
from pilotlight.server.auth import BearerToken
from pilotlight.wire import simulator_pb2

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.host import Host


class NativeFront:
    """An HTTP/2 server outside Python.

    Args:
        config: the settings.
        scaler: the engine.
        host: carries out what the engine asks for besides the replies.

    Raises:
        ConfigError: the token cannot be read.
    """

    def __init__(self, config: ServeConfig, scaler: Scaler, host: Host) -> None:
        self._config = config
        self._scaler = scaler
        self._host = host
        token_file = config.auth_token_file
        self._authorization = BearerToken.from_file(token_file).expected if token_file else None
        self._server: NativeServer | None = None

    async def listen(self) -> str:
        """Bind and serve; see `Front`."""
        config = self._config
        try:
            self._server = NativeServer(
                self._scaler,
                now_ns=time.monotonic_ns(),
                address=config.address,
                threads=config.native_threads,
                keepalive_ns=int(config.grpc_keepalive * 1e9),
                max_connections=config.native_connections,
                max_calls=config.max_streams,
                descriptors=[simulator_pb2.DESCRIPTOR.serialized_pb],
                authorization=self._authorization,
            )
        except OSError as error:
            raise ConfigError(
                f"address = {config.address!r}: cannot listen: {error}; is the host this machine's, and the port free?"
            ) from None
        asyncio.get_running_loop().add_reader(self._server.fileno(), self._execute)
        return f"{config.address.rpartition(':')[0]}:{self._server.port}"

    async def set_platform_health(self, serving: bool) -> None:
        """Say what health answers for the platform; see `Front`."""
        if self._server is not None:
            self._server.set_platform_health(serving)

    async def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING; see `Front`."""
        if self._server is not None:
            self._server.begin_shutdown()

    async def stop(self, grace_s: float) -> None:
        """End; see `Front`."""
        if self._server is None:
            return
        await asyncio.to_thread(self._server.close, int(grace_s * 1e9))
        asyncio.get_running_loop().remove_reader(self._server.fileno())
        self._execute()

    def _execute(self) -> None:
        if self._server is not None:
            self._host.execute(self._server.take_commands())
