"""Published files that lack something, or have more than their page says: what is there is read, and the rest told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from trace_samples import SAMPLES, write

from pilotlight.errors import TraceError
from pilotlight.replay.session import find_data_set
from pilotlight.traces import read_trace

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "lora_request_trace.csv"
HEADER, FIRST, *_ = SAMPLES["genai2026"][TABLE].splitlines()
WINDOWS = "".join(f"{600 * window},0.5,1.0,Gamma,1.0,2.0\n" for window in range(20)).encode()
ALWAYS_4096 = {"input_tokens": "{4096: 1.0}", "output_tokens": "{7: 1.0}"}


def dataset(**distributions: str) -> bytes:
    return json.dumps({"0": distributions}).encode()


def context_tokens(folder: Path) -> list[int]:
    tokens = read_trace(folder).trace.context_tokens
    assert tokens is not None
    return np.unique(tokens).tolist()


def test_genai2026_requests_that_name_no_model_are_of_one_function_and_counted(tmp_path: Path) -> None:
    unnamed = FIRST.replace("M0000", "")
    folder = write("genai2026", tmp_path, {TABLE: f"{HEADER}\n{FIRST}\n{unnamed}\n{unnamed}\n".encode()})
    found = read_trace(folder)
    assert found.trace.functions.keys == ("M0000", "unnamed")
    assert found.trace.function.tolist() == [0, 1, 1]
    assert found.source["unnamed"] == 2
    assert found.notes == (
        f"{folder / TABLE}: requests that name no base model: 2; they are of one function, 'unnamed'",
    )


@pytest.mark.parametrize(
    ("status", "code"), [("SUCCEED", 200), ("PENDING", 200), ("PROCESSING", 200), ("", 200), ("FAILED", 500)]
)
def test_genai2026_instances_are_lost_only_where_a_request_failed(tmp_path: Path, status: str, code: int) -> None:
    rows = [HEADER, FIRST.replace("SUCCEED", status), ""]
    trace = read_trace(write("genai2026", tmp_path, {TABLE: "\n".join(rows).encode()})).trace
    assert trace.status.tolist() == [code]


def test_servegen_context_of_a_multimodal_client_is_its_text_and_all_that_comes_with_it(tmp_path: Path) -> None:
    client = dataset(
        text_tokens="{100: 1.0}",
        output_tokens="{7: 1.0}",
        image_count="{2: 1.0}",
        image_tokens="{50: 1.0}",
        audio_count="{0: 1.0}",
        audio_tokens="{9999: 1.0}",
        video_tokens="{0: 1.0}",
    )
    changed = {"chunk-0-trace.csv": WINDOWS, "chunk-0-dataset.json": client}
    assert context_tokens(write("servegen", tmp_path, changed)) == [200]


def test_servegen_parts_are_drawn_each_for_itself(tmp_path: Path) -> None:
    client = dataset(
        text_tokens="{100: 1.0}",
        output_tokens="{7: 1.0}",
        image_count="{0: 0.5, 2: 0.5}",
        image_tokens="{1: 0.5, 10: 0.5}",
    )
    changed = {"chunk-0-trace.csv": WINDOWS, "chunk-0-dataset.json": client}
    assert context_tokens(write("servegen", tmp_path, changed)) == [100, 102, 111, 120]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"chunk-1-trace.csv": WINDOWS}, "chunk-1-dataset.json: is not there"),
        ({"chunk-1-dataset.json": dataset(**ALWAYS_4096)}, "chunk-1-dataset.json: has no trace beside it"),
        (
            {"chunk-1-trace.csv": WINDOWS, "chunk-1-dataset.json": dataset(reason_ratio="{0.5: 1.0}")},
            "chunk-1-dataset.json: no window has distributions of input_tokens or text_tokens, and of output_tokens",
        ),
        (
            {f"chunk-{client}-trace.csv": WINDOWS for client in (1, 2, 3)},
            "chunk-1-dataset.json and 2 more: is not there",
        ),
    ],
    ids=["no dataset", "no trace", "no tokens", "several"],
)
def test_servegen_clients_that_are_not_whole_are_left_out_and_named(
    tmp_path: Path, files: dict[str, bytes], told: str
) -> None:
    alone = read_trace(write("servegen", tmp_path / "alone"))
    folder = write("servegen", tmp_path / "more", files)
    found = read_trace(folder)
    assert (len(found.notes), alone.notes) == (1, ())
    assert found.notes[0].startswith(f"{folder}: clients left out: ")
    assert found.notes[0].endswith(f" ({told})")
    assert found.trace.arrival_ns.tolist() == alone.trace.arrival_ns.tolist()


def test_replay_says_what_it_leaves_out_as_other_commands_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write("servegen", tmp_path, {"chunk-1-trace.csv": WINDOWS})
    find_data_set(folder)
    assert capsys.readouterr().err == f"{folder}: clients left out: 1 (chunk-1-dataset.json: is not there)\n"


def test_servegen_without_a_whole_client_is_refused(tmp_path: Path) -> None:
    folder = write("servegen", tmp_path)
    (folder / "chunk-0-dataset.json").unlink()
    with pytest.raises(TraceError, match=r"no client can be read: chunk-0-dataset\.json: is not there"):
        read_trace(folder)


@pytest.mark.parametrize("name", ["mooncake", "csv", "azure2021"])
@pytest.mark.parametrize("compress", [False, True])
def test_folder_of_one_file_and_a_page_about_it_is_a_trace(tmp_path: Path, name: str, *, compress: bool) -> None:
    path = write(name, tmp_path, compress=compress)
    (tmp_path / "README.md").write_text("what it is")
    of_file, of_folder = read_trace(path), read_trace(tmp_path)
    assert of_folder.source == of_file.source
    assert of_folder.trace.functions.keys == of_file.trace.functions.keys


def test_folder_of_several_mooncake_files_asks_for_one(tmp_path: Path) -> None:
    path = write("mooncake", tmp_path)
    (tmp_path / "toolagent_trace.jsonl").write_bytes(path.read_bytes())
    with pytest.raises(TraceError, match="is a folder with 2 files of JSON lines with input_length; give the path of"):
        read_trace(tmp_path)


def test_mooncake_lines_of_other_shapes_are_read_beside_usual_ones(tmp_path: Path) -> None:
    lines = [
        '{"timestamp": 0, "input_length": 5, "output_length": 6, "hash_ids": []}',
        '{"output_length": 8, "input_length": 7, "timestamp": 1}',
        '{"timestamp": 2, "input_length": 9, "output_length": 10}',
    ]
    trace = read_trace(write("mooncake", tmp_path, {"conversation_trace.jsonl": "\n".join(lines).encode()})).trace
    assert trace.context_tokens is not None
    assert trace.generated_tokens is not None
    assert (trace.context_tokens.tolist(), trace.generated_tokens.tolist()) == ([5, 7, 9], [6, 8, 10])
