"""`testing.run`: a task is called with its dependencies, without Redis and without a worker."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Annotated, Any

import pytest

from shadows import (
    ConcurrencyLimit,
    CurrentExecution,
    CurrentShadow,
    CurrentWorker,
    Depends,
    Execution,
    Perpetual,
    Progress,
    Retry,
    Shadow,
    Shared,
    TaskArgument,
    TaskKey,
    TaskLogger,
    Timeout,
    Worker,
    testing,
)
from shadows.dependencies import Dependency, DependencyFailed, RetryRequested, current_shadow
from shadows.errors import ArgumentsError, RegistrationError


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever would ask Redis for something here fails."""
    monkeypatch.setenv("SHADOWS_URL", "unix:///nowhere/at/all")


class Session:
    """What tasks write to."""

    def __init__(self) -> None:
        self.log: list[str] = []


async def open_session() -> Session:
    raise AssertionError("a test has its own session")


async def of_user(user: int = TaskArgument(), session: Session = Depends(open_session)) -> str:
    session.log.append(f"read {user}")
    return f"user {user}"


async def greet(user: int, name: str = Depends(of_user), session: Session = Depends(open_session)) -> str:
    session.log.append(f"greet {name}")
    return f"Hello, {name}!"


async def test_a_factory_is_replaced_wherever_it_is_asked_for() -> None:
    session = Session()
    assert await testing.run(greet, 7, overrides={open_session: session}) == "Hello, user 7!"
    assert session.log == ["read 7", "greet user 7"]


async def test_a_parameter_is_replaced_by_its_name() -> None:
    session = Session()
    assert await testing.run(greet, user=7, overrides={"name": "Jane", "session": session}) == "Hello, Jane!"
    assert session.log == ["greet Jane"]


async def test_factories_that_are_not_replaced_are_entered_and_closed() -> None:
    log = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        yield "open"
        log.append("closed")

    @contextmanager
    def shared() -> Iterator[str]:
        yield "shared"
        log.append("shared closed")

    async def task(
        one: str = Depends(opened), two: Annotated[str, Depends(opened)] = "", many: str = Shared(shared)
    ) -> str:
        log.append("ran")
        return one + " " + many

    assert await testing.run(task) == "open shared"
    assert log == ["ran", "closed", "shared closed"]


async def test_shared_values_and_what_they_need_are_replaced_too() -> None:
    def settings() -> str:
        raise AssertionError

    def pool(url: str = Depends(settings)) -> str:
        return f"pool at {url}"

    def outer(inner: str = Shared(pool)) -> str:
        return inner

    async def task(pool: str = Shared(pool), outer: str = Shared(outer)) -> tuple[str, str]:
        return pool, outer

    assert await testing.run(task, overrides={settings: "here"}) == ("pool at here",) * 2
    assert await testing.run(task, overrides={pool: "fake"}) == ("fake", "fake")


async def test_an_override_holds_for_every_binding_of_a_factory() -> None:
    def number(value: int = 0) -> int:
        return value

    async def task(one: int = Depends(number, value=1), two: int = Depends(number, value=2)) -> int:
        return one + two

    assert await testing.run(task) == 3
    assert await testing.run(task, overrides={number: 10}) == 20


async def test_what_a_task_adds_is_collected() -> None:
    async def order(name: str, shadows: Shadow = CurrentShadow()) -> None:
        await shadows.add(greet, key="later", when=timedelta(days=1))(7)
        await shadows.add("elsewhere")(name)
        await shadows.add_many([shadows.call(greet)(number) for number in range(2)])
        assert current_shadow.get() is shadows

    shadow = testing.CollectingShadow()
    await testing.run(order, "Jane", overrides={CurrentShadow: shadow})
    await testing.assert_task_scheduled(shadow, greet, args=(7,), key="later")
    await testing.assert_task_scheduled(shadow, "elsewhere", args=("Jane",))
    await testing.assert_task_count(shadow, greet, count=3)
    assert [each.function_name for each in shadow.added] == ["greet", "elsewhere", "greet", "greet"]


async def test_the_run_itself_has_stand_ins() -> None:
    async def task(
        key: str = TaskKey(),
        execution: Execution = CurrentExecution(),
        worker: Worker = CurrentWorker(),
        logger: Any = TaskLogger(),
        progress: Progress = Progress(),
        limit: ConcurrencyLimit = ConcurrencyLimit(1),
        retry: Retry = Retry(attempts=3),
    ) -> tuple[Any, ...]:
        await progress.set_total(3)
        await progress.increment()
        logger.info("running")
        return key, execution.key, execution.attempt, retry.attempt, worker.name, progress.current

    key, same, *rest = await testing.run(task)
    assert key == same
    assert rest == [1, 1, "testing", 1]
    assert (await testing.run(task, overrides={TaskKey: "mine"}))[:2] == ("mine", "mine")


