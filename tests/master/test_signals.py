"""Signals are noted, whatever comes with them, until somebody takes them."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from shadowsd.master.signals import CAUGHT, HUP, TERM, TTOU, Signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of the test run come back."""
    before = {number: signal.getsignal(number) for number in CAUGHT}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_a_signal_wakes_and_is_taken_once() -> None:
    woken = asyncio.Event()
    with Signals(woken.set) as signals:
        assert signals.take() == {}
        os.kill(os.getpid(), HUP)
        await asyncio.wait_for(woken.wait(), 5)
        assert signals.take() == {HUP: 1}
        assert signals.take() == {}


async def test_a_flood_of_one_signal_hides_no_other() -> None:
    """The loop's buffer has room for some hundred: what came after them was lost, and it could be the TERM."""
    woken = asyncio.Event()
    with Signals(woken.set) as signals:
        for _ in range(3000):
            os.kill(os.getpid(), TTOU)
        os.kill(os.getpid(), TERM)
        await asyncio.wait_for(woken.wait(), 5)
        assert signals.take().keys() == {TTOU, TERM}


async def test_when_it_is_over_who_asks_to_stop_kills_nobody() -> None:
    with Signals(lambda: None):
        pass
    os.kill(os.getpid(), TERM)
    assert signal.getsignal(TERM) is signal.SIG_IGN
