"""What a worker asks at gates and when: batches, what is handed over, and what is no business of its own."""

import asyncio
from collections import Counter
from typing import Any

from shadows import ConcurrencyLimit, ExecutionState, Shadow, Worker
from shadows.scripts import ADMIT
from shadowsd.engine.entries import Entry, held_of
from shadowsd.engine.hosting import Suspects
from shadowsd.engine.inject import Injection
from tests.faults.conftest import brief_shadow
from tests.faults.gated import all_is_gone
from tests.faults.test_lost_replies import runs
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until

from .limited import alone, free, ran


async def enough(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1000)) -> None:
    ran.append(number)


async def sent(proxy: Proxy, function: Any, count: int) -> Counter[str]:
    """What a worker of 32 sends for so many tasks, all added before, until they are done."""
    async with Shadow(url=proxy.url) as shadows:
        await shadows.add(function)(0)
        async with working(shadows, concurrency=32) as worker:
            await wait_until(lambda: worker.settler.done == 1, "the scripts are known")
        await shadows.add_many([shadows.call(function)(number) for number in range(count)])
        async with Worker(shadows, concurrency=32) as worker:
            proxy.reset_counts()
            running = asyncio.create_task(worker.run_forever())
            await wait_until(lambda: worker.settler.done == count and worker.slots.idle, "all are done")
            seen = Counter(proxy.commands)
            await worker.stop_at_once()
            await running
        return seen


async def test_a_limit_that_holds_nobody_up_costs_two_scripts_a_round(proxy: Proxy) -> None:
    """One asks for the whole round, and one gives all its places back; a task without a limit costs nothing more."""
    without = await sent(proxy, free, 320)
    beside = await sent(proxy, enough, 320)
    assert without["EVALSHA"] <= 20
    assert beside["EVALSHA"] <= without["EVALSHA"] + 2 * 320 / 32 + 10


async def test_each_run_of_a_long_queue_costs_one_script(proxy: Proxy) -> None:
    """It writes the outcome, gives the place on, and hands over who gets it; before that each asked, in batches."""
    seen = await sent(proxy, alone, 320)
    assert seen["EVALSHA"] <= 1.2 * 320


async def test_a_task_without_gates_asks_nothing(shadows: Shadow) -> None:
    async with working(shadows) as worker:
        await (await shadows.add(free)(1)).get_result(timeout=5)
        assert not worker._parts.attempts.has_gates()
        assert not worker._parts.gates._busy


async def test_who_waits_is_looked_for_at_beats_and_not_by_idle_workers(proxy: Proxy) -> None:
    """A worker with nothing to do sends its beats, whether its tasks have limits or not."""
    async with brief_shadow(proxy.url) as shadows:
        shadows.register(alone)
        async with working(shadows):
            await (await shadows.add(alone)(1)).get_result(timeout=5)
            await wait_until(lambda: proxy.commands["EVALSHA"] > 0, "it has run")
            await all_is_gone(shadows)
            proxy.reset_counts()
            await asyncio.sleep(1)
            assert proxy.commands["EVALSHA"] <= 20  # beats come every 60 ms


async def test_a_worker_for_a_suspect_alone_is_handed_nobody_else(shadows: Shadow) -> None:
    """It would work off the whole queue beside what may kill it."""
    async with Worker(shadows, hosting=None) as worker:
        assert worker.reader.accepts
        worker.reader._mode = Suspects.ONLY
        assert not worker.reader.accepts


async def test_a_slot_that_is_kept_for_an_answer_is_not_idle(shadows: Shadow) -> None:
    """What comes with the answer must not run beside a suspect."""
    async with Worker(shadows) as worker:
        worker.slots.reserved = 1
        assert not worker.slots.idle
        worker.slots.reserved = 0
        assert worker.slots.idle


async def test_one_that_asks_in_vain_leaves_and_one_that_is_not_ours_any_more_does_too(shadows: Shadow) -> None:
    """The reply of the first call was lost, and the entry had left by then: it is told so, and frees its slot."""
    await shadows.add(alone)(1)
    async with shadows.redis() as redis:
        await redis.xgroup_create(shadows.keys.stream, "workers", "0", mkstream=True)
        ((_, ((id, fields),)),) = await redis.xreadgroup("workers", "other#1", {shadows.keys.stream: ">"})
    async with Worker(shadows) as worker:
        flat = [word for pair in fields.items() for word in pair]
        consumer = worker.membership.consumer
        worker.reader.start([(id.decode()[:-2], flat, 1, 1)], consumer)
        await wait_until(lambda: not worker.slots.running, "it has left its slot")
    assert ran == []


async def test_a_server_that_refuses_to_admit_is_asked_again(proxy: Proxy) -> None:
    """A record that is no hash fails its own task; nobody else hears of it."""
    async with Shadow(url=proxy.url) as shadows:
        good, bad = await shadows.add(alone, key="good")(1), await shadows.add(alone, key="bad")(2)
        async with shadows.redis() as redis:
            await redis.delete(shadows.keys.record("bad"))
            await redis.set(shadows.keys.record("bad"), "no hash")
            await finish(shadows)
            await redis.delete(shadows.keys.record("bad"))
        await good.sync()
        assert good.state is ExecutionState.COMPLETED
        assert bad.key == "bad"
        assert ran == [1]


async def test_a_worker_that_leaves_while_redis_is_away_waits_for_no_answer(proxy: Proxy) -> None:
    """What asked is pending still, and runs elsewhere."""
    async with brief_shadow(proxy.url) as shadows:
        shadows.register(alone)
        await shadows.add(alone)(1)
        order = proxy.lose_replies(where=runs(ADMIT), count=1000)
        async with Worker(shadows) as worker:
            running = asyncio.create_task(worker.run_forever())
            await wait_until(lambda: order.lost > 0, "it asks")
            worker.membership.abandon_side_work()
            await wait_until(lambda: not worker.slots.running, "nobody waits for an answer")
            await worker.stop_at_once()
            await running
        order.count = 0
        await finish(shadows)
    assert ran == [1]


def test_the_places_with_which_an_entry_comes_are_read_unless_they_are_damaged() -> None:
    fields = [b"n", b"5", b"gt", b"\x91\x92\xa6c:hold\x02", b"k", b"k", b"f", b"f", b"p", b""]
    assert Entry(2, "7", fields, 1, "w#1").places == (("c:hold", 2),)
    assert held_of(b"\xc1") == held_of(b"") == held_of(b"\x91\x01") == ()


async def test_more_than_one_call_takes_are_asked_for_and_opened(shadows: Shadow) -> None:
    """A worker with many slots has more to ask at once than one script may take."""
    await shadows.add_many([shadows.call(enough)(number) for number in range(500)])
    await finish(shadows, concurrency=250)
    assert sorted(ran) == list(range(500))
    await all_is_gone(shadows)


def test_what_limits_of_a_whole_task_ask_for_is_worked_out_once() -> None:
    """An execution that waits asks twice, and is the same for all arguments; for values of one it is not."""

    async def by_value(number: int, limit: ConcurrencyLimit = ConcurrencyLimit("number", 1)) -> None: ...

    whole, valued = Injection(alone), Injection(by_value)
    assert whole.terms("alone", (1,), {}) is whole.terms("alone", (2,), {})
    assert whole.terms("alone", (1,), {}) != whole.terms("renamed", (1,), {})
    assert valued.terms("by_value", (1,), {}) != valued.terms("by_value", (2,), {})
