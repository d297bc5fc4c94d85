"""Redis answers, but takes no writes: `add` says so at once, and work goes on when it takes them again."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis.exceptions import RedisError

from shadows import Shadow, Worker
from shadows.errors import ServerRefused
from shadows.testing import RedisServer
from tests.faults.conftest import LEASE_SECONDS, Starter, brief_shadow
from tests.faults.test_outages import passed, told
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_for, wait_until

type Fault = Callable[[RedisServer], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def read_only(server: RedisServer) -> Iterator[None]:
    """A failover left this server as a replica of one that is gone."""
    server.command("REPLICAOF", "127.0.0.1", "1")
    yield
    server.command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def out_of_memory(server: RedisServer) -> Iterator[None]:
    with server.configured("maxmemory", 1):
        yield


@contextlib.contextmanager
def disk_is_full(server: RedisServer) -> Iterator[None]:
    """Redis takes no more of what it could not save."""
    obstacle = server.directory / "dump.rdb"
    obstacle.mkdir()
    with server.configured("save", "3600 1"):
        server.command("BGSAVE")
        wait_for(lambda: refuses(server), "the background save has failed")
        yield
        obstacle.rmdir()
        server.command("BGSAVE")
        wait_for(lambda: not refuses(server), "the background save has worked")


@contextlib.contextmanager
def no_replicas(server: RedisServer) -> Iterator[None]:
    with server.configured("min-replicas-to-write", 1):
        yield


def refuses(server: RedisServer) -> bool:
    """Whether the server takes no writes now."""
    try:
        server.command("SET", "unrelated", "1", "PX", "1")
    except RedisError:
        return True
    return False


FAULTS = [(read_only, "READONLY"), (out_of_memory, "OOM"), (disk_is_full, "MISCONF"), (no_replicas, "NOREPLICAS")]
each_fault = pytest.mark.parametrize(("fault", "word"), FAULTS, ids=[word for _, word in FAULTS])


@pytest.fixture
async def shadow(own_redis: RedisServer) -> AsyncIterator[Shadow]:
    async with brief_shadow(own_redis.url) as shadow:
        yield shadow


@each_fault
async def test_everybody_who_writes_is_told_why(
    fault: Fault, word: str, shadow: Shadow, own_redis: RedisServer
) -> None:
    scheduled = shadow.call(rest, key="a")("", "a")
    await shadow.add_many([scheduled])
    with fault(own_redis):
        with pytest.raises(ServerRefused, match=f"127.0.0.1.*{word}"):
            await shadow.add(rest)("", "b")
        (failed,) = await shadow.add_many([shadow.call(rest)("", "c")])
        assert isinstance(failed.schedule_exception, ServerRefused)
        with pytest.raises(ServerRefused, match=word):
            await shadow.strike("rest")
        execution = await shadow.get_execution("a")
        assert execution is not None
        assert (await shadow.snapshot()).ready_count == 1
    await shadow.add(rest)("", "b")
    assert await shadow.clear() == 2


@each_fault
async def test_work_goes_on_when_writes_are_taken_again(
    fault: Fault, word: str, shadow: Shadow, own_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    workers = [start_worker(shadow, name=name) for name in ("one", "two")]
    held = [await shadow.add(hold, key=f"h{n}")(str(journal), f"h{n}", "gate") for n in range(6)]
    ending = [await shadow.add(hold, key=f"e{n}")(str(journal), f"e{n}", "early gate") for n in range(6)]
    await wait_until(lambda: len(journal.count("start")) == 12, "the tasks run")
    with fault(own_redis):
        journal.open_gate("early gate")
        await wait_until(passed(3 * LEASE_SECONDS), "the fault outlasts every lease")
    assert [await each.get_result(timeout=5) for each in ending] == [f"e{n}" for n in range(6)]
    later = await shadow.add(rest)(str(journal), "later")
    assert await later.get_result(timeout=5) == "later"
    await wait_until(passed(2 * LEASE_SECONDS), "a take-over of the living would have come")
    journal.open_gate("gate")
    assert [await each.get_result(timeout=5) for each in held] == [f"h{n}" for n in range(6)]
    assert set(journal.count("start").values()) == {1}
    expected = (0, 0) if word == "OOM" else (1, 1)
    for worker in workers:
        await wait_until(lambda: told(worker) == expected, f"the outage was told: {told(worker)}")  # noqa: B023
        assert "reclaimed" not in worker.output
        assert "joins again" not in worker.output


async def test_what_is_queued_is_worked_off_though_redis_is_out_of_memory(
    shadow: Shadow, own_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    """Only the workers can make room again: were they refused as well, a full Redis would stay full."""
    added = await shadow.add_many([shadow.call(rest)(str(journal), f"k{n}") for n in range(100)])
    worker = start_worker(shadow)
    with out_of_memory(own_redis):
        for each in added:
            assert (await each.get_result(timeout=5)).startswith("k")
    assert told(worker) == (0, 0)


@each_fault
async def test_a_worker_that_can_not_join_says_why(
    fault: Fault, word: str, shadow: Shadow, own_redis: RedisServer
) -> None:
    with fault(own_redis), pytest.raises(ServerRefused, match=word):
        async with Worker(shadow):
            pass
