"""What other processes tell the workers, and what a gap in the telling means."""

import asyncio

import pytest

from shadows import Shadow
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until


async def job() -> None: ...


async def test_a_cancel_that_came_during_a_gap_is_noticed_after_it(shadows: Shadow, proxy: Proxy) -> None:
    """What runs here and is not ours in Redis any more was cancelled; what is still ours runs on."""
    events = {key: asyncio.Event() for key in ("cancelled", "kept")}
    stopped: list[str] = []

    async def wait_for_it(key: str) -> str:
        events[key].set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(key)
            raise
        return key

    async with Shadow(name=shadows.name, url=proxy.url) as through:
        for key in events:
            await shadows.add(wait_for_it, key=key)(key)
        async with working(through) as worker:
            await asyncio.gather(*[event.wait() for event in events.values()])
            proxy.refuse()
            proxy.cut()
            await shadows.cancel("cancelled")
            proxy.accept()
            await wait_until(lambda: stopped, "the cancelled one was stopped")
            assert stopped == ["cancelled"]
            assert len(worker.slots.running) == 1


async def test_strikes_that_came_during_a_gap_hold(shadows: Shadow, proxy: Proxy) -> None:
    """They are read again after it."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, working(through):
        proxy.refuse()
        proxy.cut()
        await shadows.strike(job)
        proxy.accept()
        await wait_until(lambda: through.strikelist.strikes, "the strike is known")


@pytest.mark.parametrize("message", [b"", b"nonsense", b"cancel", b"strikes", b"schedule \xff", b"\xff\xfe"])
async def test_a_message_that_nobody_understands_changes_nothing(shadows: Shadow, message: bytes) -> None:
    """Anybody may publish."""
    async with working(shadows):
        async with shadows.redis() as redis:
            await redis.publish(shadows.keys.signal, message)
        execution = await shadows.add(job)()
        assert await execution.get_result(timeout=10) is None


async def test_reading_strikes_fails_quietly_while_redis_is_away(
    shadows: Shadow, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next beat notices the version again."""
    monkeypatch.setattr("shadows.connection.CALL_SECONDS", 0.2)
    started, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        started.set()
        await may_end.wait()
        return "done"

    async with Shadow(name=shadows.name, url=proxy.url) as through, working(through) as worker:
        running = await shadows.add(slow)()
        await started.wait()
        proxy.refuse()
        proxy.cut()
        worker._parts.signals.reload_strikes(b"99")
        await worker._parts.signals._catch_up()
        proxy.accept()
        await worker.membership.finish_side_work()
        may_end.set()
        assert await running.get_result(timeout=10) == "done"
        execution = await shadows.add(job)()
        assert await execution.get_result(timeout=10) is None
