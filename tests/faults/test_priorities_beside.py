"""Priorities where something lies in the way: nothing keeps a worker from what it should take next."""

import asyncio
from typing import Any

import pytest

from shadows import Shadow
from tests.features.workers import finish

ran: list[Any] = []


async def work(label: Any) -> None:
    ran.append(label)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_the_first_high_one_ever_does_not_wait_behind_all_that_is_ready(brief: Shadow) -> None:
    """Its stream had no group before somebody waited at it, and with much to do nobody waits: it came last."""

    async def fill(number: int) -> None:
        ran.append(number)
        if number == 5:
            await brief.add(work, priority="high")("high")
            await brief.add(work, priority="low")("low")
        await asyncio.sleep(0.001)

    await brief.add_many([brief.call(fill)(number) for number in range(200)])
    await finish(brief, concurrency=2)
    assert ran.index("high") < 50
    assert ran.index("low") == 201
