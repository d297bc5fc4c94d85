"""When nothing is left to do, and what is not waited for."""

import asyncio
import logging
from datetime import timedelta

import pytest

from shadows import Perpetual, Shadow
from shadows.priorities import PRIORITIES
from shadowsd.engine.finish import Finish
from shadowsd.engine.intake import Intake
from shadowsd.engine.slots import Slots
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import link_of


async def job() -> None: ...


async def nothing_paused() -> None:
    """Nothing is to be brought back."""


async def test_it_waits_for_what_runs_at_another_worker(shadows: Shadow) -> None:
    """Whose end it hears of by its own beats at the latest."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await may_end.wait()

    async with (
        Shadow(name=shadows.name, url=shadows.settings.url, heartbeat_interval=timedelta(milliseconds=50)) as brief,
        working(shadows),
    ):
        await shadows.add(slow)()
        await started.wait()
        finishing = asyncio.create_task(finish(brief))
        await asyncio.sleep(0.2)
        assert not finishing.done()
        may_end.set()
        await finishing


async def test_a_perpetual_task_is_waited_for_and_the_log_says_so(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """It never finishes; whoever waits in vain finds the reason."""

    async def hourly(perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> None: ...

    await shadows.add(hourly, key="hourly")()
    with caplog.at_level(logging.INFO, "shadows.worker"):
        finishing = asyncio.create_task(finish(shadows))
        await wait_until(lambda: "a Perpetual has no end" in caplog.text, "the log says so")
    assert not finishing.done()
    await shadows.cancel("hourly")
    await finishing
    assert caplog.text.count("a Perpetual has no end") == 1


async def test_what_is_set_aside_is_not_waited_for_and_the_log_says_so(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that knows the function may never come."""
    await shadows.add("unknown")()
    async with shadows.redis() as redis:
        await redis.xadd(shadows.keys.stream, {"hello": "world"})
    await finish(shadows)
    assert "Finished, but for 1 function whose entries wait" in caplog.text
    assert "and 1 quarantined" in caplog.text
    assert "0 " not in caplog.text.partition("Finished, but")[2]


async def test_while_redis_does_not_answer_nothing_is_finished(shadows: Shadow, proxy: Proxy) -> None:
    """It looks again when something changes."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        slots, link = Slots(1), link_of(through)
        finishing = Finish(link, through.keys, slots, None, nothing_paused, Intake(shadows.keys, PRIORITIES))  # type: ignore[arg-type] # only kept
        proxy.refuse()
        proxy.cut()
        waiting = asyncio.create_task(finishing.wait())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        proxy.accept()
        finishing.look()
        await asyncio.wait_for(waiting, 5)
        await link.close()
    assert slots.on_idle is None


async def test_becoming_idle_is_reason_to_look(shadows: Shadow) -> None:
    """At once, and not at the next beat: a test suite with a thousand short workers must be short."""
    link, slots = link_of(shadows), Slots(1)
    finishing = Finish(link, shadows.keys, slots, None, nothing_paused, Intake(shadows.keys, PRIORITIES))  # type: ignore[arg-type] # only kept
    await shadows.add(job, key="job")()
    waiting = asyncio.create_task(finishing.wait())
    await asyncio.sleep(0.05)
    await shadows.cancel("job")
    await asyncio.sleep(0.05)
    assert not waiting.done()
    slots.wake()
    await asyncio.wait_for(waiting, 5)
    await link.close()
