"""Refused functions in the log."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from pilotlight._core import Scaler
from pilotlight.errors import Overloaded
from pilotlight.server.refusals import RefusalLog
from pilotlight.wire import simulator_pb2 as pb


def test_refusals_are_told_of_once_and_then_together() -> None:
    scaler = Scaler(max_functions=1)

    def assign(key: str) -> None:
        meta = pb.Meta(key=key, runtime="go", timeout_in_secs=60, memory_in_mb=128)
        scaler.assign(0, pb.AssignRequest(request_id="r", meta_data=meta).SerializeToString())

    assign("in use")
    with capture_logs() as lines:
        refusals = RefusalLog(scaler, structlog.get_logger())
        refusals.look()
        assert lines == [], "nothing was refused"
        for key in ("a", "b"):
            with pytest.raises(Overloaded):
                assign(key)
            refusals.look()
    assert [line["refused"] for line in lines] == [1], "the second is left for the next line"
    assert lines[0]["log_level"] == "warning"
