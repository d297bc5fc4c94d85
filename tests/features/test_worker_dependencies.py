"""What a worker puts around every task that it runs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

import pytest

from shadows import Depends, Retry, Shadow, Shared, TaskArgument, TaskKey, Timeout, Worker
from shadows.dependencies import DependencyFailed, FailureHandler, Outcome, Runtime, Successor
from shadows.errors import ConfigurationError
from shadows.execution import Execution

from .workers import finish, working

events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


@asynccontextmanager
async def trace(key: str = TaskKey(), tenant: str | None = TaskArgument(optional=True)) -> AsyncIterator[None]:
    events.append(f"begin {key} of {tenant}")
    try:
        yield
    except BaseException as error:
        events.append(f"{key} raised {type(error).__name__}")
        raise
    finally:
        events.append(f"end {key}")


@contextmanager
def transaction() -> Iterator[str]:
    events.append("begin transaction")
    yield "transaction"
    events.append("commit")


class Spanned(Runtime):
    """Wraps each call."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, execution: Execution, call: Callable[[], Awaitable[object]]) -> object:
        events.append(f"{self.name} {execution.function_name}")
        try:
            return await call()
        finally:
            events.append(f"after {self.name}")


async def bill(tenant: str) -> str:
    events.append("bill")
    return tenant


def count() -> None:
    events.append("count")


async def test_they_are_entered_around_every_task_and_closed_in_reverse(shadows: Shadow) -> None:
    """Also around those that declare nothing themselves, plain `def` or not; a value is not passed to the task."""
    first, second = await shadows.add(bill, key="b")("acme"), await shadows.add(count, key="c")()
    await finish(shadows, concurrency=1, dependencies={"trace": Depends(trace), "transaction": Depends(transaction)})
    assert await first.get_result() == "acme"
    assert await second.get_result() is None
    assert events == [
        "begin b of acme", "begin transaction", "bill", "commit", "end b",
        "begin c of None", "begin transaction", "count", "commit", "end c",
    ]  # fmt: skip


async def test_they_come_as_a_list_too(shadows: Shadow) -> None:
    """For those whose names say nothing new."""
    await shadows.add(count, key="c")()
    await finish(shadows, dependencies=[Depends(transaction)])
    assert events == ["begin transaction", "count", "commit"]


async def test_a_task_that_depends_on_the_same_gets_the_same_value(shadows: Shadow) -> None:
    """The transaction around the task is the one that the task works in."""

    async def task(inside: str = Depends(transaction)) -> str:
        events.append(f"in {inside}")
        return inside

    await shadows.add(task)()
    await finish(shadows, dependencies=[Depends(transaction)])
    assert events == ["begin transaction", "in transaction", "commit"]


async def test_they_are_told_how_the_task_ended(shadows: Shadow) -> None:
    """A trace can so tell a failure."""

    async def fails() -> None:
        raise ValueError("no")

    await shadows.add(fails, key="f")()
    await finish(shadows, dependencies={"trace": Depends(trace)})
    assert events == ["begin f of None", "f raised ValueError", "end f"]


async def test_one_that_fails_fails_the_task_by_name(shadows: Shadow) -> None:
    """The task is not called, and what was open is closed."""

    def broken() -> None:
        raise ConnectionError("no database")

    execution = await shadows.add(count, key="c")()
    await finish(shadows, dependencies={"trace": Depends(trace), "database": Depends(broken)})
    with pytest.raises(DependencyFailed) as failed:
        await execution.get_result()
    assert str(failed.value).startswith("count was not called, because the dependency Depends(")
    assert "of its worker's dependency 'database' failed: ConnectionError: no database" in str(failed.value)
    assert events == ["begin c of None", "c raised DependencyFailed", "end c"]


