"""What came of a platform call reaches whoever asked, and nobody else."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from pilotlight.platform.channel import UNANSWERED, Told, settle


@pytest.mark.parametrize("told", [("INTERNAL", None, "broke"), ("NOT_SENT", None, ""), (UNANSWERED, None, "")])
async def test_a_failure_that_nobody_asks_for_any_more_is_no_complaint(told: Told) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    late = loop.create_future() if told[0] == UNANSWERED else None
    settle(loop.create_future(), told, late)
    gc.collect()
    assert complaints == []
