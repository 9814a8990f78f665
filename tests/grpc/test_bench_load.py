"""The load generator against servers whose every answer is known. Counts and orders are claims here, never speeds."""

from __future__ import annotations

import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from pilotlight import _core
from pilotlight.errors import LoadError
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MS = 1_000_000
SECOND = 1000 * MS


class Toy(pb_grpc.ScalerServicer):
    """A scaler that always has an instance; it can be told to stall once, to fail, to lie."""

    def __init__(self) -> None:
        self.counts = {"Assign": 0, "Idle": 0}
        self.stall_at = 0
        self.stall_s = 0.0
        self.fail_after = 1 << 62
        self.instance: str | None = None
        self.request_id: str | None = None
        self.reply_status = pb.Ok
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def _count(self, method: str, context: grpc.ServicerContext) -> None:
        with self._lock:
            self.counts[method] += 1
            if sum(self.counts.values()) > self.fail_after:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
            if method == "Assign" and self.counts[method] == self.stall_at:
                threading.Event().wait(self.stall_s)  # everybody else waits for the lock

    def Assign(self, request: pb.AssignRequest, context: grpc.ServicerContext) -> pb.AssignReply:  # noqa: N802
        self._count("Assign", context)
        assignment = pb.Assignment(
            request_id=request.request_id if self.request_id is None else self.request_id,
            meta_key=request.meta_data.key,
            instance_id=str(next(self._numbers)) if self.instance is None else self.instance,
        )
        return pb.AssignReply(status=self.reply_status, assigment=assignment)

    def Idle(self, request: pb.IdleRequest, context: grpc.ServicerContext) -> pb.IdleReply:  # noqa: N802
        assert request.result.status_code == 200
        self._count("Idle", context)
        return pb.IdleReply(status=pb.Ok)


@pytest.fixture
def serve() -> Iterator[Callable[[Toy | None], str]]:
    """Serve toys, or for None nothing at all, on free ports."""
    servers = []

    def start(toy: Toy | None) -> str:
        server = grpc.server(ThreadPoolExecutor(4))
        if toy is not None:
            pb_grpc.add_ScalerServicer_to_server(toy, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0).wait()


