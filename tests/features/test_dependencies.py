"""A task asks for what it needs by its parameters' defaults."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from shadows import Depends, Retry, Shadow, Shared
from shadows.dependencies import CallArgument, DependencyFailed

from .workers import finish

events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


class Connection:
    """A connection of the pool below."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def execute(self, statement: str) -> str:
        return f"{statement} on connection {self.number}"


class Pool:
    """A connection pool, as database drivers have them: opening it is costly, borrowing from it is not."""

    def __init__(self) -> None:
        self.idle = [Connection(n) for n in range(3)]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = self.idle.pop()
        try:
            yield connection
        finally:
            self.idle.append(connection)


@asynccontextmanager
async def open_pool() -> AsyncIterator[Pool]:
    events.append("pool opened")
    yield Pool()
    events.append("pool closed")


@asynccontextmanager
async def borrow(pool: Pool = Shared(open_pool)) -> AsyncIterator[Connection]:
    async with pool.connection() as connection:
        events.append("borrowed")
        yield connection
        events.append("given back")


async def test_a_pool_is_shared_by_all_tasks_of_a_worker_and_each_borrows_from_it(shadows: Shadow) -> None:
    """Opened once, at the first task; closed when the worker stops, after whatever used it."""

    async def query(statement: str, connection: Connection = Depends(borrow)) -> str:
        return await connection.execute(statement)

    executions = [await shadows.add(query)(f"select {n}") for n in range(5)]
    await finish(shadows, concurrency=2)
    for n, execution in enumerate(executions):
        assert (await execution.get_result()).startswith(f"select {n} on connection")
    assert (events[0], events[-1]) == ("pool opened", "pool closed")
    assert events.count("pool opened") == 1
    assert (events.count("borrowed"), events.count("given back")) == (5, 5)


@pytest.mark.parametrize("kind", ["a function", "an async function", "a context manager", "an async context manager"])
async def test_a_dependency_may_be_any_of_four_kinds(shadows: Shadow, kind: str) -> None:
    """Whatever the factory is, the task gets its value."""

    def plain() -> str:
        return "value"

    async def coroutine() -> str:
        return "value"

    @contextmanager
    def manager() -> Iterator[str]:
        yield "value"

    @asynccontextmanager
    async def async_manager() -> AsyncIterator[str]:
        yield "value"

    kinds = {
        "a function": plain,
        "an async function": coroutine,
        "a context manager": manager,
        "an async context manager": async_manager,
    }

    async def task(value: str = Depends(kinds[kind])) -> str:
        return value

    execution = await shadows.add(task)()
    await finish(shadows)
    assert await execution.get_result() == "value"


async def test_dependencies_are_made_once_per_task_and_closed_in_reverse(shadows: Shadow) -> None:
    """Two that need the same third one share it."""

    @contextmanager
    def settings() -> Iterator[str]:
        events.append("settings")
        yield "settings"
        events.append("close settings")

    @contextmanager
    def database(given: str = Depends(settings)) -> Iterator[str]:
        events.append("database")
        yield f"database by {given}"
        events.append("close database")

    @contextmanager
    def cache(given: str = Depends(settings)) -> Iterator[str]:
        events.append("cache")
        yield f"cache by {given}"
        events.append("close cache")

    async def task(first: str = Depends(database), second: str = Depends(cache)) -> list[str]:
        events.append("task")
        return [first, second]

    execution = await shadows.add(task)()
    await finish(shadows)
    assert await execution.get_result() == ["database by settings", "cache by settings"]
    assert events == ["settings", "database", "cache", "task", "close cache", "close database", "close settings"]


async def test_an_explicit_argument_wins_over_the_dependency(shadows: Shadow) -> None:
    """The factory is not even called."""

    def make() -> str:
        events.append("made")
        return "made"

    async def task(value: str = Depends(make)) -> str:
        return value

    execution = await shadows.add(task)(value="given")
    await finish(shadows)
    assert await execution.get_result() == "given"
    assert events == []


async def test_a_dependency_sees_the_arguments_of_its_task(shadows: Shadow) -> None:
    """By the name of the parameter."""

    async def load(user_id: int = CallArgument()) -> str:
        return f"user {user_id}"

    async def greet(user_id: int, user: str = Depends(load)) -> str:
        return f"Hello, {user}"

    execution = await shadows.add(greet)(7)
    await finish(shadows)
    assert await execution.get_result() == "Hello, user 7"


async def test_a_dependency_that_fails_fails_the_task_and_is_named(shadows: Shadow) -> None:
    """The task is not called."""

    def connect() -> None:
        raise ConnectionError("no database")

    async def task(database: None = Depends(connect)) -> None:
        events.append("task")

    execution = await shadows.add(task)()
    await finish(shadows)
    with pytest.raises(DependencyFailed, match=r"connect\) of its parameter 'database' failed: ConnectionError"):
        await execution.get_result()
    assert events == []


async def test_a_task_whose_dependency_failed_is_retried_like_any_other(shadows: Shadow) -> None:
    """The database may be back by then."""

    def connect() -> str:
        events.append("connect")
        if len(events) < 3:
            raise ConnectionError("no database")
        return "connected"

    async def task(database: str = Depends(connect), retry: Retry = Retry(attempts=5)) -> str:
        return f"{database} at attempt {retry.attempt}"

    execution = await shadows.add(task)()
    await finish(shadows)
    assert await execution.get_result() == "connected at attempt 3"


async def test_a_dependency_is_told_how_the_task_ended(shadows: Shadow) -> None:
    """So that a transaction can roll back."""

    @contextmanager
    def transaction() -> Iterator[None]:
        try:
            yield
        except ValueError:
            events.append("rolled back")
            raise
        events.append("committed")

    async def task(fails: bool, inside: None = Depends(transaction)) -> None:
        if fails:
            raise ValueError("no")

    good, bad = await shadows.add(task)(False), await shadows.add(task)(True)
    await finish(shadows, concurrency=1)
    await good.get_result()
    with pytest.raises(ValueError, match="no"):
        await bad.get_result()
    assert events == ["committed", "rolled back"]


async def test_shared_values_are_made_once_though_many_tasks_ask_at_once(shadows: Shadow) -> None:
    """The second waits for the first."""

    async def slow_to_open() -> object:
        events.append("opened")
        await asyncio.sleep(0.01)
        return object()

    async def task(value: object = Shared(slow_to_open)) -> int:
        return id(value)

    executions = [await shadows.add(task)() for _ in range(5)]
    await finish(shadows)
    assert len({await execution.get_result() for execution in executions}) == 1
    assert events == ["opened"]
