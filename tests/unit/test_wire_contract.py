"""The wire contract, pinned through the descriptors that clients and servers are built on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from pilotlight.wire import simulator_pb2 as wire
from pilotlight.wire import simulator_pb2_grpc as services

ROOT = Path(__file__).resolve().parents[2]

# message: field (number, type, presence); presence "" is proto3's default, "?" optional, "m" a message.
MESSAGES = {
    "AssignRequest": {"request_id": (1, "string", ""), "timestamp": (2, "uint64", ""), "meta_data": (3, "Meta", "m")},
    "AssignReply": {
        "status": (1, "Status", ""),
        "assigment": (2, "Assignment", "m"),
        "error_message": (3, "string", "?"),
    },
    "IdleRequest": {"assigment": (1, "Assignment", "m"), "result": (2, "Result", "m")},
    "IdleReply": {"status": (1, "Status", ""), "error_message": (3, "string", "?")},
    "Meta": {
        "key": (1, "string", ""),
        "runtime": (3, "string", ""),
        "timeout_in_secs": (4, "uint32", ""),
        "memory_in_mb": (5, "uint64", ""),
    },
    "Assignment": {"request_id": (1, "string", ""), "meta_key": (2, "string", ""), "instance_id": (3, "string", "")},
    "Result": {
        "status_code": (1, "int32", ""),
        "duration_in_ms": (2, "uint64", ""),
        "need_destroy": (3, "bool", "?"),
        "reason": (4, "string", "?"),
    },
    "CreateSlotRequest": {"request_id": (1, "string", ""), "resource_config": (2, "ResourceConfig", "m")},
    "CreateSlotReply": {
        "status": (1, "Status", ""),
        "slot": (2, "Slot", "?"),
        "error_message": (3, "string", "?"),
    },
    "DestroySlotRequest": {"request_id": (1, "string", ""), "id": (2, "string", ""), "reason": (3, "string", "?")},
    "DestroySlotReply": {"status": (1, "Status", ""), "error_message": (2, "string", "?")},
    "Slot": {
        "id": (1, "string", ""),
        "resource_config": (2, "ResourceConfig", "m"),
        "create_time": (3, "uint64", ""),
        "create_duration_in_ms": (4, "uint64", ""),
    },
    "InitRequest": {
        "request_id": (1, "string", ""),
        "slot_id": (2, "string", ""),
        "instance_id": (3, "string", ""),
        "meta_data": (4, "Meta", "m"),
    },
    "InitReply": {
        "status": (1, "Status", ""),
        "create_time": (2, "uint64", ""),
        "init_duration_in_ms": (3, "uint64", ""),
        "error_message": (4, "string", "?"),
    },
    "ResourceConfig": {"memory_in_megabytes": (1, "uint64", "")},
}

SERVICES = {
    "Scaler": {"Assign": ("AssignRequest", "AssignReply"), "Idle": ("IdleRequest", "IdleReply")},
    "Platform": {
        "CreateSlot": ("CreateSlotRequest", "CreateSlotReply"),
        "DestroySlot": ("DestroySlotRequest", "DestroySlotReply"),
        "Init": ("InitRequest", "InitReply"),
    },
}

STATUSES = {
    "Ok": 0,
    "Throttle": 1,
    "InternalError": 2,
    "NotFound": 3,
    "InvalidArgument": 4,
    "InvalidAssigment": 5,
}

SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_BOOL: "bool",
}


def type_of(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    return named.name if named else SCALARS[field.type]


def presence_of(field: FieldDescriptor) -> str:
    # proto3 "optional" makes a one-field oneof; message fields have presence without it.
    if field.containing_oneof is not None:
        return "?"
    return "m" if field.message_type else ""


def test_package_and_messages_are_the_contracts() -> None:
    assert wire.DESCRIPTOR.package == "serverless.simulator"
    assert set(wire.DESCRIPTOR.message_types_by_name) == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_have_the_contracts_names_numbers_types_and_presence(name: str) -> None:
    fields = wire.DESCRIPTOR.message_types_by_name[name].fields
    assert {f.name: (f.number, type_of(f), presence_of(f)) for f in fields} == MESSAGES[name]
    assert not any(field.is_repeated for field in fields)


def test_statuses_have_the_contracts_numbers() -> None:
    assert list(wire.DESCRIPTOR.enum_types_by_name) == ["Status"]
    assert dict(wire.Status.items()) == STATUSES


def test_services_have_the_contracts_methods() -> None:
    found = {
        service.name: {m.name: (m.input_type.name, m.output_type.name) for m in service.methods}
        for service in wire.DESCRIPTOR.services_by_name.values()
    }
    assert found == SERVICES
    for service in wire.DESCRIPTOR.services_by_name.values():
        assert not any(method.client_streaming or method.server_streaming for method in service.methods)


def test_bytes_are_those_of_the_contract() -> None:
    assigment = wire.Assignment(request_id="r", meta_key="k", instance_id="i")
    reply = wire.AssignReply(status=wire.Ok, assigment=assigment)
    assert reply.SerializeToString() == b"\x12\x09\x0a\x01r\x12\x01k\x1a\x01i"
    assert wire.IdleReply(error_message="e").SerializeToString() == b"\x1a\x01e"
    assert wire.Meta(runtime="go", memory_in_mb=512).SerializeToString() == b"\x1a\x02go\x28\x80\x04"


def test_service_code_names_the_contracts_services() -> None:
    for service, methods in SERVICES.items():
        assert methods.keys() <= vars(getattr(services, f"{service}Servicer")).keys()


def test_committed_code_is_what_the_proto_generates() -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools generates the code; it is a development dependency")
    script = ROOT / "proto" / "generate.sh"
    done = subprocess.run(
        [script, "--check"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_project_requires_a_protobuf_that_runs_the_committed_code() -> None:
    generated = (ROOT / "python/pilotlight/wire/simulator_pb2.py").read_text(encoding="utf-8")
    made_by = re.search(r"Protobuf Python Version: (\d+)\.(\d+)", generated)
    required = re.search(r'"protobuf>=(\d+)\.(\d+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert made_by is not None
    assert required is not None
    # The runtime refuses code that is newer than itself.
    assert tuple(map(int, required.groups())) >= tuple(map(int, made_by.groups()))