def load(target: str, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - load_grpc's
    settings = {"duration_ns": 300 * MS, "warm_up_ns": 0, "grace_ns": 20 * SECOND, "prewarm": 1, **settings}
    return _core.load_grpc(target, **settings)


def test_every_call_of_a_closed_loop_is_counted(serve: Callable[[Toy | None], str]) -> None:
    toy = Toy()
    report = load(serve(toy), connections=2, threads=2, streams=3, functions=5, prewarm=2)
    measured = report["measured"]
    assert measured["failures"] == {}
    assert measured["assign"]["count"] == measured["idle"]["count"] > 0
    assert measured["all"]["count"] == measured["assign"]["count"] + measured["idle"]["count"]
    prewarmed = 5 * 2
    assert toy.counts == dict.fromkeys(("Assign", "Idle"), measured["assign"]["count"] + prewarmed)


@pytest.mark.parametrize("threads", [1, 2])
def test_open_loop_makes_every_call_of_its_schedule(serve: Callable[[Toy | None], str], threads: int) -> None:
    toy = Toy()
    report = load(serve(toy), connections=2, threads=threads, rate=400.0, poisson=False, duration_ns=500 * MS)
    # 400 calls a second are 200 requests a second: 100 in half a second, however fast or slow the server is.
    assert report["measured"]["assign"]["count"] == report["measured"]["idle"]["count"] == 100
    assert report["measured"]["failures"] == {}
    assert report["lag"]["count"] == 100


def test_stall_shows_in_every_call_that_was_due_meanwhile(serve: Callable[[Toy | None], str]) -> None:
    toy = Toy()
    toy.stall_at, toy.stall_s = 20, 0.6
    report = load(serve(toy), rate=400.0, poisson=False, duration_ns=SECOND)
    assign = report["measured"]["assign"]
    assert assign["count"] == 200
    # 120 of the 200 requests are due during the stall; half of them wait for half of it or longer.
    assert assign["max_us"] >= 550_000
    assert assign["p90_us"] >= 250_000


def test_call_without_an_answer_counts_with_its_time_so_far(serve: Callable[[Toy | None], str]) -> None:
    toy = Toy()
    toy.stall_at, toy.stall_s = 11, 2.0
    report = load(serve(toy), rate=400.0, poisson=False, grace_ns=200 * MS)
    measured = report["measured"]
    unfinished = measured["failures"]["UNFINISHED"]
    assert unfinished > 40
    assert measured["assign"]["count"] == 60
    assert measured["all"]["max_us"] >= 300_000


def test_warm_up_is_not_measured(serve: Callable[[Toy | None], str]) -> None:
    report = load(serve(Toy()), rate=200.0, poisson=False, duration_ns=200 * MS, warm_up_ns=300 * MS)
    assert report["measured"]["assign"]["count"] == 20


def test_cold_share_calls_functions_never_called_before(serve: Callable[[Toy | None], str]) -> None:
    seen: list[str] = []

    class Noting(Toy):
        def Assign(self, request: pb.AssignRequest, context: grpc.ServicerContext) -> pb.AssignReply:  # noqa: N802
            seen.append(request.meta_data.key)
            return super().Assign(request, context)

    target = serve(Noting())
    for _ in range(2):
        report = load(target, rate=400.0, poisson=False, cold_share=0.5, functions=3, duration_ns=200 * MS)
        cold, warm = report["measured"]["cold"]["count"], report["measured"]["assign"]["count"]
        assert cold + warm == 40
        assert cold > 5
        assert warm > 5
    fresh = [key for key in seen if "cold" in key]
    assert len(fresh) == len(set(fresh))
    assert len(set(seen) - set(fresh)) == 3


def test_storm_is_apart_from_the_calls_beside_it(serve: Callable[[Toy | None], str]) -> None:
    report = load(serve(Toy()), rate=200.0, poisson=False, duration_ns=400 * MS, storm=(30, 10, 100 * MS))
    assert report["measured"]["assign"]["count"] == 20
    assert report["beside_storm"]["assign"]["count"] == 20
    assert report["storm"]["assign"]["count"] == report["storm"]["idle"]["count"] == 30


def test_failures_are_counted_by_status(serve: Callable[[Toy | None], str]) -> None:
    toy = Toy()
    toy.fail_after = 22
    measured = load(serve(toy), rate=400.0, poisson=False, duration_ns=200 * MS)["measured"]
    # 2 calls before the load and 20 in it are answered. A request whose Assign fails makes no Idle.
    assert measured["all"]["count"] == 20
    assert set(measured["failures"]) == {"RESOURCE_EXHAUSTED"}
    assert measured["assign"]["count"] + measured["failures"]["RESOURCE_EXHAUSTED"] >= 40


def test_usage_of_the_target_is_measured(serve: Callable[[Toy | None], str]) -> None:
    import os  # noqa: PLC0415

    target = serve(Toy())
    assert load(target, streams=1)["target"] is None
    assert load(target, streams=1, pid=os.getpid())["target"]["rss_mb"] > 10


def test_progress_ends_the_run_by_raising(serve: Callable[[Toy | None], str]) -> None:
    class EnoughError(Exception):
        pass

    def stop(phase: str, _done: int, share: float) -> None:
        assert 0 <= share < 1
        if phase == "load":
            raise EnoughError

    with pytest.raises(EnoughError):
        load(serve(Toy()), streams=1, duration_ns=600 * SECOND, progress=stop)


def test_unreachable_target_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(LoadError, match=f"cannot connect to {target}.*is the scaler running"):
            load(target, streams=1)


def test_server_without_the_service_is_told_from_a_scaler(serve: Callable[[Toy | None], str]) -> None:
    with pytest.raises(LoadError, match=r"answered Assign with UNIMPLEMENTED.*is it a Scaler"):
        load(serve(None), streams=1)


@pytest.mark.parametrize(
    ("lie", "text"),
    [
        ({"instance": "same"}, "serves two requests at once"),
        ({"instance": ""}, "instance_id is empty"),
        ({"request_id": "other"}, "another request's"),
        ({"reply_status": pb.InternalError}, "InternalError"),
    ],
)
def test_wrong_replies_are_refused_before_the_load(
    serve: Callable[[Toy | None], str], lie: dict[str, Any], text: str
) -> None:
    toy = Toy()
    for name, value in lie.items():
        setattr(toy, name, value)
    with pytest.raises(LoadError, match=text):
        load(serve(toy), streams=1, prewarm=2)


def test_server_of_another_protocol_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                while connection.recv(1024):
                    pass

        server = threading.Thread(target=answer)
        server.start()
        with pytest.raises(LoadError, match=r"127\.0\.0\.1"):
            load(f"127.0.0.1:{listener.getsockname()[1]}", streams=1)
        server.join()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"streams": 0}, "streams is 0"),
        ({"rate": 0.0}, "rate is 0"),
        ({"streams": 1, "rate": 1.0}, "exactly one of streams"),
        ({"streams": 1, "threads": 2}, "threads is 2"),
        ({"streams": 1, "functions": 0}, "functions is 0"),
        ({"streams": 1, "cold_share": 1.5}, "cold_share is 1.5"),
        ({"streams": 1, "pid": 2**32 - 1}, "no figures of process"),
        ({"rate": 1.0, "storm": (1, 1, SECOND)}, "storm duration"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(LoadError, match=text):
        load("127.0.0.1:1", **settings)


def test_instant_platform_answers_what_it_knows_and_counts() -> None:
    platform = _core.InstantPlatform(create_ns=2 * MS, init_ns=3 * MS)
    with grpc.insecure_channel(platform.address) as channel:
        stub = pb_grpc.PlatformStub(channel)
        asked = pb.CreateSlotRequest(resource_config=pb.ResourceConfig(memory_in_megabytes=256))
        slots = [stub.CreateSlot(asked).slot for _ in range(2)]
        assert slots[0].id != slots[1].id
        assert slots[0].resource_config.memory_in_megabytes == 256
        assert slots[0].create_duration_in_ms == 2
        assert stub.Init(pb.InitRequest(slot_id=slots[0].id)).init_duration_in_ms == 3
        assert stub.DestroySlot(pb.DestroySlotRequest(id=slots[0].id)).status == pb.Ok
        with pytest.raises(grpc.RpcError) as caught:
            pb_grpc.ScalerStub(channel).Idle(pb.IdleRequest())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert platform.counts() == {"created": 2, "initialised": 1, "destroyed": 1}
        with pytest.raises(LoadError, match="cannot listen on"):
            _core.InstantPlatform(platform.address)
    platform.close()
    assert platform.counts() == {"created": 0, "initialised": 0, "destroyed": 0}
