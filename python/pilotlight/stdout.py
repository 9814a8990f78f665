"""Standard output that cannot be written: a full disk, a reader that has gone, none at all.

A failed write is an `OSError` like that of any file, which commands and libraries handle in ways of
their own. So it is told apart where it happens, below every buffer, and ends the process in one way
whoever wrote.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


_CLOSED_PIPE = 141
"""The exit status that a shell reports of a tool whose reader has gone: 128 + SIGPIPE."""


class StdoutError(Exception):
    """A write to standard output failed."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write to standard output: {cause.strerror}")
        self.closed_pipe = cause.errno == errno.EPIPE


class _Descriptor(io.FileIO):
    """The descriptor of standard output, under Python's buffers."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutError(error) from None


@contextmanager
def clear_end() -> Iterator[None]:
    """Have a failed write end the process: quietly if its reader has gone, as Unix tools do, else with one line."""
    before = sys.stdout
    if before is not sys.__stdout__:  # something else reads what is written
        yield
        return
    # One that was closed is one that cannot be written.
    descriptor = os.open(os.devnull, os.O_RDONLY) if before is None else before.fileno()
    sys.stdout = _stream(descriptor, before)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except StdoutError as error:
        # What is left in the buffers must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        if error.closed_pipe:
            sys.exit(_CLOSED_PIPE)
        click.echo(f"pilotlight: {error}", err=True)
        sys.exit(1)
    finally:
        sys.stdout = before


def _stream(descriptor: int, like: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a text stream on a descriptor, with everything else as on another one."""
    raw = _Descriptor(descriptor, "w", closefd=False)
    raw.name = "<stdout>"
    if like is None:
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    unbuffered = isinstance(like.buffer, io.RawIOBase)
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),  # what `python -u` does
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )
