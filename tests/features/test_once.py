"""A step of a task is taken once, though the task runs again."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from shadows import Once, Perpetual, Retry, Shadow
from shadows.errors import Fenced, ResultError, TooManySteps
from tests.proxy import Proxy
from tests.waiting import wait_until

from .workers import finish, working


@dataclass
class Receipt:
    number: int
    currency: str


async def test_a_retry_gets_what_the_step_came_to(shadows: Shadow) -> None:
    """Sync or async, with arguments, as the annotation of the step says."""
    taken = []

    async def charge(order: str, *, amount: int) -> Receipt:
        taken.append(order)
        return Receipt(amount, "EUR")

    def ship(receipt: Receipt) -> None:
        taken.append(f"ship {receipt.number}")

    async def pay(order: str, once: Once = Once(), retry: Retry = Retry(attempts=3)) -> Receipt:
        receipt = await once("charge", charge, order, amount=5)
        assert await once("ship", ship, receipt) is None
        if retry.attempt < 3:
            raise ValueError("after the steps")
        return receipt

    execution = await shadows.add(pay)("o1")
    await finish(shadows)
    assert await execution.get_result() == Receipt(5, "EUR")
    assert taken == ["o1", "ship 5"]


async def test_a_step_that_failed_is_taken_again(shadows: Shadow) -> None:
    """Only what it came to is kept, not that it came to nothing."""
    taken = []

    def charge() -> int:
        taken.append(1)
        if len(taken) < 3:
            raise OSError("no answer")
        return 7

    async def pay(once: Once = Once(), retry: Retry = Retry(attempts=5)) -> int:
        return await once("charge", charge)

    execution = await shadows.add(pay)()
    await finish(shadows)
    assert (await execution.get_result(), len(taken)) == (7, 3)


async def test_each_submission_takes_its_steps_itself(shadows: Shadow) -> None:
    """The key used again, and each run of a perpetual task, is another submission; old steps are not kept along."""
    taken: list[str] = []

    async def count(label: str, once: Once = Once(), again: Perpetual = Perpetual()) -> None:
        await once(f"step {len(taken)}", taken.append, label)
        await once("same", taken.append, label)
        if len(taken) % 4 == 0:
            again.cancel()

    for label in "ab":
        await shadows.add(count, key="k")(label)
        await finish(shadows)
    assert taken == ["a"] * 4 + ["b"] * 4
    async with shadows.redis() as redis:
        fields = await redis.hkeys(shadows.keys.record("k"))
    assert sorted(field for field in fields if field.startswith(b"step:")) == [b"step:same", b"step:step 6"]


async def test_steps_are_gone_with_their_execution(shadows_url: str, shadows: Shadow) -> None:
    """While it is unfinished they have no end, afterwards that of its record; nothing else is left behind."""

    async def count(once: Once = Once(), retry: Retry = Retry(attempts=2, delay=timedelta(hours=1))) -> None:
        await once("a", int)
        if retry.attempt == 1:
            raise ValueError

    await shadows.add(count, key="later")()
    async with working(shadows), shadows.redis() as redis:
        record = shadows.keys.record("later")
        await wait_until(lambda: redis.hget(record, "sc"), "the step is kept")
        await wait_until(lambda: redis.zcard(shadows.keys.schedule), "the retry waits")
        assert await redis.ttl(record) == -1
        await shadows.cancel("later")
        assert 0 < await redis.ttl(record) <= 900
        assert await redis.keys(f"{shadows.keys.prefix}once:*") == []
    async with Shadow(shadows.name, shadows_url, execution_ttl=timedelta(0)) as keepless, keepless.redis() as redis:
        await keepless.add(count, key="gone")()
        async with working(keepless):
            await wait_until(lambda: redis.zcard(keepless.keys.schedule), "the retry waits")
            await keepless.replace(count, None, "gone")()
            await wait_until(lambda: redis.zcard(keepless.keys.schedule), "the retry waits")
            await keepless.cancel("gone")
        assert not await redis.exists(keepless.keys.record("gone"))


async def test_a_step_that_is_asked_for_twice_at_once_is_taken_once(shadows: Shadow) -> None:
    taken: list[int] = []

    async def charge() -> int:
        await asyncio.sleep(0.01)
        taken.append(1)
        return len(taken)

    async def pay(one: Once = Once(), other: Once = Once()) -> list[int]:
        return list(await asyncio.gather(one("a", charge), other("a", charge), one("b", charge)))

    execution = await shadows.add(pay)()
    await finish(shadows)
    first, second, third = await execution.get_result()
    assert first == second != third


async def test_a_plain_function_takes_steps_in_its_thread(shadows: Shadow) -> None:
    """It can't await, and so calls; a failure is raised there."""
    taken: list[str] = []

    def fail() -> None:
        raise OSError("no answer")

    def pay(once: Once = Once(), orders: Once = Once(scope="o"), retry: Retry = Retry(attempts=2)) -> str:
        once.call("charge", taken.append, "charge")
        for each in (once, orders):
            with pytest.raises(OSError, match="no answer"):
                each.call("fail", fail)
        if retry.attempt == 1:
            raise ValueError("after the step")
        return orders.call("ship", str.upper, "shipped")

    execution = await shadows.add(pay)()
    await finish(shadows)
    assert await execution.get_result() == "SHIPPED"
    assert taken == ["charge"]


