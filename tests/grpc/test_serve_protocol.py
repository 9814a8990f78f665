"""What a client of Assign and Idle may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from pilotlight.wire import simulator_pb2 as pb

if TYPE_CHECKING:
    from conftest import Starter


async def test_assign_starts_an_instance_and_idle_frees_it_for_the_next(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    assert (await scaler.client.idle(first)).status == pb.Ok
    second = await scaler.client.assign("f")
    assert second.instance_id == first.instance_id
    assert len(scaler.platform.live) == 1
    ledger = scaler.ledger()
    assert (ledger["cold_starts"], ledger["warm_starts"]) == (1, 1)


async def test_a_reply_names_the_request_and_the_function(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    assignment = await scaler.client.assign("f")
    assert (assignment.request_id, assignment.meta_key) == ("r", "f")
    assert assignment.instance_id


async def test_a_busy_instance_is_not_given_to_a_second_request(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    second = await scaler.client.assign("f")
    assert first.instance_id != second.instance_id


async def test_functions_do_not_share_instances(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    await scaler.client.idle(first)
    second = await scaler.client.assign("g")
    assert second.instance_id != first.instance_id


async def test_an_instance_that_must_be_destroyed_is_gone(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    slots = set(scaler.platform.live)
    assert (await scaler.client.idle(first, status_code=500, need_destroy=True)).status == pb.Ok
    await scaler.until(lambda: not slots & set(scaler.platform.live))
    second = await scaler.client.assign("f")
    assert second.instance_id != first.instance_id


async def test_a_second_idle_is_ok_and_changes_nothing(start_scaler: Starter) -> None:
    scaler = await start_scaler()
    first = await scaler.client.assign("f")
    await scaler.client.idle(first)
    assert (await scaler.client.idle(first)).status == pb.Ok
    assert scaler.ledger()["slots"]["idle"] == 1


async def test_assign_without_meta_data_is_an_invalid_argument(start_scaler: Starter) -> None:
    client = (await start_scaler()).client
    error = await client.refusal(client.stub.Assign(pb.AssignRequest(request_id="r")))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "meta_data" in (error.details() or "")


async def test_idle_without_assigment_is_an_invalid_argument(start_scaler: Starter) -> None:
    client = (await start_scaler()).client
    error = await client.refusal(client.stub.Idle(pb.IdleRequest(result=pb.Result(status_code=200))))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "assigment" in (error.details() or "")


@pytest.mark.parametrize("method", ["Assign", "Idle"])
async def test_bytes_that_are_no_message_are_an_invalid_argument(start_scaler: Starter, method: str) -> None:
    client = (await start_scaler()).client
    call = client.channel.unary_unary(f"/serverless.simulator.Scaler/{method}")
    error = await client.refusal(call(b"\xff\xff\xff"))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_idle_for_a_function_never_seen_is_an_internal_error_in_the_reply(start_scaler: Starter) -> None:
    client = (await start_scaler()).client
    reply = await client.idle(pb.Assignment(request_id="r", meta_key="never", instance_id="i"))
    assert reply.status == pb.InternalError
    assert reply.error_message


async def test_idle_for_an_unknown_instance_is_not_found(start_scaler: Starter) -> None:
    client = (await start_scaler()).client
    await client.assign("f")
    error = await client.refusal(client.idle(pb.Assignment(request_id="r", meta_key="f", instance_id="foreign")))
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_an_unknown_method_is_unimplemented(start_scaler: Starter) -> None:
    client = (await start_scaler()).client
    error = await client.refusal(client.channel.unary_unary("/serverless.simulator.Scaler/Reserve")(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
