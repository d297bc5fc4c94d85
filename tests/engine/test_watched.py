"""Keys whose runs a worker announces."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shadows import Shadow
from shadowsd.engine.membership import Membership
from shadowsd.engine.watched import MOST_WATCHED, Watched
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import entry_of, link_of


@pytest.fixture
async def through(shadows: Shadow, proxy: Proxy) -> AsyncIterator[Shadow]:
    async with Shadow(name=shadows.name, url=proxy.url) as shadow:
        yield shadow


async def heard(shadow: Shadow, key: str) -> list[bytes]:
    """What is said of a key from now on."""
    said: list[bytes] = []
    await shadow.subscriptions.add(shadow.keys.events(key), lambda message: said.append(message or b"gap"))
    return said


async def test_whoever_asks_for_more_pushes_the_oldest_out(shadows: Shadow) -> None:
    watched = Watched(link_of(shadows), shadows.keys, Membership("w"))
    for number in range(MOST_WATCHED + 1):
        watched.watch(str(number).encode())
    oldest, newest = await heard(shadows, "0"), await heard(shadows, str(MOST_WATCHED))
    watched.begins(entry_of("0"))
    watched.begins(entry_of(str(MOST_WATCHED)))
    await wait_until(lambda: newest, "the newest is told of")
    assert newest == [b"1000 running"]
    assert oldest == []


async def test_without_redis_nothing_is_announced_and_nothing_breaks(
    shadows: Shadow, through: Shadow, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of the run is told of by its outcome."""
    caplog.set_level("DEBUG", "shadows.worker")
    membership = Membership("w")
    watched = Watched(link_of(through), through.keys, membership)
    watched.watch(b"key")
    said = await heard(shadows, "key")
    proxy.refuse()
    proxy.cut()
    watched.begins(entry_of("key"))
    await wait_until(lambda: "The start of 'key' was not announced" in caplog.text, "the log says so")
    await watched.catch_up()
    assert "Reading which keys are followed failed" in caplog.text
    proxy.accept()
    await shadows.queries.call("ZADD", shadows.keys.watched, 9e15, "other")
    await watched.catch_up()
    other = await heard(shadows, "other")
    watched.begins(entry_of("other"))
    await wait_until(lambda: other, "what was asked for meanwhile is told of")
    assert said == []
    await asyncio.wait_for(membership.finish_side_work(), 5)
