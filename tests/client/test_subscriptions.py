"""One pub/sub connection serves all who wait in a process."""

import asyncio

import pytest

from shadows import Shadow
from shadows.errors import ConnectionFailed
from shadows.subscriptions import Subscriptions
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until


async def double(number: int) -> int:
    return 2 * number


async def test_many_who_begin_to_wait_at_once_share_one_connection(shadows: Shadow) -> None:
    """The example of the README waited for eight results at once, and each opened a connection: the last one
    was read by eight readers, and seven of them fell over each other when the shadow closed."""
    executions = [await shadows.add(double)(number) for number in range(20)]
    waiting = [asyncio.create_task(execution.get_result(timeout=10)) for execution in executions]
    await wait_until(lambda: connections(shadows), "somebody waits")
    async with working(shadows):
        assert await asyncio.gather(*waiting) == [2 * number for number in range(20)]
        assert await connections(shadows) == ["shadows:results"]


async def test_one_channel_may_have_several_listeners(shadows: Shadow) -> None:
    """The first to leave must not take the others' messages with it."""
    execution = await shadows.add(double)(21)
    first = asyncio.create_task(execution.get_result(timeout=10))
    others = [asyncio.create_task(execution.get_result(timeout=10)) for _ in range(3)]
    await wait_until(lambda: connections(shadows), "somebody waits")
    first.cancel()
    async with working(shadows):
        assert await asyncio.gather(*others) == [42, 42, 42]
    assert first.cancelled()


async def connections(shadows: Shadow) -> list[str]:
    """The names of the server's connections that wait for results."""
    async with shadows.redis() as client:
        return [row["name"] for row in await client.client_list() if row["name"] == "shadows:results"]


class Ear:
    """A listener and what it heard; None stands for a gap."""

    def __init__(self) -> None:
        self.heard: list[bytes | None] = []

    def hear(self, message: bytes | None) -> None:
        self.heard.append(message)


async def test_who_listens_is_told_of_a_gap_and_hears_what_comes_after_it(shadows: Shadow, proxy: Proxy) -> None:
    """What was said in between is lost, so that the listener must look for itself."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, shadows.redis() as redis:
        ear, subscriptions = Ear(), Subscriptions(through.server, "test")
        await subscriptions.add("channel", ear.hear)
        await redis.publish("channel", "before")
        await wait_until(lambda: ear.heard == [b"before"], "the first message came")
        proxy.cut()
        await wait_until(lambda: ear.heard[1:] == [None], "the gap was told")

        async def is_heard() -> bool:
            await redis.publish("channel", "after")
            return b"after" in ear.heard

        await wait_until(is_heard, "messages come again")
        await subscriptions.close()


async def test_a_server_that_does_not_confirm_is_out_of_reach(
    shadows: Shadow, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listening without an answer would be waiting for ever; the channel is given up again."""
    monkeypatch.setattr("shadows.subscriptions.CALL_SECONDS", 0.2)
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        ear, subscriptions = Ear(), Subscriptions(through.server, "test")
        await subscriptions.add("first", ear.hear)
        proxy.black_hole()
        with pytest.raises(ConnectionFailed, match="could not be reached"):
            await subscriptions.add("second", ear.hear)
        assert list(subscriptions._listeners) == [b"first"]
        proxy.resume()
        await subscriptions.close()


async def test_a_connection_that_is_silent_is_asked_and_stays_when_it_answers(
    shadows: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is the usual state of a channel."""
    monkeypatch.setattr("shadows.subscriptions.SILENCE_SECONDS", 0.05)
    ear, subscriptions = Ear(), Subscriptions(shadows.server, "test")
    await subscriptions.add("channel", ear.hear)
    async with shadows.redis() as redis:
        before = (await redis.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"]

        async def was_asked_twice() -> bool:
            return (await redis.info("commandstats"))["cmdstat_ping"]["calls"] >= before + 2

        await wait_until(was_asked_twice, "the server was asked twice")
    assert ear.heard == []
    await subscriptions.close()


async def test_a_connection_that_does_not_answer_is_made_anew(
    shadows: Shadow, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that lost its table breaks nothing, and passes nothing on."""
    monkeypatch.setattr("shadows.subscriptions.SILENCE_SECONDS", 0.05)
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        ear, subscriptions = Ear(), Subscriptions(through.server, "test")
        await subscriptions.add("channel", ear.hear)
        first = subscriptions._connection
        proxy.black_hole()
        await wait_until(lambda: subscriptions._connection is not first, "the connection was given up")
        proxy.resume()
        await wait_until(lambda: None in ear.heard, "the gap was told")
        await subscriptions.close()


async def test_a_listener_with_a_bug_does_not_end_the_listening(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody may publish anything."""
    ear, subscriptions = Ear(), Subscriptions(shadows.server, "test")

    def deaf(message: bytes | None) -> None:
        raise LookupError("a bug")

    await subscriptions.add("channel", deaf)
    await subscriptions.add("channel", ear.hear)
    async with shadows.redis() as redis:
        await redis.publish("channel", "hello")
    await wait_until(lambda: ear.heard == [b"hello"], "the other one heard it")
    assert "could not be handled" in caplog.text
    await subscriptions.close()


async def test_sending_over_a_connection_that_just_broke_is_left_to_the_reader(shadows: Shadow, proxy: Proxy) -> None:
    """It notices, and asks for everything again."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, shadows.redis() as redis:
        ear, subscriptions = Ear(), Subscriptions(through.server, "test")
        await subscriptions.add("first", ear.hear)
        assert subscriptions._connection is not None
        subscriptions._connection._writer.transport.abort()
        await asyncio.gather(*[subscriptions.add(f"channel {n}", ear.hear) for n in range(3)])

        async def is_heard() -> bool:
            await redis.publish("channel 2", "hello")
            return b"hello" in ear.heard

        await wait_until(is_heard, "messages come")
        await subscriptions.close()
