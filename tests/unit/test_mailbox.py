"""The way from a front's thread to the event loop."""

from __future__ import annotations

import asyncio
import threading

from pilotlight.server.mailbox import Mailbox

POSTS = 1000


async def test_what_is_posted_runs_in_order_and_the_loop_gets_its_turn_meanwhile() -> None:
    mailbox = Mailbox(asyncio.get_running_loop())
    ran: list[int] = []
    thread = threading.Thread(target=lambda: [mailbox.post(ran.append, number) for number in range(POSTS)])
    thread.start()
    thread.join()
    turns = []
    while len(ran) < POSTS:
        await asyncio.sleep(0)
        turns.append(len(ran))
    assert ran == list(range(POSTS))
    assert turns[0] < POSTS


async def test_a_call_that_fails_holds_up_no_other() -> None:
    mailbox = Mailbox(asyncio.get_running_loop())
    ran = asyncio.Event()
    mailbox.post([].pop)
    mailbox.post(ran.set)
    await asyncio.wait_for(ran.wait(), 60)
