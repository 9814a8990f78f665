"""Clients that die or cancel at random: what a front can know of comes back, and no instance is given out twice."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import http2_frames as frames
import pytest

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from conftest import Scaler, Starter

NATIVE_ONLY = pytest.mark.parametrize("front", ["native"], indirect=True)

_SEED = 20
_REPLY = frames.DATA

CLIENT = """
import asyncio, os, sys
import grpc.aio
from pilotlight.wire import simulator_pb2 as pb, simulator_pb2_grpc as pb_grpc

async def main(address, name):
    stub = pb_grpc.ScalerStub(grpc.aio.insecure_channel(address))
    meta = pb.Meta(key="f", runtime="python", timeout_in_secs=1, memory_in_mb=128)
    async def work(number):
        for turn in range(10**6):
            request = pb.AssignRequest(request_id=f"{name}-{number}-{turn}", meta_data=meta)
            mine = (await stub.Assign(request)).assigment
            os.write(1, f"{name}+{mine.instance_id}\\n".encode())
            await asyncio.sleep(0)
            os.write(1, f"{name}-{mine.instance_id}\\n".encode())
            await stub.Idle(pb.IdleRequest(assigment=mine, result=pb.Result(status_code=200)))
    await asyncio.gather(*(work(number) for number in range(8)))

asyncio.run(main(*sys.argv[1:]))
"""


def kill_at_random(address: str, chance: random.Random) -> None:
    """Let clients work and kill them; fails if two have one instance, of which a dead one keeps what it had."""
    read, write = os.pipe()  # one for all: its lines are in the order of what they say
    clients = {
        name: subprocess.Popen([sys.executable, "-c", CLIENT, address, name], stdout=write) for name in ("a", "b", "c")
    }
    os.close(write)
    left = {name: chance.randrange(100, 1000) for name in clients}
    held: dict[str, str] = {}
    try:
        with os.fdopen(read) as lines:
            for line in lines:
                name, what, instance = line[0], line[1], line[2:].strip()
                if what == "+":
                    assert instance not in held, f"{held[instance]} and {name} have one instance"
                    held[instance] = name
                else:
                    del held[instance]
                left[name] -= 1
                if left[name] == 0:
                    clients[name].kill()
    finally:
        for client in clients.values():
            client.kill()
            client.wait()


async def test_while_clients_are_killed_no_instance_is_given_out_twice_and_none_stays_busy(
    start_scaler: Starter,
) -> None:
    scaler = await start_scaler(sim_create_time="2ms", sim_init_time="2ms", lease_factor="2")
    await asyncio.to_thread(kill_at_random, scaler.app.address, random.Random(_SEED))  # noqa: S311 - a test's
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0 and scaler.app.host.calls == 0)
    # Each client had eight requests at most; whatever else there is, is free.
    assert scaler.ledger()["slots"]["busy"] <= 3 * 8
    await scaler.client.idle(await scaler.client.assign("f"))
    # Nothing is busy at rest: leases end what no front can know of.
    await scaler.until(lambda: scaler.ledger()["slots"]["busy"] == 0)
    assert scaler.ledger()["longest_busy_s"] == 0


async def test_cancelled_calls_leave_nobody_waiting_and_no_more_busy_than_replies_came(start_scaler: Starter) -> None:
    scaler = await start_scaler(sim_create_time="1ms", sim_init_time="1ms", lease_factor="10")
    chance = random.Random(_SEED)  # noqa: S311
    kept = []
    for _ in range(20):
        calls = [scaler.client.stub.Assign(_request(number)) for number in range(20)]
        await asyncio.sleep(0)
        for call in chance.sample(calls, 10):
            await asyncio.sleep(0)
            call.cancel()
        kept += [
            done for done in await asyncio.gather(*calls, return_exceptions=True) if isinstance(done, pb.AssignReply)
        ]
    await scaler.until(lambda: scaler.ledger()["waiting"] == 0 and scaler.app.host.calls == 0)
    names = [reply.assigment.instance_id for reply in kept]
    assert len(set(names)) == len(names), "an instance was given out twice"
    for reply in kept:
        await scaler.client.idle(reply.assigment)
    # A client's library that had a reply when its call was cancelled tells nobody: only leases end those.
    assert scaler.ledger()["slots"]["busy"] <= 20 * 20 - len(kept)
    await scaler.until(lambda: scaler.ledger()["slots"]["busy"] == 0)


@NATIVE_ONLY
@pytest.mark.parametrize("warm", [False, True])
async def test_a_reply_whose_stream_is_reset_late_gives_its_instance_back(start_scaler: Starter, warm: bool) -> None:
    scaler = await start_scaler()
    if warm:
        await _warm(scaler, 50)

    def reset_late() -> frames.Connection:
        connection = frames.Connection(scaler.app.address)
        for stream in range(1, 101, 2):
            connection.send(frames.call(stream, frames.ASSIGN, frames.assign_message(request_id=str(stream))))
        connection.until_ended(50)
        connection.send(b"".join(frames.reset(stream) for stream in range(1, 101, 2)))
        return connection

    connection = await asyncio.to_thread(reset_late)
    await scaler.until(lambda: scaler.ledger()["slots"]["busy"] == 0)
    assert scaler.ledger()["slots"]["idle"] == 50
    assert scaler.ledger()["abandoned"] == 50
    connection.socket.close()


async def test_a_client_that_leaves_after_its_reply_may_end_its_request_on_another_connection(
    start_scaler: Starter,
) -> None:
    scaler = await start_scaler()

    def assign_and_leave() -> pb.Assignment:
        with frames.Connection(scaler.app.address) as connection:
            connection.send(frames.call(1, frames.ASSIGN, frames.assign_message()))
            kind, _, _, payload = connection.next()
            while kind != _REPLY:
                kind, _, _, payload = connection.next()
            connection.until_ended()
            return pb.AssignReply.FromString(payload[5:]).assigment

    mine = await asyncio.to_thread(assign_and_leave)
    theirs = await scaler.client.assign("f")
    assert theirs.instance_id != mine.instance_id
    await scaler.client.idle(theirs)
    await scaler.client.idle(mine)
    assert scaler.ledger()["slots"]["busy"] == 0


async def test_one_request_id_names_as_many_requests_as_assigns_came(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    second = await scaler.client.assign("f")
    assert first.request_id == second.request_id
    assert first.instance_id != second.instance_id
    await scaler.client.idle(first)
    assert scaler.ledger()["slots"]["busy"] == 1


async def _warm(scaler: Scaler, instances: int) -> None:
    for mine in await asyncio.gather(*(scaler.client.assign("f") for _ in range(instances))):
        await scaler.client.idle(mine)


def _request(number: int) -> pb.AssignRequest:
    meta = pb.Meta(key="f", runtime="python", timeout_in_secs=1, memory_in_mb=128)
    return pb.AssignRequest(request_id=f"r{number}", meta_data=meta)
