"""What the replay's web side refuses: files it was not given, bodies that are none, names that are not its own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from replay_web import S, playing, written

if TYPE_CHECKING:
    from pathlib import Path


def naming(folder: Path, run_id: str = "x") -> dict[str, Any]:
    return {"id": run_id, "requestFilePath": str(folder / "requests"), "metaFilePath": str(folder / "metas")}


async def test_data_set_that_cannot_be_read_is_refused_and_another_may_be_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "set")
    async with playing(posted=1) as replay:
        status, answer = await replay.start({"id": "x", "requestFilePath": "/nowhere/r", "metaFilePath": "/nowhere/m"})
        assert (status, "/nowhere/r" in answer["error"]) == (400, True)
        assert (await replay.start(naming(folder)))[0] == 200
        assert (await replay.running)[0].finished == 1


@pytest.mark.parametrize("body", [[], {}, {"id": "x"}, {"id": 1, "requestFilePath": "r", "metaFilePath": "m"}, None])
async def test_start_without_its_fields_is_refused(body: object) -> None:
    async with playing(posted=1) as replay:
        status, answer = await replay.start(body)
        assert status == 400
        assert "requestFilePath" in answer["error"]


async def test_data_set_that_nobody_awaits_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "set")
    async with playing(folder, tail_ns=100_000 * S) as replay:
        body = {"id": "x", "requestFilePath": str(folder / "requests"), "metaFilePath": str(folder / "metas")}
        assert (await replay.start(body))[0] == 409


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Two files outside of the data folder."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "requests").write_text("secret\n", encoding="utf-8")
    (folder / "metas").write_text("secret\n", encoding="utf-8")
    return folder


async def test_files_outside_of_the_data_folder_are_refused_by_whatever_way(tmp_path: Path, secret: Path) -> None:
    folder = written(tmp_path / "data")
    (folder / "link").symlink_to(secret / "requests")
    (folder / "linked").symlink_to(secret)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    outside = [
        *(str(secret / "requests"), f"{folder}/../outside/requests", "../outside/requests", "/etc/passwd"),
        *("link", "linked/requests", "loop", "loop/x", "pipe", ".", "", "nowhere", "/dev/zero", "/proc/self/mem"),
        *("\0", "a" * 300, "\ud800", "requests/x"),
    ]
    async with playing(posted=1, data_root=folder) as replay:
        for path in outside:
            for fields in ({"requestFilePath": path}, {"metaFilePath": path}):
                status, answer = await replay.start({**naming(folder), **fields})
                assert (status, "secret" in str(answer)) == (400, False), path
                assert answer == {
                    "error": f"{path!r} is no file in the data folder; put it there, or name another with --data-root"
                }


@pytest.mark.parametrize("files", [("requests", "metas"), ("./requests", "../data/metas"), ("linked", "metas")])
async def test_files_in_the_data_folder_are_played(tmp_path: Path, files: tuple[str, str]) -> None:
    folder = written(tmp_path / "data")
    (folder / "linked").symlink_to(folder / "requests")
    async with playing(posted=1, data_root=folder) as replay:
        body = {"id": "x", "requestFilePath": files[0], "metaFilePath": files[1]}
        assert (await replay.start(body))[0] == 200
        assert (await replay.running)[0].finished == 1


@pytest.mark.parametrize("which", ["requests", "metas"])
async def test_answer_quotes_no_file_and_stderr_says_what_is_wrong(
    tmp_path: Path, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path / "data")
    (folder / which).write_text('{"metaKey": "the secret"}\n', encoding="utf-8")
    async with playing(posted=1, data_root=folder) as replay:
        status, answer = await replay.start(naming(folder))
        assert status == 400
        assert answer == {"error": "the files are no data set; what replay writes to stderr says why"}
        assert str(folder / which) in capsys.readouterr().err


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
)
async def test_body_of_another_type_is_refused(tmp_path: Path, media_type: str) -> None:
    folder = written(tmp_path / "data")
    async with playing(posted=1, data_root=folder) as replay:
        status, answer = await replay.start(naming(folder), Content_Type=media_type)
        assert (status, "Content-Type: application/json" in answer["error"]) == (415, True)
        assert (await replay.start(naming(folder), Content_Type="application/json; charset=nonesuch"))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"id":' * 9_000,
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"id": "x", "id": ["x"]}',
        b"9" * 5_000,
        b"NaN",
    ],
)
async def test_body_that_is_none_is_refused(body: bytes) -> None:
    async with playing(posted=1) as replay:
        status, answer = await replay.send(body)
        assert (status, "requestFilePath" in answer["error"]) == (400, True)


@pytest.mark.parametrize("length", [70_000, 1_000_000])
async def test_huge_body_is_refused(length: int) -> None:
    async with playing(posted=1) as replay:
        status, answer = await replay.send(b" " * length)
        assert (status, answer) == (413, {"error": "the body is longer than 65536 bytes"})


async def test_body_that_cannot_be_unpacked_is_refused() -> None:
    async with playing(posted=1) as replay:
        assert (await replay.send(b"no deflate", Content_Encoding="deflate"))[0] == 400


async def test_body_whose_chunks_are_broken_is_refused() -> None:
    async with playing(posted=1) as replay:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(replay.url("/")).port)
        head = "POST /start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        writer.write(f"{head}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{}}\r\nzz\r\n".encode())
        assert (await asyncio.wait_for(reader.readline(), 20)).split()[1] == b"400"
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("run_id", ["", "x" * 201, "\x1b[2J", "\ud800", "two\nlines"])
async def test_id_that_cannot_be_shown_is_refused(tmp_path: Path, run_id: str) -> None:
    folder = written(tmp_path / "data")
    async with playing(posted=1) as replay:
        status, answer = await replay.start(naming(folder, run_id))
        assert (status, answer["error"]) == (400, "id must be 1 to 200 characters that can be printed")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:9000", 200),
        ("[::ffff:127.0.0.1]:9000", 200),
        ("simulator.example:9000", 200),
        ("evil.example:9000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1:9000", 421),
        ("[::1", 421),
        ("0.0.0.0:9000", 421),
        ("", 421),
    ],
)
async def test_only_names_of_the_served_addresses_are_answered(host: str, status: int) -> None:
    async with playing(posted=1, web_names=("simulator.example",)) as replay:
        assert await replay.status_of("GET", "/", Host=host) == status
        # A right name is refused for its body only.
        assert await replay.status_of("POST", "/start", Host=host) == (415 if status == 200 else status)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:9000", 415), ("http://evil.example", 403), ("null", 403), ("https://127.0.0.1:8443", 415)],
)
async def test_pages_of_others_are_refused(origin: str, status: int) -> None:
    async with playing(posted=1) as replay:
        assert await replay.status_of("POST", "/start", Origin=origin) == status
