"""One call a heartbeat keeps a node alive in Redis, and tells its master what it must know of its children."""

import msgspec

from shadows import Shadow
from shadows.connection import Link
from shadows.keys import SUSPECTS
from shadows.scripts import RENEW

LEASE_MS = 10_000


async def renew(shadows: Shadow, *children: str, node: str = "node#1") -> list[object]:
    keys = shadows.keys
    names = [keys.leases, keys.workers, keys.nodes, keys.streams[SUSPECTS - 1]]
    link = Link(shadows.server, "test")
    try:
        reply: list[object] = await link.run(RENEW, names, [node, b"\x80", LEASE_MS, *children])
    finally:
        await link.close()
    return reply


async def test_it_renews_the_leases_of_a_master_and_of_its_living_children(shadows: Shadow) -> None:
    async with shadows.redis() as redis:
        await redis.zadd(shadows.keys.leases, {"child#1": 5})
        row = msgspec.msgpack.encode({"running": 3})
        await redis.hset(shadows.keys.workers, "child#1", row)
        now, waiting, told, renewed = await renew(shadows, "child#1")
        assert (waiting, told, renewed) == (0, row, 1)
        assert isinstance(now, int)
        for member in ("node#1", "child#1"):
            lease = await redis.zscore(shadows.keys.leases, member)
            assert lease is not None
            assert now < lease <= now + LEASE_MS


async def test_it_gives_no_lease_to_a_child_that_is_being_taken_over_or_never_joined(shadows: Shadow) -> None:
    """Somebody has begun to give its tasks away: it must notice that it lost them, and join anew."""
    async with shadows.redis() as redis:
        await redis.zadd(shadows.keys.leases, {"taken#1": 0})
        _, _, *rows = await renew(shadows, "taken#1", "unknown#1")
        assert rows == [b"", 0, b"", 0]
        assert await redis.zscore(shadows.keys.leases, "taken#1") == 0
        assert await redis.zscore(shadows.keys.leases, "unknown#1") is None


async def test_it_counts_the_suspects_that_nobody_runs(shadows: Shadow) -> None:
    """New ones, and those whose runner died; not those that run."""
    stream = shadows.keys.suspects
    async with shadows.redis() as redis:
        await redis.xgroup_create(stream, "workers", "0", mkstream=True)
        for number in (1, 2, 3):
            await redis.xadd(stream, {"k": "key"}, id=f"{number}-0")
        await redis.xreadgroup("workers", "alive#1", {stream: ">"}, count=1)
        await redis.xreadgroup("workers", "reclaimed", {stream: ">"}, count=1)
    assert (await renew(shadows))[1] == 2


async def test_the_row_of_a_master_that_is_off_the_books_is_removed(shadows: Shadow) -> None:
    """Each start after a kill left a row for ever, since a living master keeps the hash."""
    async with shadows.redis() as redis:
        await redis.zadd(shadows.keys.leases, {"other#1": 5})
        await redis.hset(shadows.keys.nodes, mapping={"killed#1": b"\x80", "other#1": b"\x80"})
        await renew(shadows)
        assert set(await redis.hkeys(shadows.keys.nodes)) == {b"node#1", b"other#1"}
