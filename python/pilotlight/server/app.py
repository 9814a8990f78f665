"""The life of `pilotlight serve`: bind, serve, drain, exit.

Drain, in this order, each step bounded in time: health turns NOT_SERVING; new requests are refused and waiting ones
answered; within `drain_timeout` running ones may end, and calls to the platform that may have made slots be answered;
what is left is destroyed, or left on the platform when asked for. A second signal skips the rest. However it ends, the
log names what is left on the platform, and the exit status says whether somebody has to look.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import sys
import time
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry

from pilotlight import __version__
from pilotlight._core import Scaler
from pilotlight.descriptors import allow_connections
from pilotlight.platform.grpc import GrpcPlatform, awaited_longest
from pilotlight.platform.sim import SimPlatform
from pilotlight.server.front import make_front
from pilotlight.server.host import Host
from pilotlight.server.metrics import LedgerCollector, MetricsServer, PlatformMetrics
from pilotlight.server.signals import Signals
from pilotlight.setting_values import split_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight.config import ServeConfig
    from pilotlight.platform.base import Platform

_ALL_ADDRESSES = ("0.0.0.0", "::", "0", "*")  # noqa: S104 - to be warned of
_STOP_GRACE_S = 0.5
_SWITCH_INTERVAL_S = 0.0002
_POLL_S = 0.01
_HEALTH_PAUSE_S = 0.1

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class App:
    """One scaler with its platform, its front and its metrics; build it on the event loop that runs it.

    Args:
        config: the settings.
        platform: takes the place of the one the settings name.

    Raises:
        ConfigError: the policy or a limit is refused by the engine.
    """

    def __init__(self, config: ServeConfig, platform: Platform | None = None) -> None:
        self.config = config
        self.scaler = Scaler(
            policy=config.policy,
            boot_id=secrets.randbits(32),
            assign_deadline_ns=int(config.assign_deadline * 1e9),
            start_attempts=config.start_attempts,
            max_functions=config.max_functions,
            max_waiting=config.max_waiting,
            lease_factor=config.lease_factor or None,
            max_slots=config.max_slots or None,
            max_memory_mb=config.max_memory or None,
            max_starts_per_second=config.max_starts_per_second or None,
        )
        self.platform = platform or make_platform(config)
        self._registry = CollectorRegistry()
        self._registry.register(LedgerCollector(self.scaler))
        self.host = Host(self.scaler, self.platform, PlatformMetrics(self._registry))
        self._front = make_front(config, self.scaler, self.host)
        self._metrics: MetricsServer | None = None
        self._platform_health: asyncio.Task[None] | None = None
        self.address = ""
        """``host:port`` with the port that was bound, once started."""

    @property
    def metrics_address(self) -> str:
        """``host:port`` of the metrics; empty when there are none."""
        return self._metrics.address if self._metrics else ""

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: an address cannot be bound.
        """
        config = self.config
        if is_open_to_all(config):
            _log.warning(
                "whoever reaches this machine can call the scaler",
                address=config.address,
                remedy="set auth_token_file (and TLS: tls_certificate, tls_key), or listen on one address, such as "
                "127.0.0.1:9001",
            )
        if config.metrics_address:
            self._metrics = MetricsServer(config.metrics_address, self._registry)
        self.host.start()
        self.address = await self._front.listen()
        self._platform_health = asyncio.create_task(self._report_platform())
        _log.info(
            "listening",
            address=self.address,
            front=config.front,
            metrics=self.metrics_address or "off",
            platform="sim" if config.platform == "sim" else config.platform_address,
            policy=config.policy,
            version=__version__,
        )

    async def drain(self) -> int:
        """Answer everybody, give every slot back, and return how many are left on the platform, or may be."""
        config = self.config
        self._end_platform_health()
        await self._front.begin_shutdown()
        if config.drain_leave_slots:
            self.host.leave_slots()
        self.host.execute(self.scaler.drain(time.monotonic_ns()))
        if not await _until(lambda: self._unfinished == 0, config.drain_timeout):
            _log.warning("requests or platform calls go on after drain_timeout", unfinished=self._unfinished)
        if not config.drain_leave_slots:
            self.host.execute(self.scaler.abandon_busy(time.monotonic_ns()))
            await _until(lambda: self.scaler.live_slots == 0, config.platform_destroy_timeout + _STOP_GRACE_S)
        left = self.host.left()
        return left.live + left.written_off

    def report_left(self, event: str) -> bool:
        """Log how it ended and what is left on the platform; True: something is that nobody asked to leave there."""
        left = self.host.left()
        orphans = left.written_off + (left.unnamed if self.config.drain_leave_slots else left.live)
        (_log.warning if orphans else _log.info)(event, **left.fields())
        return orphans > 0

    async def close(self) -> None:
        """Stop listening and let go of everything; calls still open are ended."""
        self._end_platform_health()
        await self._front.stop(_STOP_GRACE_S)
        await self.host.close()
        await self.platform.close()
        if self._metrics:
            self._metrics.close()

    @property
    def _unfinished(self) -> int:
        """Slots that are not gone: busy, their start or their destroy under way, or lost on the platform for now.

        Those to be left there are done with once they have a name and serve nobody.
        """
        slots = self.scaler.snapshot(time.monotonic_ns())["slots"]
        left = 0 if self.config.drain_leave_slots else slots["retiring"]
        return int(slots["busy"] + slots["starting"] + slots["leaked"] + left)

    async def _report_platform(self) -> None:
        """Keep health's word on the platform true."""
        told: bool | None = None
        while True:
            if (answers := self.platform.answers) is not told:
                await self._front.set_platform_health(answers)
                told = answers
            await asyncio.sleep(_HEALTH_PAUSE_S)

    def _end_platform_health(self) -> None:
        if self._platform_health is not None:
            self._platform_health.cancel()


