"""What stands between the sockets and the engine: the seam that every front fills, and the choice of one.

A front answers Assign, Idle, health and reflection on one address. It calls the engine (`Scaler`) on whatever thread it
likes, but the `Host` only on the event loop that ran `listen`: requests that wait go to `Host.enqueue`, the commands of
other calls to `Host.execute`, both in the order in which the engine gave them on one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pilotlight.server.grpcio_aio import AioFront

if TYPE_CHECKING:
    from pilotlight._core import Scaler
    from pilotlight.config import ServeConfig
    from pilotlight.server.host import Host


class Front(Protocol):
    """One gRPC server. Every method runs on the event loop, in this order, each at most once."""

    async def listen(self) -> str:
        """Bind `config.address`, serve, and return ``host:port`` with the port that was bound.

        Raises:
            ConfigError: the address cannot be bound.
        """

    async def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING for good; calls are answered as before."""

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, give open calls this long to end, then cancel them; also when `listen` never ran."""


def make_front(config: ServeConfig, scaler: Scaler, host: Host) -> Front:
    """Build the front that the settings name; call it on the event loop."""
    return AioFront(config, scaler, host)
