"""When a request that waits is answered, and who takes back what nobody gets."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from grpc._cython import cygrpc

from pilotlight.server import grpcio_replies, grpcio_waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight._core import Wake

GONE = SimpleNamespace(batch_operations=[SimpleNamespace(cancelled=lambda: True)])
ANSWERED = SimpleNamespace(batch_operations=[SimpleNamespace(cancelled=lambda: False)])

EVENT = SimpleNamespace(completion_type=cygrpc.CompletionType.operation_complete)
NOTHING = SimpleNamespace(completion_type=cygrpc.CompletionType.queue_timeout)


class Call:
    """A call that notes what is sent on it."""

    def __init__(self) -> None:
        self.sent = 0
        self.closed: Callable[[Any], None] = lambda _: None
        self.sending: Callable[[], None] = lambda: None

    def start_server_batch(self, _operations: object, tag: Callable[[Any], None]) -> None:
        if tag is grpcio_replies.ENDED:
            self.sent += 1
            self.sending()
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
    """Waits on a queue whose events the test gives."""

    def __init__(self) -> None:
        self.host = Host()
        self.waits = grpcio_waits.Waits(self.host, self.host)  # type: ignore[arg-type]
        self.calls: list[Call] = []
        self.events: deque[Any] = deque()
        self.asleep: Callable[[], None] = lambda: pytest.fail("the queue sleeps")

    def begin(self) -> Call:
        self.calls.append(Call())
        self.waits.begin(self.calls[-1], len(self.calls) - 1)
        return self.calls[-1]

    def wake(self, call: Call, error: str | None = None) -> None:
        waiter = self.calls.index(call)
        reply = None if error else f"reply {waiter}".encode()
        # Real Wakes cannot be made in Python; this has their fields.
        wake: Any = SimpleNamespace(waiter=waiter, reply=reply, error=error and (error, "text"))
        self.host.deliver[waiter](wake)

    def poll(self, deadline: float | None) -> Any:  # noqa: ANN401
        if self.events:
            return self.events.popleft()
        if deadline == 0.0:
            return NOTHING
        self.asleep()
        return EVENT

    def next_event(self) -> Any:  # noqa: ANN401
        return self.waits.next_event(self.poll, None)

    def sent(self) -> list[int]:
        return [call.sent for call in self.calls]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_all_answers_go_out_in_their_order_before_the_queue_sleeps(setting: Setting) -> None:
    order: list[int] = []
    for number in range(3):
        setting.begin().sending = lambda number=number: order.append(number)  # type: ignore[misc]
    for number in (2, 0, 1):
        setting.wake(setting.calls[number])
    assert order == []
    setting.asleep = lambda: order.append(-1)
    setting.next_event()
    assert order == [2, 0, 1, -1]


def test_an_answer_goes_out_every_few_events_when_there_are_always_more(setting: Setting) -> None:
    for _ in range(10):
        setting.begin()
    for call in setting.calls:
        setting.wake(call)
    sent = []
    for _ in range(160):
        setting.events.append(EVENT)
        assert setting.next_event() is EVENT
        sent.append(sum(setting.sent()))
    assert sent[14] == 0
    assert sent[15::16] == list(range(1, 11))


def test_a_queue_that_sleeps_is_woken_by_one_answer_and_no_more(setting: Setting) -> None:
    for _ in range(3):
        setting.begin()

    def wake_all() -> None:
        for call in setting.calls:
            setting.wake(call)

    setting.asleep = wake_all
    setting.next_event()
    assert setting.sent() == [1, 0, 0]


def test_a_queue_asleep_again_before_its_waker_goes_on_is_woken_again(setting: Setting) -> None:
    first, second = setting.begin(), setting.begin()

    def sleep_again() -> None:
        first.sending = lambda: None
        setting.asleep = lambda: None
        setting.waits._asleep = True  # the queue's thread has handled the event, and polls

    first.sending = sleep_again
    setting.asleep = lambda: (setting.wake(first), setting.wake(second))  # type: ignore[assignment]
    setting.next_event()
    assert setting.sent() == [1, 1]


def test_a_queue_is_not_left_asleep_by_an_answer_that_nobody_gets(setting: Setting) -> None:
    gone, here = setting.begin(), setting.begin()
    gone.closed(GONE)
    setting.asleep = lambda: (setting.wake(gone), setting.wake(here))  # type: ignore[assignment]
    setting.next_event()
    assert setting.sent() == [0, 1]


def test_errors_go_out_at_once(setting: Setting) -> None:
    call = setting.begin()
    setting.wake(call, error="deadline")
    assert call.sent == 1


def test_an_answer_that_fails_leaves_the_others_alone(setting: Setting) -> None:
    broken, whole = setting.begin(), setting.begin()
    broken.sending = lambda: setting.calls[99].closed(GONE)
    setting.wake(broken)
    setting.wake(whole)
    setting.asleep = lambda: None
    setting.next_event()
    assert whole.sent == 1


def test_a_client_that_goes_before_its_wake_is_forgotten_and_its_instance_comes_back(setting: Setting) -> None:
    call = setting.begin()
    call.closed(GONE)
    assert setting.host.forgotten == [0]
    setting.wake(call)  # it was on the way
    setting.asleep = lambda: None
    setting.next_event()
    assert call.sent == 0
    assert setting.host.taken_back == [b"reply 0"]


@pytest.mark.parametrize(("event", "taken_back"), [(GONE, [b"reply 0"]), (ANSWERED, [])])
def test_an_answer_that_was_sent_comes_back_only_if_it_did_not_go_out(
    setting: Setting, event: SimpleNamespace, taken_back: list[bytes]
) -> None:
    call = setting.begin()
    setting.wake(call)
    setting.asleep = lambda: None
    setting.next_event()
    call.closed(event)
    assert setting.host.forgotten == []
    assert setting.host.taken_back == taken_back
