"""When a request that waits is answered, and who takes back what nobody gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pilotlight.server import grpcio_replies, grpcio_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pilotlight._core import Wake

GONE = SimpleNamespace(batch_operations=[SimpleNamespace(cancelled=lambda: True)])
ANSWERED = SimpleNamespace(batch_operations=[SimpleNamespace(cancelled=lambda: False)])


class Call:
    """A call that notes what is sent on it."""

    def __init__(self) -> None:
        self.sent = 0
        self.closed: Callable[[Any], None] = lambda _: None

    def start_server_batch(self, _operations: object, tag: Callable[[Any], None]) -> None:
        if tag is grpcio_replies.ENDED:
            self.sent += 1
        else:
            self.closed = tag


class Host:
    """A host whose Wakes the test gives; it is its own mailbox."""

    def __init__(self) -> None:
        self.deliver: dict[int, Callable[[Wake], None]] = {}
        self.forgotten: list[int] = []
        self.taken_back: list[bytes] = []

    def await_wake(self, waiter: int, deliver: Callable[[Wake], None]) -> None:
        self.deliver[waiter] = deliver

    def forget(self, waiter: int) -> None:
        self.forgotten.append(waiter)

    def take_back(self, reply: bytes) -> None:
        self.taken_back.append(reply)

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class Setting:
    def __init__(self, wakes: Iterator[Wake]) -> None:
        self.host = Host()
        self.waits = grpcio_waits.Waits(self.host, self.host)  # type: ignore[arg-type]
        self.wakes = wakes

    def begin(self) -> tuple[Call, Callable[[], None]]:
        """Let a call wait; return it and what wakes it."""
        call, waiter = Call(), len(self.host.deliver)
        self.waits.begin(call, waiter)
        return call, lambda: self.host.deliver[waiter](next(self.wakes))


@pytest.fixture
def setting() -> Setting:
    return Setting(_wakes())


def test_answers_come_in_their_order_when_nothing_else_is_there(setting: Setting) -> None:
    (first, wake_first), (second, wake_second) = setting.begin(), setting.begin()
    wake_second()
    wake_first()
    assert first.sent == second.sent == 0
    setting.waits.send_one()
    assert (first.sent, second.sent) == (0, 1)
    setting.waits.send_one()
    assert (first.sent, second.sent) == (1, 1)
    setting.waits.send_one()


def test_an_answer_goes_out_every_few_events_when_there_are_always_more(setting: Setting) -> None:
    calls = [setting.begin() for _ in range(10)]
    for _, wake in calls:
        wake()
    sent = []
    for _ in range(160):
        setting.waits.event_passed()
        sent.append(sum(call.sent for call, _ in calls))
    assert sent[15::16] == list(range(1, 11))
    assert sent[14] == 0


def test_a_queue_that_may_sleep_is_woken_by_one_answer_and_no_more(setting: Setting) -> None:
    calls = [setting.begin() for _ in range(3)]
    setting.waits.asleep = True
    for _, wake in calls:
        wake()
    assert [call.sent for call, _ in calls] == [1, 0, 0]
    assert len(setting.waits.answers) == 2


def test_a_queue_is_not_left_asleep_by_an_answer_that_nobody_gets(setting: Setting) -> None:
    (gone, wake_gone), (here, wake_here) = setting.begin(), setting.begin()
    gone.closed(GONE)
    setting.waits.asleep = True
    wake_gone()
    wake_here()
    assert (gone.sent, here.sent) == (0, 1)


def test_a_client_that_goes_before_its_wake_is_forgotten_and_its_instance_comes_back(setting: Setting) -> None:
    call, wake = setting.begin()
    call.closed(GONE)
    assert setting.host.forgotten == [0]
    wake()  # it was on the way
    setting.waits.send_one()
    assert call.sent == 0
    assert setting.host.taken_back == [b"reply 0"]


def test_a_client_that_goes_after_its_answer_was_sent_leaves_its_instance(setting: Setting) -> None:
    call, wake = setting.begin()
    wake()
    setting.waits.send_one()
    call.closed(GONE)
    assert setting.host.forgotten == []
    assert setting.host.taken_back == [b"reply 0"]


def test_a_call_that_was_answered_keeps_its_instance(setting: Setting) -> None:
    call, wake = setting.begin()
    wake()
    setting.waits.send_one()
    call.closed(ANSWERED)
    assert setting.host.taken_back == []


def _wakes() -> Iterator[Wake]:
    """Real Wakes cannot be made in Python; these have their fields."""
    for number in range(1000):
        yield SimpleNamespace(waiter=number, reply=f"reply {number}".encode(), error=None)  # type: ignore[misc]
