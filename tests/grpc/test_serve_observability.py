"""What operators see: metrics, health and reflection."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from conftest import Scaler, Starter
    from scripted_platform import Service

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(scaler: Scaler) -> Samples:
    def read() -> str:
        with urllib.request.urlopen(f"http://{scaler.app.metrics_address}/metrics", timeout=10) as response:
            return response.read().decode()

    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await asyncio.to_thread(read))
        for sample in family.samples
    }


async def test_metrics_count_what_happened(start_scaler: Starter) -> None:
    scaler = await start_scaler(metrics_address="127.0.0.1:0")
    before = await scrape(scaler)
    await scaler.client.idle(await scaler.client.assign("f"))
    await scaler.client.assign("f")
    after = await scrape(scaler)
    assert before["pilotlight_assigns_total", (("outcome", "warm_start"),)] == 0
    assert after["pilotlight_assigns_total", (("outcome", "cold_start"),)] == 1
    assert after["pilotlight_assigns_total", (("outcome", "warm_start"),)] == 1
    assert after["pilotlight_slots", (("state", "busy"),)] == 1
    assert after["pilotlight_live_slots", ()] == 1
    assert after["pilotlight_starts_total", ()] == 1
    assert after["pilotlight_platform_calls_total", (("call", "create"), ("result", "ok"))] == 1
    assert after["pilotlight_platform_call_seconds_count", (("call", "init"),)] == 1
    assert after["pilotlight_wait_seconds_total", (("cause", "cold_start"),)] >= 0.01
    assert after["pilotlight_memory_gb_seconds_total", (("state", "starting"),)] > 0


async def test_every_answered_assign_has_one_outcome(start_scaler: Starter) -> None:
    scaler = await start_scaler(
        metrics_address="127.0.0.1:0", sim_create_failure="0.5", sim_seed="3", start_attempts="1"
    )
    calls = (scaler.client.assign(f"f{n}") for n in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    after = await scrape(scaler)
    outcomes = {dict(labels)["outcome"]: n for (name, labels), n in after.items() if name == "pilotlight_assigns_total"}
    assert sum(outcomes.values()) == 20
    assert outcomes["starts_exhausted"] == sum(isinstance(answer, Exception) for answer in answers) > 0


async def test_memory_time_is_the_slots_time(start_scaler: Starter) -> None:
    scaler = await start_scaler(metrics_address="127.0.0.1:0", sim_create_time="50ms", sim_init_time="50ms")
    started = time.monotonic()
    await scaler.client.assign("f", memory_mb=1024)
    took = time.monotonic() - started
    held = (await scrape(scaler))["pilotlight_memory_gb_seconds_total", (("state", "starting"),)]
    assert 0.1 <= held <= took


async def test_failed_platform_calls_are_counted(start_scaler: Starter) -> None:
    scaler = await start_scaler(metrics_address="127.0.0.1:0", sim_create_failure="1", start_attempts="2")
    await scaler.client.refusal(scaler.client.assign("f"))
    after = await scrape(scaler)
    assert after["pilotlight_platform_calls_total", (("call", "create"), ("result", "error"))] == 2
    assert after["pilotlight_start_failures_total", ()] == 2


async def test_no_metrics_address_means_no_metrics(start_scaler: Starter) -> None:
    scaler = await start_scaler(metrics_address="")
    assert scaler.app.metrics_address == ""


async def test_a_platform_that_does_not_answer_is_down_until_it_does(start_scaler: Starter, service: Service) -> None:
    never: asyncio.Future[pb.CreateSlotReply] = asyncio.get_running_loop().create_future()
    scaler = await start_scaler(
        metrics_address="127.0.0.1:0",
        platform="grpc",
        platform_address=service.address,
        platform_create_timeout="100ms",
        start_attempts="1",
    )
    health = health_pb2_grpc.HealthStub(scaler.client.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service="platform"), timeout=60)

    async def turns(status: int) -> None:
        while (await watch.read()).status != status:
            pass

    await turns(health_pb2.HealthCheckResponse.SERVING)
    assert (await scrape(scaler))["pilotlight_platform_up", ()] == 1
    service.script.append(never)
    await scaler.client.refusal(scaler.client.assign("f"))
    await turns(health_pb2.HealthCheckResponse.NOT_SERVING)
    assert (await scrape(scaler))["pilotlight_platform_up", ()] == 0
    never.set_result(pb.CreateSlotReply(slot=pb.Slot(id="late")))
    await turns(health_pb2.HealthCheckResponse.SERVING)
    await service.stop()
    await turns(health_pb2.HealthCheckResponse.NOT_SERVING)
    await service.start()
    await turns(health_pb2.HealthCheckResponse.SERVING)
    whole = await health.Check(health_pb2.HealthCheckRequest())
    assert whole.status == health_pb2.HealthCheckResponse.SERVING, "warm instances are served all the while"
    draining = asyncio.ensure_future(scaler.app.drain())
    await turns(health_pb2.HealthCheckResponse.NOT_SERVING)
    await draining
    watch.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_the_services_that_are_served(start_scaler: Starter, version: str) -> None:
    scaler = await start_scaler()
    ask = scaler.client.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    services = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "serverless.simulator.Scaler",
    ]
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        *(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in services),
    ]
    listed, *described = [reply async for reply in ask(iter(requests), timeout=10)]
    assert sorted(service.name for service in listed.list_services_response.service) == services
    for name, reply in zip(services, described, strict=True):
        (file,) = reply.file_descriptor_response.file_descriptor_proto
        file = descriptor_pb2.FileDescriptorProto.FromString(file)
        assert name in {f"{file.package}.{service.name}" for service in file.service}
        # It holds together: every name that it uses is described in it.
        descriptor_pool.DescriptorPool().Add(file)


async def test_open_reflection_streams_keep_nobody_from_health(start_scaler: Starter) -> None:
    channel = (await start_scaler()).client.channel
    reflection, health = reflection_pb2_grpc.ServerReflectionStub(channel), health_pb2_grpc.HealthStub(channel)
    streams = []
    for number in range(20):
        streams.append(reflection.ServerReflectionInfo(timeout=60))
        await streams[-1].write(reflection_pb2.ServerReflectionRequest(list_services=""))
        if number < 16:  # further ones may have to wait
            await streams[-1].read()
    answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    for stream in streams:
        stream.cancel()
