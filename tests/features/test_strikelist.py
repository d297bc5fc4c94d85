"""`StrikeList`: the strikes on their own, for code that is no task."""

import pytest

from shadows import Shadow, StrikeList
from shadows.errors import ConnectionFailed, ServerRefused, ShadowsError
from shadows.testing import RedisServer
from tests.proxy import Proxy
from tests.waiting import wait_until


async def send(customer: int) -> None:
    """A task."""


async def test_a_list_knows_the_strikes_that_were_there(shadows: Shadow) -> None:
    await shadows.strike(send)
    await shadows.strike(parameter="customer", operator=">=", value=7)
    async with StrikeList(shadows.name, shadows.settings.url) as strikes:
        assert strikes.name == shadows.name
        assert strikes.is_stricken(send)
        assert strikes.is_stricken("send")
        assert not strikes.is_stricken("receive")
        assert strikes.is_stricken({"customer": 7})
        assert not strikes.is_stricken({"customer": 6, "other": 9})


async def test_an_execution_is_compared_with_its_arguments(shadows: Shadow) -> None:
    await shadows.strike(send, "customer", "==", 7)
    async with StrikeList(shadows.name, shadows.settings.url) as strikes:
        assert strikes.is_stricken(await shadows.add(send)(7))
        assert not strikes.is_stricken(await shadows.add(send)(8))
        assert not strikes.is_stricken(send)


async def test_a_list_hears_of_each_change_at_once(shadows: Shadow) -> None:
    async with StrikeList(shadows.name, shadows.settings.url) as strikes:
        await shadows.strike("anything")
        await wait_until(lambda: strikes.is_stricken("anything"), "the strike is known", 1)
        await shadows.restore("anything")
        await wait_until(lambda: not strikes.is_stricken("anything"), "the strike is lifted", 1)


async def test_a_list_strikes_and_restores(shadows: Shadow) -> None:
    async with StrikeList(shadows.name, shadows.settings.url) as strikes:
        await strikes.strike(send, "customer", "between", (1, 3))
        await shadows.wait_for_strikes_loaded()
        assert (await shadows.add(send)(2)).disposition == "struck"
        assert strikes.is_stricken({"customer": 2}) is False, "it is for one function"
        await strikes.restore(send, "customer", "between", (1, 3))
        await strikes.wait_for_strikes_loaded()
        assert not strikes.is_stricken(await shadows.add(send)(2))


async def test_a_list_that_lost_its_connection_knows_what_it_missed(shadows: Shadow, proxy: Proxy) -> None:
    async with StrikeList(shadows.name, proxy.url) as strikes:
        proxy.cut()
        await shadows.strike("anything")
        await wait_until(lambda: strikes.is_stricken("anything"), "the strike is known")


async def test_a_list_that_is_not_open_says_so(shadows: Shadow) -> None:
    with pytest.raises(ShadowsError, match="async with StrikeList"):
        StrikeList(shadows.name, shadows.settings.url).is_stricken("anything")


async def test_a_list_without_a_server_does_not_open() -> None:
    with pytest.raises(ConnectionFailed):
        await StrikeList("any", "redis://127.0.0.1:1/0").__aenter__()


async def test_a_list_that_may_not_hear_does_not_open(own_redis: RedisServer) -> None:
    """It would not notice a change, and what it says would be of yesterday."""
    own_redis.command("ACL", "SETUSER", "deaf", "reset", "on", ">secret", "~*", "resetchannels", "+@all")
    with pytest.raises(ServerRefused):
        await StrikeList("any", own_redis.url.replace("redis://", "redis://deaf:secret@")).__aenter__()


async def test_a_list_without_a_server_keeps_what_it_knew(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Shadow("any", own_redis.url) as shadows, StrikeList("any", own_redis.url) as strikes:
        await strikes.strike("anything")
        own_redis.kill()
        await wait_until(lambda: not shadows.queries.connected, "the server is gone")
        strikes._hear(None)
        await wait_until(lambda: "those of before hold" in caplog.text, "it says so")
        assert strikes.is_stricken("anything")
