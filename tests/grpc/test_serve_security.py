"""TLS, tokens, interceptors, and what happens on a grpcio whose completion queue nobody has tried."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
import structlog.testing
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pilotlight.config import load
from pilotlight.errors import ConfigError
from pilotlight.server import grpcio_guard, grpcio_versions
from pilotlight.server.app import is_open_to_all
from pilotlight.server.grpcio_aio import AioFront
from pilotlight.server.grpcio_queue import QueueFront
from pilotlight.wire import simulator_pb2 as pb
from pilotlight.wire import simulator_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Starter


GRPCIO_ONLY = pytest.mark.parametrize("front", ["grpcio", "grpcio_aio"], indirect=True)


class Certificates:
    """An authority, with files of a server's and a client's certificates."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.client = self.authority.issue_cert("client@example.org")
        server = self.authority.issue_cert("localhost", "127.0.0.1")
        self.paths = {name: str(directory / f"{name}.pem") for name in ("ca", "chain", "key")}
        self.authority.cert_pem.write_to_path(self.paths["ca"])
        server.private_key_pem.write_to_path(self.paths["key"])
        for blob in server.cert_chain_pems:
            blob.write_to_path(self.paths["chain"], append=True)

    def settings(self) -> dict[str, str]:
        return {"tls_certificate": self.paths["chain"], "tls_key": self.paths["key"]}

    def stub(self, address: str, *, as_client: bool = False) -> pb_grpc.ScalerStub:
        mine = {
            "private_key": self.client.private_key_pem.bytes(),
            "certificate_chain": self.client.cert_chain_pems[0].bytes(),
        }
        credentials = grpc.ssl_channel_credentials(self.authority.cert_pem.bytes(), **(mine if as_client else {}))
        self.channel = grpc.aio.secure_channel(address, credentials)
        return pb_grpc.ScalerStub(self.channel)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@GRPCIO_ONLY
async def test_tls_answers_who_trusts_the_certificate_and_nobody_in_plain_text(
    start_scaler: Starter, certificates: Certificates
) -> None:
    scaler = await start_scaler(**certificates.settings())
    stub = certificates.stub(scaler.app.address)
    assert (await stub.Assign(_request(), timeout=30)).assigment.instance_id
    await certificates.channel.close()
    error = await scaler.client.refusal(scaler.client.stub.Assign(_request(), timeout=30))
    assert error.code() == grpc.StatusCode.UNAVAILABLE


@GRPCIO_ONLY
async def test_with_a_client_authority_only_its_clients_are_answered(
    start_scaler: Starter, certificates: Certificates
) -> None:
    scaler = await start_scaler(**certificates.settings(), tls_client_ca=certificates.paths["ca"])
    stranger = certificates.stub(scaler.app.address)
    error = await scaler.client.refusal(stranger.Assign(_request(), timeout=30))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    await certificates.channel.close()
    known = certificates.stub(scaler.app.address, as_client=True)
    assert (await known.Assign(_request(), timeout=30)).assigment.instance_id
    await certificates.channel.close()


