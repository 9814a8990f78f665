"""The grpcio versions whose completion queue may be driven directly; whoever asks here has not loaded grpc yet."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

TESTED: Final = ("1.85",)
"""The grpcio versions, without their patch level, that the tests of `completion_queue` ran over."""


def is_tested(grpcio: str | None = None) -> bool:
    """Say whether `completion_queue` was tested over a version.

    Args:
        grpcio: the version; the installed one's if not given.
    """
    return ".".join((grpcio or version("grpcio")).split(".")[:2]) in TESTED
