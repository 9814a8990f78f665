"""Reads a file of lines, plain or gzip-compressed, as blocks of bytes or text in bounded memory.

Guarantees: every line of the file is in exactly one block, lines are never split, line numbers start at 1, and whatever
is wrong with the bytes ends in a `TraceError` that names the file. Used by the readers of this package.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_BYTES = 8 * 2**20
MAX_LINE_CHARACTERS = 2**20
HEAD_BYTES = 2**16
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """Whole consecutive lines of one file as bytes; the last one's end is left out.

    Attributes:
        first_line: number of the first line, from 1.
        data: the lines.
        ended: the last one has an end.
    """

    first_line: int
    data: bytes
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of one file, without their ends.

    Attributes:
        path: the file.
        first_line: number of the first line, from 1.
        lines: the text of each.
    """

    path: Path
    first_line: int
    lines: list[str]


def read_blocks(path: Path) -> Iterator[Block]:
    """Yield the file's lines, about `BLOCK_BYTES` at a time.

    Raises:
        TraceError: as `read_pieces`, or the file is not UTF-8.
    """
    for piece in read_pieces(path):
        yield decode(path, piece)


def first_block(path: Path) -> Block:
    """Return the beginning of the file, about `HEAD_BYTES` of whole lines, to tell what it is.

    Raises:
        TraceError: as `read_blocks`.
    """
    return next((decode(path, piece) for piece in read_pieces(path, HEAD_BYTES)), Block(path, 1, []))


def read_pieces(path: Path, size: int = BLOCK_BYTES) -> Iterator[Piece]:
    """Yield the file's lines as bytes, about `size` bytes of whole lines at a time.

    Raises:
        TraceError: the file cannot be read, is not the gzip its name claims, is cut short or damaged, or has a line
            longer than `MAX_LINE_CHARACTERS`.
    """
    line, rest = 1, b""
    with ExitStack() as stack:
        try:
            stream = _open(path, stack)
            rest = stream.read(size).removeprefix(BYTE_ORDER_MARK)
            while rest:
                complete, newline, tail = rest.rpartition(b"\n")
                if newline:
                    yield Piece(line, complete)
                    line += complete.count(b"\n") + 1
                    rest = tail
                if len(rest) > 4 * MAX_LINE_CHARACTERS:  # of at most four bytes each
                    raise TraceError(_too_long(path, line))
                more = stream.read(size)
                if not more:
                    break
                rest += more
        except EOFError as error:
            raise TraceError(
                f"{path}: the gzip file ends early, somewhere from line {line} on; fetch or write it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise TraceError(
                f"{path}: damaged gzip data somewhere from line {line} on ({error}); fetch or write it again"
            ) from error
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if rest:
        yield Piece(line, rest, ended=False)


def _open(path: Path, stack: ExitStack) -> BinaryIO:
    """Open the file, through gzip when its first bytes say so."""
    raw = stack.enter_context(path.open("rb"))
    if raw.peek(2).startswith(GZIP_MAGIC):
        return cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb")))
    if path.suffix == ".gz":
        raise TraceError(f"{path}: is named .gz but is not gzip data; rename it, or compress it")
    return raw


def decode(path: Path, piece: Piece) -> Block:
    """Turn bytes into lines of text.

    Raises:
        TraceError: they are not UTF-8, or a line is too long.
    """
    first_line, data = piece.first_line, piece.data
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise TraceError(
            f"{path}:{line}: byte {column} of the line (0x{data[error.start]:02x}) is not UTF-8; save the file as UTF-8"
        ) from error
    for offset, text in enumerate(lines):
        if len(text) > MAX_LINE_CHARACTERS:
            raise TraceError(_too_long(path, first_line + offset))
    return Block(path, first_line, lines)


def _too_long(path: Path, line: int) -> str:
    return f"{path}:{line}: the line has more than {MAX_LINE_CHARACTERS} characters; write one object or row a line"
