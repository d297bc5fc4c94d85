"""A server that can not be reached: who calls it is told soon, and by its name."""

import asyncio
from datetime import timedelta
from time import monotonic

import pytest

from shadows import Worker
from shadows.errors import ConnectionFailed, TooBusy
from shadows.submissions import MOST_WAITING
from shadows.testing import RedisServer
from tests.faults.conftest import brief_shadow
from tests.proxy import Proxy
from tests.recorded import Journal, rest
from tests.waiting import wait_until


@pytest.mark.parametrize("gone", ["refused", "silent"])
async def test_calls_raise_within_five_seconds_and_name_the_server(
    gone: str, shadows_url: str, proxy: Proxy, journal: Journal
) -> None:
    """However many wait for the same connection."""
    url = proxy.url.replace("//", "//:secret-password@")
    async with brief_shadow(proxy.url) as shadow:
        shadow.server.shown_url = brief_shadow(url).url
        await shadow.get_execution("none")
        await shadow.add(rest, when=timedelta(hours=1))("", "")
        if gone == "refused":
            proxy.refuse()
            proxy.cut()
        else:
            proxy.black_hole()
        since = monotonic()
        calls = [
            *[shadow.add(rest)(str(journal), "a") for _ in range(5)],
            *[shadow.get_execution(f"k{n}") for n in range(5)],
            shadow.cancel("a"),
            shadow.snapshot(),
            shadow.strike("rest"),
            shadow.clear(),
        ]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert monotonic() - since < 6
        assert {type(error) for error in errors} == {ConnectionFailed}
        assert all(f"127.0.0.1:{proxy.port}" in str(error) for error in errors)
        assert not any("secret-password" in str(error) for error in errors)
        proxy.resume()
        if gone == "refused":
            proxy.accept()


async def test_adds_that_wait_for_a_dead_server_are_bounded(proxy: Proxy) -> None:
    async with brief_shadow(proxy.url) as shadow:
        await shadow.add(rest, when=timedelta(hours=1))("", "")
        proxy.black_hole()
        first = asyncio.create_task(shadow.add(rest)("", ""))
        await wait_until(lambda: shadow._submissions._sender is not None, "the first add is on its way")
        await asyncio.sleep(1.1)
        waiting = [asyncio.create_task(shadow.add(rest)("", "")) for _ in range(MOST_WAITING + 5)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        assert {type(each.exception()) for each in done} == {TooBusy}
        assert len(done) == 5
        assert not first.done()
        proxy.resume()
        await asyncio.gather(first, *set(waiting) - done)


async def test_a_worker_can_not_start_without_redis_and_says_so(own_redis: RedisServer) -> None:
    async with brief_shadow(own_redis.url) as shadow:
        own_redis.kill()
        since = monotonic()
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1"):
            async with Worker(shadow):
                pass
        assert monotonic() - since < 6
        own_redis.start()
        async with Worker(shadow) as worker:
            await worker.run_until_finished()
