"""Steps of `Once` when workers die, are paused past their lease, or can't reach Redis."""

import asyncio

from shadows import Once, Retry, Shadow
from shadows.connection import CALL_SECONDS
from shadows.scripts import SCOPED, STEP
from shadows.testing import RedisServer
from tests.faults.conftest import Starter, brief_shadow
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.recorded import Journal, two_steps
from tests.waiting import wait_until

# Of four steps and one that fails, and then of a second run that finds the four.
CALLS_OF_TWO_RUNS = 2 + 2 * 2 + 2 + 2 + 2


async def test_what_a_killed_worker_had_taken_is_not_taken_again(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """The step that it was in the midst of is: nobody knows how far it came."""
    victim = start_worker(brief)
    execution = await brief.add(two_steps, key="k")(str(journal), "k", "gate")
    await wait_until(lambda: journal.count("second") == {"k": 1}, "it is in its second step")
    victim.kill()
    start_worker(brief)
    await wait_until(lambda: journal.count("second") == {"k": 2}, "another worker is")
    journal.open_gate("gate")
    first, third = await execution.get_result(timeout=10)
    assert (journal.count("first"), journal.count("third")) == ({"k": 1}, {"k": 1})
    assert first < third


async def test_a_run_that_was_overtaken_writes_over_nothing_and_has_the_lower_fence(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Its worker was paused past its lease, within a step that the other run has taken since."""
    paused = start_worker(brief, name="paused")
    execution = await brief.add(two_steps, key="k")(str(journal), "k", "gate")
    await wait_until(lambda: journal.count("second") == {"k": 1}, "it is in its second step")
    paused.pause()
    start_worker(brief, name="heir")
    await wait_until(lambda: journal.count("second") == {"k": 2}, "the other one is")
    journal.open_gate("gate")
    result = await execution.get_result(timeout=10)
    async with brief.redis() as redis:
        before = await redis.hgetall(brief.keys.record("k"))
        paused.resume()
        await wait_until(lambda: "joins again" in paused.output, "it notices")
        await wait_until(lambda: "two_steps" in paused.output.partition("joins again")[2], "its run ends")
        assert await redis.hgetall(brief.keys.record("k")) == before
    assert await execution.get_result() == result
    assert journal.count("third") == {"k": 1}
    fences = [int(label.partition(" ")[2]) for word, label, _ in journal.events if word == "start"]
    assert fences[0] == execution.submission
    assert fences == sorted({*fences})
    # What is placed next is above all of them.
    assert (await brief.add(two_steps, key="k")(str(journal), "k", "gate")).fence > fences[-1]


async def test_the_fence_of_the_next_placing_is_above_those_of_all_deliveries(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """The counter may be ahead of the clock, as after a failover to a host whose clock is behind."""
    async with brief.redis() as redis:
        await brief.add(two_steps, key="before")(str(journal), "before", "gate")
        await redis.incrby(brief.keys.generation, 3_600_000_000)
        execution = await brief.add(two_steps, key="k")(str(journal), "k", "gate")
        for number in range(1, 3):
            victim = start_worker(brief)
            await wait_until(lambda seen=number: journal.count("second")["k"] == seen, "it runs")
            victim.kill()
        assert int(await redis.get(brief.keys.generation) or 0) > execution.submission
    fences = [int(label.partition(" ")[2]) for _, label, _ in journal.events if label.startswith("k ")]
    assert fences == [execution.submission, execution.submission + 1]
    assert (await brief.replace(two_steps, None, "k")(str(journal), "k", "gate")).fence > fences[-1]


async def test_a_step_is_written_down_though_redis_was_away_when_it_ended(proxy: Proxy, shadows_url: str) -> None:
    """To give up would take it again. A claim that could not be given back ends with its run."""
    taken: list[str] = []
    away = asyncio.Event()

    async def step(label: str) -> str:
        taken.append(label)
        await away.wait()
        if taken.count("fails") == 1 and label == "fails":
            raise OSError("no answer")
        return label

    async def charge(label: str, once: Once = Once(), retry: Retry = Retry(attempts=2)) -> str:
        await once("charge", step, label)
        return await again(retry, label)

    async def ship(label: str, once: Once = Once(scope="orders"), retry: Retry = Retry(attempts=2)) -> str:
        return await once("ship", step, label)

    async def again(retry: Retry, label: str) -> str:
        if retry.attempt == 1:
            raise ValueError
        return label

    async with brief_shadow(shadows_url) as near, brief_shadow(proxy.url, name=near.name) as far:
        executions = [await near.add(charge)("charged"), await near.add(ship)("fails")]
        async with working(far):
            await wait_until(lambda: len(taken) == 2, "both are in their step")
            proxy.refuse()
            proxy.cut()
            away.set()
            await asyncio.sleep(CALL_SECONDS + 1)
            proxy.accept()
            assert [await each.get_result(timeout=20) for each in executions] == ["charged", "fails"]
    assert sorted(taken) == ["charged", "fails", "fails"]


async def test_the_lost_reply_of_any_step_changes_nothing(proxy: Proxy, shadows_redis: RedisServer) -> None:
    """Each call of the ledger in turn; what it asks again for is its own."""
    for script in (STEP, SCOPED):
        shadows_redis.command("SCRIPT", "LOAD", script.source)
    digests = {script.digest.encode() for script in (STEP, SCOPED)}
    taken: list[str] = []

    def fail() -> None:
        taken.append("fail")
        raise OSError

    async def pay(key: str, once: Once = Once(), orders: Once = Once(scope="o"), retry: Retry = Retry(2)) -> int:
        for each in (once, orders):
            await each(f"charge {key}", taken.append, key)
            await each(f"ship {key}", taken.append, key)
        if retry.attempt == 1:
            await orders(f"fail {key}", fail)
        return retry.attempt

    async with brief_shadow(proxy.url) as shadow:
        for number in range(CALLS_OF_TWO_RUNS + 1):
            taken.clear()
            order = proxy.lose_replies(where=lambda words: len(words) > 1 and words[1] in digests, skip=number)
            execution = await shadow.add(pay)(f"k{number}")
            await finish(shadow)
            assert await execution.get_result() == 2
            assert taken == [f"k{number}"] * 4 + ["fail"]
            assert order.lost == (number < CALLS_OF_TWO_RUNS)
            order.count = 0