def is_open_to_all(config: ServeConfig) -> bool:
    """Say whether the settings listen on all addresses with neither TLS nor a token."""
    host, _ = split_address(config.address)
    return host in _ALL_ADDRESSES and not (config.tls_certificate or config.auth_token_file)


def make_platform(config: ServeConfig) -> Platform:
    """Build the platform the settings name."""
    if config.platform == "sim":
        return SimPlatform(
            create_time=config.sim_create_time,
            init_time=config.sim_init_time,
            create_failure=config.sim_create_failure,
            init_failure=config.sim_init_failure,
            seed=config.sim_seed,
        )
    return GrpcPlatform(
        config.platform_address,
        create_timeout=config.platform_create_timeout,
        create_awaited=awaited_longest(config.platform_create_timeout),
        init_timeout=config.platform_init_timeout,
        destroy_timeout=config.platform_destroy_timeout,
        retries=config.platform_retries,
        concurrency=config.platform_concurrency,
        keepalive=config.platform_keepalive,
    )


async def serve(config: ServeConfig) -> int:
    """Serve until a signal comes, drain, and return the exit status.

    1: slots that nobody asked to leave are on the platform, or may be; or a second signal cut the drain short.
    """
    app = App(config)
    signals = Signals()
    try:
        await app.start()
        _settle_interpreter()
        _log.info("draining", signal=await signals.drain())
        drain, again = asyncio.ensure_future(app.drain()), asyncio.ensure_future(signals.cut_short())
        await asyncio.wait({drain, again}, return_when=asyncio.FIRST_COMPLETED)
        if not drain.done():
            drain.cancel()
            app.report_left("stopped by a second signal")
            return 1
        again.cancel()
        drain.result()
        return 1 if app.report_left("drained") else 0
    finally:
        await app.close()


def _settle_interpreter() -> None:
    """Keep the interpreter from holding up the thread that answers calls.

    What was loaded by now stays: a full collection that walked it would stop every thread for tens of milliseconds. And
    a thread that runs Python while a cold start is handled gives way after 0.2 ms instead of Python's 5.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def run(config: ServeConfig) -> int:
    """Run `serve` on the fastest event loop there is."""
    if sys.platform == "win32":
        return asyncio.run(serve(config))
    import uvloop  # noqa: PLC0415 - not made for Windows

    allow_connections()
    return uvloop.run(serve(config))


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition; False: it did not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True