async def test_on_the_loop_a_step_is_awaited(shadows: Shadow) -> None:
    """Called there, it would wait for itself."""

    async def pay(once: Once = Once()) -> None:
        once.call("charge", int)

    execution = await shadows.add(pay)()
    await finish(shadows)
    with pytest.raises(RuntimeError, match=r"await once\(\)"):
        await execution.get_result()


async def test_a_result_that_can_not_be_stored_fails_and_the_step_is_not_taken_again(shadows: Shadow) -> None:
    """It was taken: to do so again would be worse than to say so again."""
    taken: list[int] = []

    def charge() -> object:
        taken.append(1)
        return object()

    async def pay(once: Once = Once(), retry: Retry = Retry(attempts=3)) -> None:
        await once("charge", charge)

    execution = await shadows.add(pay)()
    await finish(shadows)
    with pytest.raises(ResultError, match=r"pay\.charge\(\): the result is <object"):
        await execution.get_result()
    assert (execution.attempt, len(taken)) == (3, 1)


async def test_an_execution_keeps_two_hundred_steps(shadows: Shadow) -> None:
    """Also when it began in an earlier run; the step too many is not taken."""
    taken: list[int] = []

    async def count(once: Once = Once(), retry: Retry = Retry(attempts=2)) -> None:
        for n in range(100 if retry.attempt == 1 else 201):
            await once(str(n), taken.append, n)
        if retry.attempt == 1:
            raise ValueError

    async def count_on(once: Once = Once()) -> None:
        for n in range(201):
            await once(str(n), taken.append, n)

    for task in (count, count_on):
        taken.clear()
        execution = await shadows.add(task)()
        await finish(shadows)
        with pytest.raises(TooManySteps, match=f"{task.__name__} has kept 200 steps and would take '200'"):
            await execution.get_result()
        assert taken == [*range(200)]


@pytest.mark.parametrize("scope", [None, "orders"])
async def test_a_run_that_was_replaced_keeps_no_steps(shadows: Shadow, scope: str | None) -> None:
    """Its outcome does not count either: the next step tells it so."""
    said: list[Exception] = []
    first = asyncio.Event()

    def note(number: int) -> int:
        return number

    async def pay(number: int, once: Once = Once(scope)) -> int:
        if number == 1:
            first.set()
            await wait_until(lambda: replaced, "it is replaced")
            try:
                await once("charge", note, number)
            except Fenced as error:
                said.append(error)
        return await once("charge", note, number)

    replaced: list[object] = []
    await shadows.add(pay, key="k")(1)
    async with working(shadows):
        await first.wait()
        replaced.append(execution := await shadows.replace(pay, None, "k")(2))
        assert await execution.get_result() == 2
        await wait_until(lambda: said, "the first one is told")
    assert "has lost its execution to another run" in str(said[0])


async def test_a_cancelled_task_keeps_the_step_that_has_just_ended(proxy: Proxy) -> None:
    """The write can't come through when its time is over: the task waits for it, or its retry took the step again."""
    taken: list[int] = []

    async def pay(once: Once = Once(), retry: Retry = Retry(attempts=2)) -> int:
        step = asyncio.ensure_future(once("charge", charge))
        if retry.attempt == 1:
            await wait_until(lambda: taken, "the step is taken")
            await asyncio.sleep(0.1)
            step.cancel()
            await asyncio.sleep(0.1)
            proxy.accept()
            with pytest.raises(asyncio.CancelledError):
                await step
            raise TimeoutError
        return await step

    def charge() -> int:
        taken.append(1)
        proxy.refuse()
        proxy.cut()
        return len(taken)

    async with Shadow(url=proxy.url) as shadows:
        execution = await shadows.add(pay)()
        async with working(shadows):
            assert await execution.get_result(timeout=20) == 1
    assert taken == [1]


async def test_a_step_costs_one_round_trip(proxy: Proxy) -> None:
    """A later run pays one for each step that is kept, and two for a new one. A task without steps pays nothing."""

    async def steps(number: int, once: Once = Once(), retry: Retry = Retry(attempts=2)) -> None:
        proxy.reset_counts()
        for n in range(number):
            await once(str(n), int)
        counted.append(proxy.commands["EVALSHA"])
        if retry.attempt == 1:
            raise ValueError

    counted: list[int] = []
    async with Shadow(url=proxy.url) as shadows:
        for number in (3, 10, 0):
            await shadows.add(steps)(number)
            await finish(shadows)
    # A beat of the worker may fall into the time in which they are counted.
    for seen, expected in zip(counted, [3, 3, 10, 10, 0, 0], strict=True):
        assert expected <= seen <= expected + 1, counted
