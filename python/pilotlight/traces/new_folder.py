"""Requires that a trace is written into a folder of its own: beside other files it could not be told from them.

Commands ask before they read or draw anything, writers before they write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from pathlib import Path


def require_new_folder(out: Path, trace: Path | None = None) -> None:
    """Require a folder that is empty or can be made, outside the trace that is read.

    Args:
        out: where to write.
        trace: a file or folder that is read; None: nothing is, or single files are.

    Raises:
        TraceError: it is not; the text names it.
    """
    made = out.resolve()
    if trace is not None and trace.exists():
        read = trace.resolve()
        if made == read:
            raise TraceError(f"{out}: is the trace that is read; choose a new folder")
        if read.is_dir() and read in made.parents:
            raise TraceError(f"{out}: lies inside {trace}, the trace that is read; choose a new folder beside it")
    try:
        above = next(path for path in (made, *made.parents) if path.exists())
        if not above.is_dir():
            raise TraceError(f"{out}: cannot be written: {above} is a file; choose a new folder")
        if above == made and any(made.iterdir()):
            raise TraceError(f"{out}: is not empty; choose a new folder, a trace cannot be told beside other files")
    except OSError as error:
        raise TraceError(f"{out}: cannot be written: {error.strerror or error}") from error
