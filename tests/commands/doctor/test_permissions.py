"""May a Redis user do what a worker does? Asked of real servers, with real users."""

import re
from collections.abc import Iterator

import pytest
import redis
from redis.asyncio import Redis

from shadows.keys import Keys
from shadows.scripts import LUA
from shadows.testing import RedisServer
from shadowsd.commands.doctor.finding import Finding, Level
from shadowsd.commands.doctor.permissions import finding, samples
from tests.servers import programs

KEYS = Keys("orders")
ALL_OF_IT = ("on", ">secret", "~{orders}:*", "resetchannels", "&{orders}:*", "+@all")


@pytest.fixture(params=programs().values(), ids=map(str, programs()))
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One of each version that is here: each says it in other words."""
    with RedisServer(tcp=True, program=request.param) as server:
        yield server


async def seen_by(server: RedisServer, *rules: str) -> Finding:
    """What a user with these rules is told."""
    with redis.Redis.from_url(server.url) as administrator:
        administrator.execute_command("ACL", "SETUSER", "worker", "reset", *rules)
    url = server.url.replace("redis://", "redis://worker:secret@")
    async with Redis.from_url(url) as client:
        return await finding(client, KEYS)


async def test_a_user_who_may_use_the_shadows_keys_may_work(server: RedisServer) -> None:
    assert (await seen_by(server, *ALL_OF_IT)).level is Level.OK
    with redis.Redis.from_url(server.url) as administrator:
        assert administrator.keys("*") == []


async def test_each_command_that_is_refused_is_named(server: RedisServer) -> None:
    found = await seen_by(server, *ALL_OF_IT, "-xclaim", "-client", "-subscribe")
    assert found.level is Level.FAIL
    assert "CLIENT ID, CLIENT KILL, CLIENT LIST, CLIENT UNBLOCK, SUBSCRIBE, XCLAIM:" in found.words
    assert "~{orders}:* &{orders}:*" in found.remedy


async def test_a_user_of_other_keys_is_told_so(server: RedisServer) -> None:
    found = await seen_by(server, "on", ">secret", "~{invoices}:*", "+@all")
    assert found.level is Level.FAIL
    assert "may not use the keys" in found.words


def test_every_command_of_our_scripts_is_tried() -> None:
    """A script that learns a command must not be allowed by a doctor who does not know it."""
    called = {
        tuple(part for part in found if part.isupper() and part != "GROUP")
        for path in LUA.glob("*.lua")
        for found in re.findall(r"call\('([A-Z]+)'(?:, '([A-Z]+)')?", path.read_text())
    }
    tried = {(sample[0],) for sample in samples("k", KEYS)} | {tuple(sample[:2]) for sample in samples("k", KEYS)}
    assert called <= tried
