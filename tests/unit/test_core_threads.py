"""One scaler under many threads, each of which is also its platform."""

from __future__ import annotations

import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

import pytest

from pilotlight._core import CreateSlot, DestroySlot, Init, Outcome, Scaler, Wake
from pilotlight.wire import simulator_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pilotlight._core import Command

THREADS = 8
REQUESTS = 300
BAD_EVERY = 3
REQUEST = wire.AssignRequest(request_id="r", meta_data=wire.Meta(key="a", memory_in_mb=1)).SerializeToString()


@pytest.fixture
def eager_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Crowd:
    """Requests of many threads against one scaler; Wakes go to their waiter's mailbox."""

    def __init__(self) -> None:
        self.scaler = Scaler(policy="fixed:keep_alive=0s")
        self.mailboxes: dict[int, SimpleQueue[Wake]] = {}

    def mailbox(self, waiter: int) -> SimpleQueue[Wake]:
        return self.mailboxes.setdefault(waiter, SimpleQueue())

    def carry_out(self, commands: Iterable[Command]) -> None:
        pending = deque(commands)
        while pending:
            command = pending.popleft()
            now = time.monotonic_ns()
            match command:
                case CreateSlot():
                    pending.extend(self.scaler.slot_created(now, command.slot, 1))
                case Init():
                    pending.extend(self.scaler.instance_ready(now, command.slot, 1))
                case DestroySlot():
                    pending.extend(self.scaler.slot_destroyed(now, command.slot))
                case Wake():
                    self.mailbox(command.waiter).put(command)

    def send(self) -> None:
        for request in range(REQUESTS):
            assignment = wire.AssignReply.FromString(self.assign()).assigment
            result = wire.Result(need_destroy=request % BAD_EVERY == 0)
            idle = wire.IdleRequest(assigment=assignment, result=result)
            outcome = self.scaler.idle(time.monotonic_ns(), idle.SerializeToString())
            if isinstance(outcome, Outcome):
                self.carry_out(outcome.commands)

    def assign(self) -> bytes:
        outcome = self.scaler.assign(time.monotonic_ns(), REQUEST)
        if isinstance(outcome, bytes):
            return outcome
        assert outcome.waiter is not None
        self.carry_out(outcome.commands)
        wake = self.mailbox(outcome.waiter).get(timeout=60)
        assert wake.reply is not None
        return wake.reply

    def tick(self, done: Event) -> None:
        while not done.is_set():
            self.carry_out(self.scaler.tick(time.monotonic_ns()))


@pytest.mark.usefixtures("eager_switching")
def test_every_request_of_many_threads_is_answered_once() -> None:
    crowd, done = Crowd(), Event()
    with ThreadPoolExecutor(THREADS + 1) as pool:
        ticking = pool.submit(crowd.tick, done)
        try:
            for sending in [pool.submit(crowd.send) for _ in range(THREADS)]:
                sending.result()
        finally:
            done.set()
        ticking.result()
    crowd.carry_out(crowd.scaler.tick(time.monotonic_ns()))
    ledger = crowd.scaler.snapshot(time.monotonic_ns())
    assert ledger["assigns"] == ledger["idles"] == THREADS * REQUESTS
    assert ledger["warm_starts"] + ledger["cold_starts"] + ledger["handoffs"] == THREADS * REQUESTS
    assert (ledger["waiting"], ledger["failed"], ledger["live_slots"]) == (0, 0, 0)
    assert ledger["starts"] == ledger["destroyed"]
    assert all(mailbox.empty() for mailbox in crowd.mailboxes.values())
    # Instances came and went all the time: otherwise this proved little.
    assert ledger["starts"] >= THREADS * REQUESTS // BAD_EVERY