async def test_a_progress_of_ones_own_can_be_read_afterwards() -> None:
    async def task(progress: Progress = Progress()) -> None:
        await progress.increment(2)
        await progress.set_message("two done")

    progress = Progress()
    await testing.run(task, overrides={Progress: progress})
    assert (progress.current, progress.message) == (2, "two done")


async def test_an_execution_of_ones_own_tells_how_it_went() -> None:
    async def task(progress: Progress = Progress(), retry: Retry = Retry()) -> int:
        await progress.increment(2)
        return retry.attempt

    shadow = testing.CollectingShadow()
    execution = await shadow.add(task)()
    execution.attempt = 4
    assert await testing.run(task, overrides={CurrentExecution: execution}) == 4
    assert execution.progress is not None
    assert execution.progress.current == 2


async def test_what_the_task_raises_is_raised_once() -> None:
    calls = []

    async def task(retry: Retry = Retry(attempts=5)) -> None:
        calls.append(retry.attempt)
        raise LookupError("no such order")

    async def later(retry: Retry = Retry(attempts=5)) -> None:
        retry.after(timedelta(minutes=1))

    with pytest.raises(LookupError, match="no such order"):
        await testing.run(task)
    assert calls == [1]
    with pytest.raises(RetryRequested) as caught:
        await testing.run(later)
    assert caught.value.delay == timedelta(minutes=1)


async def test_what_a_perpetual_is_told_can_be_read() -> None:
    async def task(cursor: int = 0, perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> None:
        if cursor == 3:
            perpetual.cancel()
        else:
            perpetual.perpetuate(cursor + 1)

    perpetual = Perpetual()
    await testing.run(task, 3, overrides={"perpetual": perpetual})
    assert perpetual.cancelled
    await testing.run(task, 0)


async def test_a_timeout_holds() -> None:
    async def slow(limit: Timeout = Timeout(timedelta(milliseconds=20))) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="slow was cancelled because it ran for longer than its Timeout of 20ms"):
        await testing.run(slow)


async def test_a_plain_function_runs_in_a_thread() -> None:
    def plain(session: Session = Depends(open_session)) -> bool:
        return threading.current_thread() is threading.main_thread()

    def awaitable(session: Session = Depends(open_session)) -> Any:
        return asyncio.sleep(0, "awaited")

    assert await testing.run(plain, overrides={open_session: Session()}) is False
    assert await testing.run(awaitable, overrides={open_session: Session()}) == "awaited"


async def test_a_failing_dependency_is_named_with_its_parameter_and_task() -> None:
    with pytest.raises(
        DependencyFailed, match=r"greet was not called, because the dependency Depends\(of_user\) of its"
    ) as caught:
        await testing.run(greet, 7)
    assert isinstance(caught.value.__cause__, AssertionError)


async def test_a_dependency_that_fails_to_close_is_a_failure() -> None:
    @contextmanager
    def transaction() -> Iterator[None]:
        yield
        raise ConnectionError("commit failed")

    async def task(inside: None = Depends(transaction)) -> str:
        return "done"

    with pytest.raises(ConnectionError, match="commit failed"):
        await testing.run(task)


async def test_dependencies_of_ones_own_are_replaced_by_their_class() -> None:
    class Region(Dependency[str]):
        async def __aenter__(self) -> str:
            return "north"

    async def task(region: Any = Region()) -> str:
        return str(region)

    assert await testing.run(task) == "north"
    assert await testing.run(task, overrides={Region: "south"}) == "south"


async def just_tried_again(order: Annotated[int, ConcurrencyLimit(1)], retry: Retry = Retry()) -> None:
    """Nothing to be replaced by a factory."""


async def test_an_override_that_overrides_nothing_is_refused() -> None:
    with pytest.raises(
        ArgumentsError, match=r"names the parameter 'sesion', which greet does not have. Did you mean 'session'"
    ):
        await testing.run(greet, 7, overrides={"sesion": 1})
    with pytest.raises(ArgumentsError, match=r"names 'of_user', .* It has: Retry, ConcurrencyLimit\. Name a parameter"):
        await testing.run(just_tried_again, 7, overrides={of_user: 1})
    with pytest.raises(ArgumentsError, match="'user' both as an argument and in overrides"):
        await testing.run(greet, user=7, overrides={"user": 8})


async def test_a_function_that_takes_anything_takes_any_override() -> None:
    async def anything(**given: int) -> int:
        return sum(given.values())

    assert await testing.run(anything, a=1, overrides={"b": 2}) == 3


async def test_what_could_not_be_a_task_is_refused() -> None:
    async def task(one: Retry = Retry(), two: Retry = Retry()) -> None: ...

    with pytest.raises(RegistrationError, match="has 2 Retry dependencies"):
        await testing.run(task)
