"""The outcome of a run that was handed over by a limit goes with its place, in one call, and counts like any other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from shadows import ConcurrencyLimit, ExecutionState, Perpetual, Retry, Shadow, Worker
from shadows.execution import Execution
from shadows.scripts import OPEN, SETTLE
from shadows.testing import RedisServer
from shadowsd.engine.places import MOST_BYTES
from tests.faults.conftest import runs
from tests.faults.gated import all_is_gone, some_wait
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until

type Body = Callable[[], Awaitable[Any]]


class Handed:
    """An execution that is handed over when a first one ends, and runs until it is let go."""

    def __init__(self, shadows: Shadow, worker: Worker, body: Body) -> None:
        self.shadows, self.worker = shadows, worker
        self.first, self.second, self.began = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def limited(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> Any:
            if number == 1:
                return await self.first.wait()
            self.began.set()
            await self.second.wait()
            return await body()

        self.task = limited

    async def runs(self) -> Execution:
        await self.shadows.add(self.task)(1)
        execution = await self.shadows.add(self.task, key="second")(2)
        await some_wait(self.shadows, 1)
        self.first.set()
        await asyncio.wait_for(self.began.wait(), 5)
        return execution


@asynccontextmanager
async def handed(shadows: Shadow, body: Body) -> AsyncIterator[tuple[Handed, Execution]]:
    async with working(shadows) as worker:
        it = Handed(shadows, worker, body)
        yield it, await it.runs()
        it.second.set()
        await all_is_gone(shadows)


async def nothing() -> None: ...


async def fails() -> None:
    raise LookupError("it is not there")


def settles(proxy: Proxy) -> list[list[bytes]]:
    """Every call of `settle` from now on."""
    seen: list[list[bytes]] = []
    of_settle = runs(SETTLE)

    def note(words: list[bytes]) -> bool:
        if of_settle(words):
            seen.append(words)
        return False

    proxy.lose_replies(where=note)
    return seen


async def seven() -> int:
    return 7


async def large() -> bytes:
    return b"x" * MOST_BYTES


@pytest.mark.parametrize(("body", "count"), [(nothing, 0), (seven, 0), (fails, 0), (large, 1)])
async def test_a_plain_outcome_needs_no_call_of_its_own(proxy: Proxy, body: Body, count: int) -> None:
    """One that is large does: a hundred of them must not go in one call."""
    async with Shadow(url=proxy.url) as shadows, handed(shadows, body) as (it, execution):
        await wait_until(lambda: not it.worker.slots.unsettled, "the first is written down")
        seen = settles(proxy)
        it.second.set()
        if body is fails:
            with pytest.raises(LookupError, match="not there"):
                await execution.get_result(timeout=5)
        else:
            assert await execution.get_result(timeout=5) == await body()
        assert execution.state is (ExecutionState.FAILED if body is fails else ExecutionState.COMPLETED)
        await wait_until(lambda: it.worker.settler.done == 2, "both count")
        assert len(seen) == count


async def test_an_outcome_that_is_not_kept_leaves_no_record(proxy: Proxy) -> None:
    async with Shadow(url=proxy.url, execution_ttl=timedelta(0)) as shadows, handed(shadows, seven) as (it, execution):
        it.second.set()
        await wait_until(lambda: it.worker.settler.done == 2, "both count")
        async with shadows.redis() as redis:
            assert not await redis.exists(shadows.keys.record(execution.key), shadows.keys.returned)


async def test_a_retry_and_a_failure_that_is_kept_go_by_themselves(shadows: Shadow) -> None:
    hold = asyncio.Event()
    ran: list[int] = []

    async def tried(
        number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1), retry: Retry = Retry(attempts=3)
    ) -> int:
        await hold.wait()
        ran.append(number)
        if ran.count(number) < 3 or number == 0:
            raise LookupError
        return number

    async with working(shadows):
        executions = [await shadows.add(tried)(number) for number in range(3)]
        await some_wait(shadows, 2)
        hold.set()
        assert [await each.get_result(timeout=5) for each in executions[1:]] == [1, 2]
        with pytest.raises(LookupError):
            await executions[0].get_result(timeout=5)
        await all_is_gone(shadows)
    assert sorted(ran) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [each.key for each in await shadows.quarantine()] == [executions[0].key]


async def test_the_next_run_of_a_perpetual_task_goes_by_itself(shadows: Shadow) -> None:
    hold, ran = asyncio.Event(), Counter[int]()

    async def again(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1), next: Perpetual = Perpetual()) -> None:
        await hold.wait()
        ran[number] += 1
        if ran[number] == 3:
            next.cancel()

    async with working(shadows):
        for number in range(3):
            await shadows.add(again, key=str(number))(number)
        await some_wait(shadows, 2)
        hold.set()
        await wait_until(lambda: ran.total() == 9, "each has run three times")
        await all_is_gone(shadows)


async def test_the_outcome_of_a_run_that_somebody_took_over_is_refused(shadows: Shadow) -> None:
    """By `settle`, which tells of it: its worker was paused for longer than its lease."""
    async with handed(shadows, seven) as (it, execution), shadows.redis() as redis:
        ((id, _),) = await redis.xrange(shadows.keys.returned)
        await redis.xclaim(shadows.keys.returned, "workers", "heir", 0, [id], justid=True)
        it.second.set()
        await wait_until(lambda: it.worker.settler.fenced == 1, "it is refused")
        await execution.sync()
        assert execution.state is ExecutionState.RUNNING
        assert await shadows.cancel("second")


@pytest.mark.parametrize("way", ["cancel", "replace"])
async def test_the_outcome_of_a_run_that_was_ended_meanwhile_does_not_count(shadows: Shadow, way: str) -> None:
    async def stays() -> None:
        raise AssertionError("it was cancelled")

    async with handed(shadows, stays) as (it, execution):
        worker = it.worker
        if way == "cancel":
            assert await shadows.cancel("second")
        else:
            await shadows.replace(it.task, timedelta(hours=1), "second")(3)
        it.second.set()
        await wait_until(lambda: worker.slots.idle, "it has ended")
        await execution.sync()
        assert execution.state is ExecutionState.CANCELLED
        assert worker.settler.fenced == 0
        await shadows.clear()


async def test_a_lost_record_does_not_lose_the_outcome(shadows: Shadow) -> None:
    """`settle` writes it anew."""
    async with handed(shadows, seven) as (it, execution), shadows.redis() as redis:
        await redis.delete(shadows.keys.record("second"))
        it.second.set()
        assert await execution.get_result(timeout=5) == 7
        assert await redis.hget(shadows.keys.record("second"), "f") == b"limited"


async def test_a_gate_that_can_not_be_opened_does_not_lose_the_outcome(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    async with handed(shadows, seven) as (it, execution), shadows.redis() as redis:
        queue = f"{shadows.keys.prefix}queue:c:limited"
        await redis.set(queue, "no sorted set")
        it.second.set()
        assert await execution.get_result(timeout=5) == 7
        await wait_until(lambda: "can't be opened" in caplog.text, "it is told of")
        await wait_until(lambda: it.worker.settler.done == 2, "it counts once")
        await redis.delete(queue)
        it.worker._parts.places.look()


@pytest.mark.parametrize("count", [1, 3])
async def test_lost_replies_write_it_once(proxy: Proxy, count: int) -> None:
    async with Shadow(url=proxy.url) as shadows, handed(shadows, seven) as (it, execution):
        order = proxy.lose_replies(where=runs(OPEN), count=count)
        it.second.set()
        assert await execution.get_result(timeout=5) == 7
        await wait_until(lambda: it.worker.settler.done == 2, "it counts")
        assert (order.lost, it.worker.settler.fenced) == (count, 0)


async def test_a_worker_that_drains_waits_until_it_is_written(proxy: Proxy) -> None:
    """It is in nobody's queue while it is on its way."""
    async with Shadow(url=proxy.url) as shadows, Worker(shadows) as worker:
        running = asyncio.create_task(worker.run_forever())
        it = Handed(shadows, worker, seven)
        execution = await it.runs()
        worker.stop()
        proxy.lose_replies(where=runs(OPEN), count=2)
        it.second.set()
        await running
        await execution.sync()
        assert execution.state is ExecutionState.COMPLETED
        assert worker.settler.done == 2


async def test_an_opening_that_never_began_leaves_the_outcome_to_the_settler(shadows: Shadow) -> None:
    """As when the loop is being closed, which cancels every task in it."""
    async with handed(shadows, seven) as (it, execution):
        membership = it.worker.membership
        spawn = membership.spawn

        def spawn_cancelled(work: Any) -> asyncio.Task[Any]:
            task = spawn(work)
            task.cancel()
            return task

        membership.spawn = spawn_cancelled  # type: ignore[method-assign]
        it.second.set()
        assert await execution.get_result(timeout=5) == 7
        membership.spawn = spawn  # type: ignore[method-assign]
        it.worker._parts.places.open_soon([])


async def test_a_server_that_is_out_of_memory_takes_it(own_redis: RedisServer) -> None:
    """Whoever ends frees memory, and who waits behind it must not wait for that."""
    async with Shadow(url=own_redis.url) as shadows, handed(shadows, seven) as (it, _):
        await shadows.add(it.task)(3)
        await some_wait(shadows, 1)
        with own_redis.configured("maxmemory", 1):
            it.second.set()
            await wait_until(lambda: it.worker.settler.done == 3, "both are written down")
