"""Every behaviour at once, through each kind of damage: nothing is lost, no limit is exceeded, nothing stays behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shadows import Shadow
from tests.faults.life import COUNTS, LABELS, SLOTS, Life, usual_end
from tests.faults.test_damage import GARBAGE
from tests.features.workers import working
from tests.recorded import Journal


@asynccontextmanager
async def two_workers(shadow: Shadow) -> AsyncIterator[None]:
    async with working(shadow, concurrency=SLOTS), working(shadow, concurrency=SLOTS):
        yield


@pytest.fixture
def life(brief: Shadow, journal: Journal) -> Life:
    return Life(brief, journal)


async def test_a_life_without_a_fault(life: Life) -> None:
    """What the others are compared with."""
    async with two_workers(life.shadow):
        await life.begin()
        await life.is_full()
        ends = await life.end()
        life.check_ends(ends)
        life.check_limits()
        life.check_runs()
        life.check_followed()
        await life.check_nothing_is_left()


async def garble(life: Life, stream: str) -> None:
    """Puts every kind of garbage where executions of all kinds are."""
    async with life.shadow.redis() as redis:
        for kind, fields in GARBAGE.items():
            # An entry of so many fields is set aside before it is parked.
            if ":" in stream and kind == "many fields":
                continue
            # As if it were of a key that lives, and of one that does not.
            for key in (b"limited0", b"nobody"):
                named = fields | ({b"k": key} if b"k" in fields else {})
                await redis.xadd(life.shadow.keys.prefix + stream, dict(named))


STREAMS = ["stream", "returned", "suspects", "paused:pausable", "unknown:newcomer"]


@pytest.mark.parametrize("stream", STREAMS)
async def test_garbage_beside_all_behaviours(life: Life, stream: str) -> None:
    """Wherever it lies, only it is set aside."""
    async with two_workers(life.shadow):
        await life.begin()
        await life.is_full()
        if stream in ("returned", "suspects"):
            async with life.shadow.redis() as redis:
                await redis.xgroup_create(life.shadow.keys.prefix + stream, "workers", "0", mkstream=True)
        await garble(life, stream)
        ends = await life.end()
        life.check_ends(ends)
        life.check_limits()
        life.check_runs()
        life.check_followed()
        await life.check_nothing_is_left()


@pytest.mark.parametrize("kind", ["pausable", "newcomer", "limited"])
async def test_an_entry_with_more_than_a_script_can_take_is_set_aside(life: Life, kind: str) -> None:
    """Somebody else wrote it, and gave it the name of a function that is paused, unknown, or limited."""
    async with two_workers(life.shadow):
        await life.begin()
        await life.is_full()
        async with life.shadow.redis() as redis:
            ((_, waiting), *_) = await redis.xrange(life.shadow.keys.waiting)
            fields: dict[bytes, bytes] = {b"k": b"strange", b"f": kind.encode(), b"p": waiting[b"p"]}
            await redis.xadd(life.shadow.keys.stream, dict(GARBAGE["many fields"] | fields))
            await redis.xadd(life.shadow.keys.stream, dict(fields | GARBAGE["many fields"]))
        ends = await life.end()
        life.check_ends(ends)
        life.check_limits()
        await life.check_nothing_is_left()
        assert len(await life.shadow.quarantine()) == 4


async def rewrite(life: Life, stream: str, change: Callable[[bytes, Any], Any]) -> None:
    """Writes each entry anew, in its place and with its id, as `change` gives it for its key."""
    name = life.shadow.keys.prefix + stream
    async with life.shadow.redis() as redis, redis.pipeline(transaction=True) as pipe:
        pipe.delete(name)
        for id, fields in await redis.xrange(name):
            pipe.xadd(name, change(fields[b"k"], fields), id=id)
        await pipe.execute()


@pytest.mark.parametrize(
    "payload", [b"", b"\x01\x00\xc1\xc1", b"\x01\x00\x92\x91\x01\x80"], ids=["none", "damaged", "wrong"]
)
async def test_one_damaged_payload_of_each_behaviour(life: Life, payload: bytes) -> None:
    """The first of each kind, before a worker has seen it: it ends, and holds up none of the others."""
    await life.begin()
    damaged = {f"{kind}0" for kind in COUNTS}

    def damage(key: bytes, fields: Any) -> Any:
        return fields | ({b"p": payload} if key.decode() in damaged else {})

    await rewrite(life, "stream", damage)
    async with two_workers(life.shadow):
        await life.let_go()
        ends = await life.end()
        life.check_ends(
            ends,
            **{label: ["quarantined", "failed", "cancelled"] for label in damaged},
            cooled=["completed", "cancelled"],
        )
        assert not damaged & set(life.journal.count("start"))
        life.check_limits()
        await life.check_nothing_is_left()
        await every_key_is_free(life)


async def every_key_is_free(life: Life) -> None:
    """All of them run, when they are added again."""
    for label in LABELS:
        again = await life.submit(label, as_label=f"again{label}")
        assert again.disposition == "scheduled", label
        life.executions[label] = again
    ends = await life.end()
    # The window of the first life lasts.
    life.check_ends(ends, cooled=["completed", "cancelled"], debounced=["completed", "cancelled"])
    life.check_limits()
    await life.check_nothing_is_left()


async def forget_all(life: Life) -> None:
    """Deletes the records of all keys."""
    async with life.shadow.redis() as redis:
        await redis.delete(*(life.shadow.keys.record(life.key_of(label)) for label in LABELS))


def may_be_gone(life: Life, ends: dict[str, str]) -> None:
    """Whoever asked before it ended was told that nothing is known of it; nobody was told another end."""
    unusual = {label: ["gone", usual_end(label)] for label in LABELS}
    life.check_ends(ends, **unusual)


async def test_all_records_are_lost_before_anything_ran(life: Life) -> None:
    """Their entries are whole, and run."""
    await life.begin()
    await forget_all(life)
    async with two_workers(life.shadow):
        await life.let_go()
        ends = await life.end()
        may_be_gone(life, ends)
        life.check_limits()
        await life.check_nothing_is_left()
        await every_key_is_free(life)


async def test_all_records_are_lost_while_all_run_or_wait(life: Life) -> None:
    async with two_workers(life.shadow):
        await life.begin()
        await life.is_full()
        await forget_all(life)
        ends = await life.end()
        may_be_gone(life, ends)
        # Steps are kept in the record.
        life.check_runs(taken=2)
        life.check_limits()
        await life.check_nothing_is_left()
        await every_key_is_free(life)


@pytest.mark.parametrize("field", ["p", "f", "s"])
async def test_what_is_scheduled_loses_a_part_of_its_record_again_and_again(life: Life, field: str) -> None:
    """Retries, next runs, and what a limit put off, each as soon as it is scheduled: it ends in the quarantine."""
    await life.begin()
    await life.let_go()
    lost: set[str] = set()

    async def lose() -> None:
        async with life.shadow.redis() as redis:
            while True:
                for key in await redis.zrange(life.shadow.keys.schedule, 0, -1):
                    if await redis.hdel(life.shadow.keys.record(key.decode()), field):
                        lost.add(key.decode())

    async with two_workers(life.shadow):
        losing = asyncio.create_task(lose())
        ends = await life.end()
        losing.cancel()
        life.check_ends(ends, **{label: ["quarantined", "gone", usual_end(label)] for label in lost})
        assert len(lost) > 5
        life.check_limits()
        await life.check_nothing_is_left()
        await every_key_is_free(life)