async def test_one_that_fails_to_close_fails_the_task_and_is_named(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit that failed is no success."""

    @contextmanager
    def commits() -> Iterator[None]:
        yield
        raise OSError("disk full")

    execution = await shadows.add(count)()
    await finish(shadows, dependencies=[Depends(commits)])
    with pytest.raises(OSError, match="disk full"):
        await execution.get_result()
    assert "commits after count failed" in caplog.text


async def test_runtimes_wrap_each_other_the_workers_outside(shadows: Shadow) -> None:
    """In the order in which they were given; a Timeout of the task is innermost."""

    async def task(limit: Timeout = Timeout(timedelta(hours=1))) -> None:
        events.append("task")

    await shadows.add(task)()
    around = {"a": Spanned("outer"), "b": Depends(transaction), "c": Spanned("inner")}
    await finish(shadows, dependencies=around)
    assert events == [
        "begin transaction", "outer task", "inner task", "task", "after inner", "after outer", "commit",
    ]  # fmt: skip


class Asked(FailureHandler):
    """Notes that it was asked, and wants nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        events.append(self.name)
        return None


async def test_handlers_of_the_task_are_asked_before_those_of_the_worker(shadows: Shadow) -> None:
    """What a task says of itself is the more particular rule."""

    async def task(own: Asked = Asked("own")) -> None:
        raise ValueError("no")

    await shadows.add(task)()
    await finish(shadows, dependencies=[Asked("first"), Asked("second")])
    assert events == ["own", "first", "second"]


class Unready(Spanned):
    """Can't be entered at first."""

    async def __aenter__(self) -> object:
        events.append("entered")
        if events.count("entered") == 1:
            raise LookupError("not ready")
        return self


async def test_one_around_the_call_that_fails_is_named_and_retried_too(shadows: Shadow) -> None:
    """The handlers are there whatever fails."""
    execution = await shadows.add(bill)("acme")
    await finish(shadows, dependencies={"span": Unready("span")})
    with pytest.raises(DependencyFailed, match="Unready of its worker's dependency 'span' failed: LookupError: not r"):
        await execution.get_result()
    events.clear()
    execution = await shadows.add(bill)("acme")
    await finish(shadows, dependencies={"span": Unready("span"), "retry": Retry(attempts=2)})
    assert await execution.get_result() == "acme"


async def test_a_retry_of_the_worker_is_every_tasks(shadows: Shadow) -> None:
    """And counts the attempts of each."""
    attempts: list[str] = []

    async def flaky(name: str) -> None:
        attempts.append(name)
        raise ValueError(name)

    await shadows.add(flaky)("a")
    await shadows.add(flaky)("b")
    await finish(shadows, dependencies={"retry": Retry(attempts=3)})
    assert sorted(attempts) == ["a", "a", "a", "b", "b", "b"]


async def test_a_retry_covers_a_dependency_that_fails(shadows: Shadow) -> None:
    """Whatever the order is in which they are given."""

    def unsteady() -> None:
        events.append("asked")
        if len(events) < 3:
            raise ConnectionError("no database")

    execution = await shadows.add(bill)("acme")
    await finish(shadows, dependencies={"database": Depends(unsteady), "retry": Retry(attempts=3)})
    assert await execution.get_result() == "acme"


async def test_a_shared_value_is_made_once(shadows: Shadow) -> None:
    """The pool that all tasks use is opened by the first."""

    def pool() -> str:
        events.append("opened")
        return "pool"

    for _ in range(3):
        await shadows.add(count)()
    await finish(shadows, dependencies={"pool": Shared(pool)})
    assert events.count("opened") == 1


async def test_two_of_which_a_task_can_have_one_are_refused_before_anything_runs(shadows: Shadow) -> None:
    """Both are named."""

    async def task(limit: Timeout = Timeout(timedelta(hours=1))) -> None: ...

    shadows.register(task)
    worker = Worker(shadows, dependencies={"time": Timeout(timedelta(hours=2))})
    with pytest.raises(ConfigurationError, match="'time' and the parameter 'limit' of task 'task' are both a Timeout"):
        async with worker:
            raise AssertionError


async def test_a_task_without_an_argument_that_they_need_is_refused(shadows: Shadow) -> None:
    """Unless they do without it, as `trace` above."""

    def tenant_of(tenant: str = TaskArgument()) -> str:
        return tenant

    shadows.register(count)
    with pytest.raises(ConfigurationError, match=r"task 'count'.*dependency 'tenant'.*no parameter 'tenant'"):
        async with Worker(shadows, dependencies={"tenant": Depends(tenant_of)}):
            raise AssertionError


async def test_a_task_that_came_later_and_can_not_work_fails(shadows: Shadow) -> None:
    """With the words that it would have been refused with."""

    async def task(limit: Timeout = Timeout(timedelta(hours=1))) -> None:
        events.append("ran")

    async with working(shadows, dependencies={"time": Timeout(timedelta(hours=2))}):
        execution = await shadows.add(task)()
        with pytest.raises(ConfigurationError, match="are both a Timeout"):
            await execution.get_result(timeout=10)
    assert events == []


async def test_a_plain_function_gets_no_timeout(shadows: Shadow) -> None:
    """It runs in a thread, which can't be stopped."""
    execution = await shadows.add(count)()
    await finish(shadows, dependencies={"time": Timeout(timedelta(hours=2))})
    assert await execution.get_result() is None
