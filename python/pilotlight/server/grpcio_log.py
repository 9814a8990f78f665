"""What grpcio logs, bounded: a line that any client can bring about is written once a second at most."""

from __future__ import annotations

import logging
import time
from typing import Final

LOGGERS: Final = ("grpc._cython.cygrpc", "grpc._server", "grpc._common", "grpc.aio._server")
"""The loggers that write lines about single calls."""

_PAUSE_S = 1.0
_LONGEST = 200
_MOST_KINDS = 64


class Sparing(logging.Filter):
    """Lets one line of each kind through in a second; it says how many it stands for, and is short."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is written."""
        kind, now = (record.name, record.levelno, str(record.msg)[:_LONGEST]), time.monotonic()
        last, left_out = self._kinds.get(kind, (-_PAUSE_S, 0))
        if now - last < _PAUSE_S:
            self._kinds[kind] = (last, left_out + 1)
            return False
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        text = record.getMessage()
        short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
        record.msg = f"{short} (and {left_out} more of its kind)" if left_out else short
        record.args = None
        return True


_SPARING: Final = Sparing()


def bound() -> None:
    """Bound grpcio's loggers; further calls change nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_SPARING)
