"""A whole replay: the platform, the web statistics and data sets played one after the other against one scaler.

Platform and web statistics are up before the scaler is called and stay until the last data set has ended; that the web
statistics close is how the contest's container learns that its work is done, so the platform lingers a little for the
scaler to give back its slots. The slots outlive a data set: those a
scaler keeps serve, and cost, in the next one.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import grpc.aio

from pilotlight._core import ContestPlatform
from pilotlight.errors import ConfigError, LoadError
from pilotlight.replay.clock import TraceClock
from pilotlight.replay.load import LoadGenerator, uuids
from pilotlight.replay.statistics import SlotAccount, Statistics
from pilotlight.replay.web import serve_web
from pilotlight.traces.readers.contest import read_contest
from pilotlight.traces.reading import read_trace
from pilotlight.wire.simulator_pb2_grpc import ScalerStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from pilotlight.traces.trace import Trace

RECONNECT_MS = 200
"""Pause between attempts to reach the scaler."""

LINGER_POLL_S = 0.05
"""Pause between looks at the slots that are left."""

LOCAL_ONLY = (("grpc.enable_http_proxy", 0),)
"""The scaler is the neighbour: never reach it through the environment's proxy."""


@dataclass(frozen=True)
class Options:
    """What a replay is asked to do. Times are trace time unless their comment says otherwise.

    Attributes:
        scaler: where the scaler listens, host:port.
        platform_address: where the platform service listens; port 0 lets the system choose.
        web_address: where the web statistics listen; port 0 lets the system choose.
        speed: trace time per wall time.
        create_ns: how long CreateSlot takes.
        tail_ns: how long a run goes on after its last request was issued.
        give_up_s: how long, once the tail and the trace's longest execution are over, requests are waited for that are
            not, wall time.
        assign_timeout_ns: deadline of each Assign; None sets none.
        connect_timeout_s: how long the scaler may take to answer at first, wall time.
        seed: of the random ids.
        start_s: where the played slice of each trace starts.
        length_s: how long the slice is; None plays to the end.
        linger_s: how long at most the platform stays up after the web statistics have closed, for the scaler to give
            back its slots, wall time.
        strict: an Assignment that names another request or function fails its request.
        data_root: the folder whose files POST /start may name.
        web_names: hosts by which clients may reach the web statistics, beside their address.
    """

    scaler: str
    platform_address: str
    web_address: str
    speed: float
    create_ns: int
    tail_ns: int
    give_up_s: float
    assign_timeout_ns: int | None
    connect_timeout_s: float
    seed: int
    start_s: float
    length_s: float | None
    linger_s: float = 0.0
    strict: bool = False
    data_root: Path = Path()
    web_names: tuple[str, ...] = ()


class DataSet(NamedTuple):
    """A trace, where it came from and what its run is called."""

    run_id: str
    requests: Path
    metas: Path
    trace: Trace


