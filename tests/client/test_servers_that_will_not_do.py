"""Servers that are too old, closed to this user, or not ready; and URLs that say more than redis-py understands."""

import asyncio

import pytest
from redis.credentials import UsernamePasswordCredentialProvider

from shadows import Shadow
from shadows.connection import Link, Server
from shadows.errors import ConfigurationError, ConnectionFailed, ServerRefused
from shadows.subscriptions import Subscriptions
from shadows.testing import RedisServer
from tests.waiting import wait_until

REPLIES = {b"INFO": b"$36\r\n# Server\r\nredis_version:6.0.16\r\nos:Li\r\n"}


async def old_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a Redis of 2020 answers: nobody has one to run any more."""
    try:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2])
            writer.write(REPLIES.get(words[0].upper(), b"+OK\r\n"))
    finally:
        writer.close()


async def test_a_server_that_is_too_old_is_refused_with_its_version() -> None:
    """Its scripts would fail one by one, each in other words."""
    listening = await asyncio.start_server(old_server, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        link = Link(Server(f"redis://:secret@127.0.0.1:{port}/0"), "test")
        with pytest.raises(ConfigurationError, match=r"is Redis 6\.0\.16; shadows needs 6\.2 or newer") as refused:
            await link.call("PING")
        assert f"redis://:***@127.0.0.1:{port}/0" in str(refused.value)
        assert not link.connected


async def test_an_option_of_the_url_that_can_not_be_read_is_named_and_the_password_is_not() -> None:
    server = Server("redis://:secret@127.0.0.1:1/0?health_check_interval=often")
    with pytest.raises(ConfigurationError, match="health_check_interval") as refused:
        await server.connect("test")
    assert str(refused.value).startswith("The URL 'redis://:***@127.0.0.1:1/0?health_check_interval=often' can't be")
    assert "secret" not in str(refused.value)


async def test_credentials_may_come_from_a_provider(own_redis: RedisServer) -> None:
    """Those of a cloud change by the hour, and can't be in a URL."""
    own_redis.command("ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "&*", "+@all")
    provider = UsernamePasswordCredentialProvider("worker", "secret")
    async with Shadow("orders", own_redis.url, credential_provider=provider) as shadow:
        assert await shadow.queries.call("ACL", "WHOAMI") == b"worker"
        async with shadow.redis() as redis:
            assert await redis.acl_whoami() == "worker"


@pytest.mark.parametrize(("password", "words"), [("", "Authentication required"), (":wrong@", "invalid username-pass")])
async def test_a_server_that_wants_another_password_says_so(own_redis: RedisServer, password: str, words: str) -> None:
    """It was called out of reach, which it was not, and nobody was told that the URL takes a password."""
    own_redis.config("requirepass", "secret")
    link = Link(Server(own_redis.url.replace("redis://", f"redis://{password}")), "test")
    with pytest.raises(ConnectionFailed, match=rf"this user in: {words}.*\. Put the password into the URL") as said:
        await link.call("PING")
    assert "could not be reached" not in str(said.value)
    await link.close()


async def test_a_replica_without_its_primary_refuses_and_is_not_out_of_reach(own_redis: RedisServer) -> None:
    """Who reads that Redis could not be reached looks at the network, in vain."""
    link = Link(Server(own_redis.url), "test")
    await link.call("PING")
    own_redis.config("replica-serve-stale-data", "no")
    own_redis.command("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(ServerRefused, match="MASTERDOWN"):
        await link.call("GET", "key")
    own_redis.command("REPLICAOF", "NO", "ONE")
    assert await link.call("GET", "key") is None
    await link.close()


async def test_a_server_that_reads_its_data_back_in_refuses_and_is_not_out_of_reach(own_redis: RedisServer) -> None:
    """It is there, and whoever waits a little is served; redis-py calls this a lost connection."""
    link = Link(Server(own_redis.url), "test")
    # It looks at its connections after each 2 MB; slowly, so that one of those is seen.
    for number in range(10):
        await link.call("SETRANGE", f"key {number}", 1 << 20, "end")
    own_redis.config("rdbcompression", "no")
    own_redis.config("key-load-delay", 50_000)
    reloading = asyncio.create_task(asyncio.to_thread(own_redis.command, "DEBUG", "RELOAD"))

    async def told() -> str:
        try:
            await link.call("EXISTS", "key 9", seconds=30)
        except ServerRefused as refusal:
            return str(refusal)
        return ""

    words = await wait_until(told, "it loads")
    assert "refused the call: LOADING Redis is loading the dataset in memory. Nothing was written." in words
    assert await reloading == "OK"
    assert await link.call("EXISTS", "key 9") == 1
    await link.close()


def test_a_link_that_meets_a_second_loop_opens_a_connection_there(shadows_url: str) -> None:
    """The socket is watched by the first loop: an answer to the second would never arrive."""
    link = Link(Server(shadows_url), "test")
    with asyncio.Runner() as first, asyncio.Runner() as second:
        number = first.run(link.call("CLIENT", "ID"))
        connection = link._connection
        assert connection is not None
        assert second.run(link.call("CLIENT", "ID")) != number
        assert link._connection is not connection
        assert connection.is_connected
        first.run(connection.disconnect(nowait=True))
        second.run(link.close())


async def test_a_channel_that_this_user_may_not_hear_is_a_refusal(own_redis: RedisServer) -> None:
    """Redis 8 answers in the same way when it is out of memory. It was waited for until the time was over, and then
    called out of reach."""
    own_redis.command("ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "resetchannels", "+@all")
    url = own_redis.url.replace("redis://", "redis://worker:secret@")
    subscriptions = Subscriptions(Server(url), "test")
    heard: list[bytes | None] = []
    with pytest.raises(ServerRefused, match=r"NOPERM .*\. Nothing was written\. Allow it to this user"):
        await subscriptions.add("channel", heard.append)
    assert subscriptions._listeners == {}
    own_redis.command("ACL", "SETUSER", "worker", "allchannels")
    await subscriptions.add("channel", heard.append)
    own_redis.command("PUBLISH", "channel", "hello")
    await wait_until(lambda: b"hello" in heard, "the message came")
    await subscriptions.close()
