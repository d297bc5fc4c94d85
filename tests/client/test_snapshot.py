"""Looking at everything survives whatever lies there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shadows import Shadow
from shadows.snapshot import PAGE, entry_row, worker_info
from tests.features.workers import working
from tests.waiting import wait_until


async def job() -> None: ...


async def test_garbage_everywhere_is_shown_as_what_it_is(shadows: Shadow) -> None:
    """In the stream, in the schedule, among the workers: a "?" or an escape, never an error."""
    keys = shadows.keys
    await shadows.add(job, when=timedelta(hours=1), key="whole")()
    async with shadows.redis() as redis:
        await redis.xadd(keys.stream, {"hello": "world"})
        await redis.xadd(keys.stream, {b"k": b"\xff", b"f": b"\xfe"})
        await redis.zadd(keys.schedule, {b"\xff": 1, "far": 1e18, "typed": 2})
        await redis.set(keys.record("typed"), "something else")
        await redis.hset(keys.workers, mapping={b"\xff#1": b"\xff", "number#1": msgspec.msgpack.encode(5)})
        await redis.zadd(keys.leases, {b"\xff#1": 9e15, "number#1": 9e15})
        snapshot = await shadows.snapshot()
        await redis.delete(keys.record("typed"), keys.leases, keys.workers)
    assert [(row.key, row.function_name) for row in snapshot.queued] == [("?", "?"), ("\\xff", "\\xfe")]
    assert {(row.key, row.function_name) for row in snapshot.scheduled} == {
        ("\\xff", "?"),
        ("typed", "?"),
        ("whole", "job"),
        ("far", "?"),
    }
    assert snapshot.scheduled[-1].when == datetime.max.replace(tzinfo=UTC)
    assert [worker.name for worker in snapshot.workers] == ["\\xff", "number"]


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\xff", msgspec.msgpack.encode([1]), msgspec.msgpack.encode({"pid": "x"})]
)
def test_a_beat_that_can_not_be_read_leaves_the_name(body: bytes) -> None:
    """A worker lives, whatever it says of itself."""
    row = worker_info("w#1", body, body)
    assert (row.name, row.host, row.pid, row.tasks) == ("w", "?", 0, ())


def test_a_beat_of_a_newer_release_may_say_more() -> None:
    """What is known of it is shown."""
    row = worker_info("w#1", msgspec.msgpack.encode({"host": "h", "mood": "good"}), msgspec.msgpack.encode(["a"]))
    assert (row.host, row.tasks) == ("h", ("a",))


@pytest.mark.parametrize(
    ("held", "state", "worker", "deliveries"),
    [
        (None, "queued", None, 0),
        (("w#1", 500.0, 1), "running", "w", 1),
        (("reclaimed", 500.0, 2), "queued", None, 2),
    ],
)
def test_a_row_tells_who_holds_its_entry(held: Any, state: str, worker: str | None, deliveries: int) -> None:
    """What was taken from the dead waits again."""
    row = entry_row(b"1000000-0", [b"k", b"key", b"f", b"job"], held, 2000.0)
    assert (row.key, row.state, row.worker, row.deliveries) == ("key", state, worker, deliveries)
    assert row.when == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    started = datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC) if worker else None
    assert row.started_at == started


async def test_the_names_of_many_scheduled_tasks_are_read_page_by_page(shadows: Shadow) -> None:
    """Redis is never held up by one script; each row gets its own name."""

    async def other() -> None: ...

    calls = [
        shadows.call(job if n % 2 else other, when=timedelta(hours=1, seconds=n))() for n in range(PAGE + PAGE // 2)
    ]
    await shadows.add_many(calls)
    rows = (await shadows.snapshot()).scheduled
    assert [row.function_name for row in rows] == ["job" if n % 2 else "other" for n in range(len(calls))]


async def test_a_worker_whose_lease_is_over_is_not_listed(shadows: Shadow) -> None:
    """Its last beat may still be there."""
    async with working(shadows, name="w"):
        await wait_until(shadows.workers, "the worker is listed")
        async with shadows.redis() as redis:
            for consumer in await redis.zrange(shadows.keys.leases, 0, -1):
                await redis.zadd(shadows.keys.leases, {consumer: 1})
        assert await shadows.workers() == []


async def test_a_stream_that_goes_while_it_is_looked_at_shows_nothing(
    shadows: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams of what returned or waited are deleted with their last entry; that was an error of the snapshot."""
    ask = shadows.queries.ask
    async with shadows.redis() as redis:
        await redis.xadd(shadows.keys.returned, {"k": "key"}, id="1-0")

        async def ask_and_delete(*command: Any) -> Any:
            answer = await ask(*command)
            if command[:2] == ("XRANGE", shadows.keys.returned):
                await redis.delete(shadows.keys.returned)
            return answer

        monkeypatch.setattr(shadows.queries, "ask", ask_and_delete)
        assert (await shadows.snapshot()).queued == []