@GRPCIO_ONLY
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tls_key": ""}, "tls_key is empty"),
        ({"tls_certificate": "missing.pem"}, "tls_certificate = 'missing.pem': cannot read"),
        ({"tls_certificate": __file__}, "not a PEM file"),
        ({"auth_token_file": "missing"}, "auth_token_file = 'missing': cannot read"),
    ],
)
async def test_bad_files_are_named(
    start_scaler: Starter, certificates: Certificates, change: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        await start_scaler(**{**certificates.settings(), **change})


async def test_only_calls_with_the_token_are_answered_but_health_answers_all(
    start_scaler: Starter, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret\n")
    scaler = await start_scaler(auth_token_file=str(tmp_path / "token"))
    for metadata in (None, [("authorization", "secret")], [("authorization", "Bearer Secret")]):
        for method in (scaler.client.stub.Assign, scaler.client.stub.Idle):
            error = await scaler.client.refusal(method(_request(), metadata=metadata))
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert scaler.ledger()["assigns"] == 0
    metadata = [("authorization", "Bearer secret")]
    reply = await scaler.client.stub.Assign(_request(), metadata=metadata)
    assert reply.assigment.instance_id
    health = health_pb2_grpc.HealthStub(scaler.client.channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING


AUDIT = """
import grpc.aio

seen = []

class Recorder(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation, details):
        seen.append(details.method)
        return await continuation(details)

def recorders():
    return [Recorder()]
"""


@pytest.mark.parametrize("front", ["grpcio_aio"], indirect=True)
async def test_interceptors_see_every_call(
    start_scaler: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit.py").write_text(AUDIT)
    monkeypatch.syspath_prepend(tmp_path)
    scaler = await start_scaler(grpcio_mode="auto", grpcio_interceptors="audit:recorders")
    assert isinstance(scaler.app._front, AioFront)
    await scaler.client.idle(await scaler.client.assign("f"))
    assert sys.modules["audit"].seen == ["/serverless.simulator.Scaler/Assign", "/serverless.simulator.Scaler/Idle"]


@pytest.mark.parametrize("front", ["grpcio"], indirect=True)
async def test_interceptors_and_the_completion_queue_exclude_each_other(start_scaler: Starter) -> None:
    with pytest.raises(ConfigError, match="grpcio_interceptors"):
        await start_scaler(grpcio_interceptors="audit:recorders")


@pytest.mark.parametrize("front", ["grpcio_aio"], indirect=True)
async def test_interceptors_that_cannot_be_had_are_named(start_scaler: Starter) -> None:
    with pytest.raises(ConfigError, match="grpcio_interceptors = 'no_such_module:f'"):
        await start_scaler(grpcio_interceptors="no_such_module:f")


@pytest.mark.parametrize("front", ["grpcio"], indirect=True)
class TestTheGuard:
    async def test_lets_the_installed_version_through(self, start_scaler: Starter) -> None:
        assert grpcio_guard.refusal() is None
        scaler = await start_scaler(grpcio_mode="auto")
        assert isinstance(scaler.app._front, QueueFront)

    async def test_serves_an_unknown_version_on_the_public_api_and_says_so_once(
        self, start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(grpc, "__version__", "9.9.9")
        with structlog.testing.capture_logs() as log:
            scaler = await start_scaler(grpcio_mode="auto")
        assert isinstance(scaler.app._front, AioFront)
        warnings = [line for line in log if line["log_level"] == "warning"]
        assert len(warnings) == 1
        assert "9.9.9" in warnings[0]["reason"]
        assert grpcio_versions.TESTED[-1] in warnings[0]["remedy"]
        assert (await scaler.client.assign("f")).instance_id

    async def test_misses_what_a_later_version_has_dropped(
        self, start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(grpcio_guard._NEEDED, "Server", ("register_method", "renamed_since"))
        with structlog.testing.capture_logs() as log:
            scaler = await start_scaler(grpcio_mode="auto")
        assert isinstance(scaler.app._front, AioFront)
        assert "cygrpc.Server.renamed_since" in log[0]["reason"]
        with pytest.raises(ConfigError, match="renamed_since"):
            await start_scaler()


def _request() -> pb.AssignRequest:
    return pb.AssignRequest(request_id="r", meta_data=pb.Meta(key="f", runtime="python", memory_in_mb=128))


@pytest.mark.parametrize(
    ("settings", "open_to_all"),
    [
        ({"address": "0.0.0.0:9001"}, True),
        ({"address": "[::]:9001"}, True),
        ({"address": "127.0.0.1:9001"}, False),
        ({"address": "[::1]:9001"}, False),
        ({"address": "0.0.0.0:9001", "auth_token_file": "token"}, False),
        ({"address": "0.0.0.0:9001", "tls_certificate": "chain.pem", "tls_key": "key.pem"}, False),
    ],
)
def test_all_addresses_without_tls_and_token_are_open_to_all(settings: dict[str, str], open_to_all: bool) -> None:
    assert is_open_to_all(load(settings)) is open_to_all


async def test_a_scaler_that_is_open_to_all_says_so_once(
    start_scaler: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    warning = "whoever reaches this machine can call the scaler"
    with structlog.testing.capture_logs() as lines:
        await start_scaler()
    assert [line for line in lines if line["event"] == warning] == []
    monkeypatch.setattr("pilotlight.server.app.is_open_to_all", lambda _config: True)
    with structlog.testing.capture_logs() as lines:
        await start_scaler()
    (line,) = [line for line in lines if line["event"] == warning]
    assert line["log_level"] == "warning"
    assert "auth_token_file" in line["remedy"]
