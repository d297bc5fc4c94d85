"""Outcomes that are sent twice, or for what is gone: the answer is still the worker's own."""

import asyncio

import pytest

from shadows import ExecutionState, Shadow
from shadows.scripts import SETTLE
from shadows.testing import RedisServer
from shadowsd.engine.events import OutcomesFenced
from shadowsd.engine.settle import Next
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import delivered
from .test_settle import Desk, done, job, state_of


@pytest.mark.parametrize("word", ["r", "b"], ids=["retried", "handed back"])
async def test_what_another_worker_did_since_a_reply_was_lost_makes_nobody_fenced(
    shadows: Shadow, proxy: Proxy, shadows_redis: RedisServer, word: str
) -> None:
    """The outcome was written, and only the answer to it lost. When it was sent again the retry had run elsewhere, or
    the entry lay where it was handed back to: by the record alone that looks like an entry lost to another."""
    shadows_redis.command("SCRIPT", "LOAD", SETTLE.source)  # so that the first reply is a real one
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await shadows.add(job, key="job")()
        (entry,) = await delivered(shadows)
        first, second = Desk(through), Desk(shadows)
        await first.link.call("PING")
        proxy.refuse()  # what stands goes on, until the reply is lost
        order = proxy.lose_replies("EVALSHA")
        following = Next(0, None, entry.payload) if word == "r" else None
        settling = asyncio.create_task(first.settle(done(entry, word, following=following)))
        await wait_until(lambda: order.lost and not first.link.connected, "the reply is lost")
        if word == "r":
            (retry,) = await delivered(shadows, consumer="another#2")
            await second.settle(done(retry))
        proxy.accept()
        await settling
    assert (first.settler.done, first.settler.fenced) == (1, 0)
    assert OutcomesFenced(1) not in first.recorded.events
    assert await state_of(shadows, "job") is (ExecutionState.COMPLETED if word == "r" else ExecutionState.QUEUED)


async def test_an_entry_and_a_record_that_are_gone_harm_no_other(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody deleted both while the task ran: there is nothing to write its outcome to. The script must not stop at
    it, with the others' outcomes written and their entries left."""
    desk = Desk(shadows)
    for key in ("a", "gone", "b"):
        await shadows.add(job, key=key)()
    entries = await delivered(shadows)
    async with shadows.redis() as redis:
        await redis.xdel(shadows.keys.stream, entries[1].id)
        await redis.delete(shadows.keys.record("gone"))
    await desk.settle(*[done(entry) for entry in entries])
    assert (desk.settler.done, desk.settler.fenced) == (3, 0)
    assert caplog.text == ""
    assert await shadows.get_execution("gone") is None
    for key in ("a", "b"):
        assert await state_of(shadows, key) is ExecutionState.COMPLETED
