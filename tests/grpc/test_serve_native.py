"""What is the native front's own: what it refuses, and how its commands reach the host."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from pilotlight.errors import ConfigError
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from conftest import Starter

pytestmark = pytest.mark.parametrize("front", ["native"], indirect=True)


@pytest.mark.parametrize("setting", ["tls_certificate", "tls_key", "tls_client_ca", "grpcio_interceptors"])
async def test_what_it_cannot_do_is_an_error(start_scaler: Starter, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} = 'some'.*set front = grpcio"):
        await start_scaler(**{setting: "some"})


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_request_is_unimplemented(start_scaler: Starter, algorithm: grpc.Compression) -> None:
    scaler = await start_scaler()
    async with grpc.aio.insecure_channel(scaler.app.address, compression=algorithm) as channel:
        meta = pb.Meta(key="f" * 500, runtime="python", memory_in_mb=128)
        request = pb.AssignRequest(request_id="r", meta_data=meta)
        error = await scaler.client.refusal(pb_grpc.ScalerStub(channel).Assign(request, timeout=30))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert scaler.ledger()["assigns"] == 0


@pytest.mark.parametrize("native_threads", ["1", "3"])
async def test_a_crowd_of_cold_starts_is_carried_out(start_scaler: Starter, native_threads: str) -> None:
    scaler = await start_scaler(native_threads=native_threads, sim_create_time="1ms", sim_init_time="1ms")
    assignments = await asyncio.gather(*(scaler.client.assign(f"f{n % 50}") for n in range(500)))
    assert len({assignment.instance_id for assignment in assignments}) == 500
    for reply in await asyncio.gather(*(scaler.client.idle(assignment) for assignment in assignments)):
        assert reply.status == pb.Ok
    ledger = scaler.ledger()
    assert (ledger["waiting"], ledger["slots"]["busy"]) == (0, 0)


async def test_calls_open_at_the_end_are_ended_and_leave_nobody_waiting(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="60s")
    waiting = asyncio.ensure_future(scaler.client.assign("f"))
    await scaler.until(lambda: scaler.ledger()["waiting"] == 1)
    await scaler.app.close()
    assert (await scaler.client.refusal(waiting)).code() == grpc.StatusCode.UNAVAILABLE
    assert scaler.ledger()["waiting"] == 0
