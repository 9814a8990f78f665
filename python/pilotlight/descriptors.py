"""The process's limit on file descriptors, which bounds the connections of whatever serves."""

from __future__ import annotations

import sys
from contextlib import suppress


def allow_connections() -> None:
    """Raise the limit as far as the system allows: shells often start with 1,024."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not made for Windows

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS has a lower one that it does not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