class Session:
    """One replay.

    Args:
        options: what is asked.
        data_sets: what is played first, in order.
        posted: how many more data sets are taken by `offer`.
    """

    def __init__(self, options: Options, data_sets: Sequence[DataSet], posted: int = 0) -> None:
        self.options = options
        self.current: Statistics | None = None
        """The statistics of the data set being played, or of the last one."""
        self.platform_port: int | None = None
        """The platform service's port once it listens."""
        self.web_port: int | None = None
        """The web statistics' port once they listen."""
        self.slots_left: int | None = None
        """Slots the scaler had not given back when the platform closed."""
        self._clock = TraceClock(options.speed)
        self._request_ids = uuids(f"requests {options.seed}")
        self._queue: asyncio.Queue[DataSet] = asyncio.Queue()
        for data_set in data_sets:
            self._queue.put_nowait(data_set)
        self._expected = len(data_sets) + posted
        self._posts_left = posted

    async def offer(self, run_id: str, requests: Path, metas: Path) -> bool:
        """Take one more data set; False: no more are awaited.

        Raises:
            TraceError: its files cannot be read.
        """
        if self._posts_left == 0:
            return False
        self._posts_left -= 1
        try:
            data_set = await asyncio.to_thread(self._read, run_id, requests, metas)
        except BaseException:
            self._posts_left += 1
            raise
        self._queue.put_nowait(data_set)
        return True

    async def run(self) -> list[Statistics]:
        """Play everything.

        Returns:
            One account a data set, in the order played.

        Raises:
            ConfigError: an address cannot be listened on, or the scaler does not answer.
        """
        options = self.options
        web = serve_web(self, options.web_address, data_root=options.data_root, names=options.web_names)
        with self._platform() as platform:
            self.platform_port = platform.port
            async with web as self.web_port, self._connected() as channel:
                results = [await self._play(await self._queue.get(), platform, channel) for _ in range(self._expected)]
            self.slots_left = await self._linger(platform)
        return results

    async def _linger(self, platform: ContestPlatform) -> int:
        """Let a scaler that stops with the web statistics drain; return how many slots it left."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.options.linger_s
        while (left := SlotAccount(*platform.account(self._clock.now_ns())).live) and loop.time() < end:  # noqa: ASYNC110 (slots go by many ways)
            await asyncio.sleep(LINGER_POLL_S)
        return left

    async def _play(self, data_set: DataSet, platform: ContestPlatform, channel: grpc.aio.Channel) -> Statistics:
        trace, options = data_set.trace, self.options
        table = trace.functions
        functions = zip(table.memory_mb.tolist(), table.init_ns.tolist(), strict=True)
        platform.set_functions(dict(zip(table.keys, functions, strict=True)))
        statistics = Statistics(
            run_id=data_set.run_id,
            requests=data_set.requests,
            metas=data_set.metas,
            planned=len(trace),
            slots=platform,
            clock=self._clock,
        )
        self.current = statistics
        load = LoadGenerator(
            trace=trace,
            scaler=ScalerStub(channel),
            instances=platform,
            statistics=statistics,
            clock=self._clock,
            ids=self._request_ids,
            assign_timeout_ns=options.assign_timeout_ns,
            strict=options.strict,
        )
        last_ns = await load.issue()
        longest_ns = max(options.tail_ns, int(trace.duration_ns.max()))
        await load.finish(last_ns + longest_ns, options.give_up_s)
        await self._clock.sleep_until(last_ns + options.tail_ns)
        statistics.end()
        return statistics

    def _read(self, run_id: str, requests: Path, metas: Path) -> DataSet:
        return read_data_set(run_id, requests, metas, start_s=self.options.start_s, length_s=self.options.length_s)

    @contextmanager
    def _platform(self) -> Iterator[ContestPlatform]:
        address = self.options.platform_address
        try:
            platform = ContestPlatform(
                address,
                now_ns=self._clock.now_ns(),
                speed=self._clock.speed,
                create_ns=self.options.create_ns,
                seed=self.options.seed % 2**64,
            )
        except LoadError as error:
            raise ConfigError(f"--platform-address {address}: cannot listen there ({error}); is it taken?") from None
        try:
            yield platform
        finally:
            platform.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[grpc.aio.Channel]:
        """Yield a channel on which the scaler has answered."""
        options = self.options
        backoff = [(f"grpc.{which}_reconnect_backoff_ms", RECONNECT_MS) for which in ("initial", "min", "max")]
        async with grpc.aio.insecure_channel(options.scaler, options=[*LOCAL_ONLY, *backoff]) as channel:
            ready = asyncio.ensure_future(channel.channel_ready())
            try:
                # Not `wait_for`: before Python 3.12 it forgets a cancellation that comes together with the answer.
                await asyncio.wait({ready}, timeout=options.connect_timeout_s)
            finally:
                ready.cancel()
            if not ready.done():
                raise ConfigError(
                    f"--scaler {options.scaler}: no gRPC server answered within {options.connect_timeout_s:g} s;"
                    " start the scaler, name its address, or raise --connect-timeout"
                )
            ready.result()
            yield channel


def read_data_set(
    run_id: str, requests: Path, metas: Path, *, start_s: float = 0.0, length_s: float | None = None
) -> DataSet:
    """Read a data set's files and take a slice of its trace.

    Raises:
        TraceError: a file is missing or malformed, or the slice holds no request.
    """
    trace = read_contest(requests=requests, metas=metas)
    return DataSet(run_id, requests, metas, trace.slice(start_s, length_s))


def find_data_set(path: Path, *, start_s: float = 0.0, length_s: float | None = None) -> DataSet:
    """Read a trace of any format, and say on stderr what it lacks; its run is called as its folder or file.

    Raises:
        TraceError: there is none, it is malformed, or the slice holds no request.
    """
    found = read_trace(path)
    for note in found.notes:
        click.echo(note, err=True)
    requests, metas = (Path(found.source.get(kind, path)) for kind in ("requests", "metas"))
    return DataSet(path.resolve().name, requests, metas, found.trace.slice(start_s, length_s))
