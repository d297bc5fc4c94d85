"""A lost reply of any call that a worker and a client make changes nothing."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import cycle

import pytest

from shadows import ConcurrencyLimit, Disposition, Once, Retry, Shadow
from shadows.connection import Link
from shadows.execution import ExecutionProgress
from shadows.priorities import PRIORITIES, Priority
from shadows.why import read_why
from shadowsd.observe.depths import DepthGauge, Depths
from tests.faults.conftest import SCRIPTS, runs
from tests.features.workers import finish, working
from tests.proxy import Proxy, named
from tests.recorded import Journal, fail_twice, repeat, rest, write
from tests.waiting import wait_until

# Giving a quarantined entry back is not repeated by itself: whoever asked for it sees the error, and the entry.
# Neither is a part of this life: a person requeues, a master renews, and tests move the clock forward.
CALLS = [each.name for each in SCRIPTS if each.name not in ("requeue", "renew", "forward")]


COMMANDS = ["XREADGROUP", "XPENDING", "XRANGE", "XGROUP", "CLIENT", "HGET", "HSET", "HGETALL", "EXISTS"]
# The calls by which executions of several priorities are handed out.
OF_PRIORITIES = ["XREADGROUP", "XPENDING", "XRANGE", "XGROUP", "claim", "submit", "settle", "promote", "takeover"]

NORMAL: list[Priority] = ["normal"]
ALL: list[Priority] = [*PRIORITIES]


@pytest.mark.parametrize(
    ("name", "priorities"),
    [*((name, NORMAL) for name in [*COMMANDS, *CALLS]), *((name, ALL) for name in OF_PRIORITIES)],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}",
)
async def test_a_lost_reply_of_any_call_changes_nothing(
    name: str, priorities: list[Priority], far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    """Everything that a worker and a client do, once, with two replies of one of their calls lost."""
    script = next((each for each in SCRIPTS if each.name == name), None)
    order = proxy.lose_replies(where=runs(script) if script else named(name), count=2)
    await prepare_trouble(near, str(journal), priorities)
    assert (await read_why(far, "k5")).before is not None
    async with working(far) as worker:
        await wait_until(lambda: parked(near), "the entry of the unknown function is parked")
        far.register(late)
        expected = {f"k{n}": 1 for n in range(20)} | {"retried": 3, "perpetual": 4, "lost": 1, "due": 1, "late": 1}
        expected |= {"limited 1": 1, "limited 2": 1, "step": 2, "charge": 1, "ship": 1}
        await wait_until(lambda: journal.count("start") >= Counter(expected), "everything has run")
        await use_client(far, str(journal))
        await wait_until(lambda: worker.slots.idle, "nothing runs any more")
        assert worker.settler.fenced == 0
    await finish(far)
    assert order.lost > 0
    assert journal.count("start") == expected | {"used": 1}
    assert [entry.key for entry in await near.quarantine()] == ["damaged"]
    left = await near.snapshot()
    assert (left.total, left.workers) == (0, [])


async def late(journal: str, label: str) -> None:
    """A function that the worker does not know when its entry comes."""
    write(journal, "start", label)


async def limited(journal: str, label: str, limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=1)) -> None:
    """One at a time: the second waits at the gate until it opens."""
    write(journal, "start", label)
    await asyncio.sleep(0.05)


async def step(
    journal: str, once: Once = Once(), orders: Once = Once(scope="orders"), retry: Retry = Retry(attempts=2)
) -> None:
    """Takes two steps, and finds them at its second attempt."""
    write(journal, "start", "step")
    await once("charge", write, journal, "start", "charge")
    await orders("ship", write, journal, "start", "ship")
    if retry.attempt == 1:
        raise ValueError


async def prepare_trouble(near: Shadow, journal: str, priorities: list[Priority]) -> None:
    """Work of every kind, also that of a dead worker, of an unknown function, and without its payload."""
    async with near.redis() as redis:
        await near.add(rest, key="lost")(journal, "lost")
        await redis.xgroup_create(near.keys.stream, "workers", "0")
        await redis.xreadgroup("workers", "gone#1", {near.keys.stream: ">"})
        await redis.zadd(near.keys.leases, {"gone#1": 1})
    await near.add("late")(journal, "late")
    of = cycle(priorities)
    calls = [near.call(rest, key=f"k{n}", priority=next(of))(journal, f"k{n}") for n in range(20)]
    await near.add_many(calls)
    await near.add_many([near.call(limited, priority=next(of))(journal, f"limited {n}") for n in (1, 2)])
    await near.add(step)(journal)
    await near.add(fail_twice, key="retried", priority=priorities[-1])(journal, "retried")
    await near.add(repeat, key="perpetual")(journal, "perpetual", 4)
    await near.add(rest, key="due", when=timedelta(milliseconds=200))(journal, "due")
    await near.add(rest, key="damaged", when=timedelta(milliseconds=100))(journal, "damaged")
    async with near.redis() as redis:
        await redis.hset(near.keys.record("damaged"), "p", b"\0garbage")


async def parked(shadow: Shadow) -> bool:
    """Whether something waits for a worker that knows its function."""
    return (await shadow.snapshot()).unknown_count == 1


async def use_client(far: Shadow, journal: str) -> None:
    """Every other call that a client makes, and what is asked for metrics."""
    await far.add(rest, key="later", when=timedelta(hours=1))(journal, "never")
    assert (await far.snapshot()).scheduled_count == 1
    await finish(far, priorities=["low"])
    await far.clear()
    await far.strike("rest", "label", "==", "struck")
    struck = await far.add(rest)(journal, "struck")
    assert struck.disposition is Disposition.STRUCK
    await far.restore("rest", "label", "==", "struck")
    used = await far.add(rest, key="used")(journal, "used")
    await far.report_progress(used, ExecutionProgress(1))
    assert await used.get_result(timeout=5) == "used"
    assert [event["type"] async for event in used.subscribe()][-1] == "state"
    assert await far.cancel("used") is False
    assert (await read_why(far, "damaged")).quarantine_id
    (worker,) = await far.task_workers("rest")
    assert [each.name for each in await far.workers()] == [worker.name]
    await wait_until(lambda: depths_of(far), "what waits can be read")


async def depths_of(shadow: Shadow) -> Depths | None:
    """What a scrape of a worker's metrics reads."""
    gauge = DepthGauge(Link(shadow.server, "observer"), shadow.keys)
    reading = await gauge.read()
    await gauge.close()
    return reading.depths
