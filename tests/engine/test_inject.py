"""What a task's dependencies get, in which order, and what happens when one of them fails."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Annotated, Any, Self

import pytest
from uncalled_for import resolved_dependencies

from shadows.dependencies import (
    CallArgument,
    CompletionHandler,
    Dependency,
    DependencyFailed,
    Depends,
    FailureHandler,
    Outcome,
    Perpetual,
    Retry,
    RetryRequested,
    Runtime,
    Successor,
    TaskKey,
    Timeout,
)
from shadows.execution import Execution
from shadowsd.engine.inject import Injection
from tests.runs import context_of, entering, execution_of, run


class Log(list[str]):
    """What was opened, closed and called, in order."""

    def opens(self, name: str) -> Callable[[], Any]:
        """A factory of that name, which is an async context manager."""

        @asynccontextmanager
        async def factory() -> AsyncIterator[str]:
            self.append(f"open {name}")
            try:
                yield name
            except BaseException as error:
                self.append(f"{name} sees {type(error).__name__}")
                raise
            finally:
                self.append(f"close {name}")

        return factory


@pytest.fixture
def log() -> Log:
    return Log()


def test_nothing_is_needed_where_nothing_is_declared() -> None:
    async def plain(order: int, *rest: int, name: str = "x") -> None: ...

    assert not Injection(plain).needed
    assert not Injection(dict).needed, "a class written in C, which tells no signature"


def test_what_acts_on_a_task_is_known_without_a_run() -> None:
    async def busy(
        retry: Retry = Retry(attempts=3),
        perpetual: Perpetual = Perpetual(automatic=True),
        limit: Timeout = Timeout(timedelta(seconds=1)),
    ) -> None: ...

    injection = Injection(busy)
    assert injection.needed
    assert injection.retry is not None
    assert injection.retry.attempts == 3
    assert injection.perpetual is not None
    assert injection.perpetual.automatic
    assert injection.timeout is not None

    async def idle(key: str = TaskKey()) -> None: ...

    none = Injection(idle)
    assert (none.retry, none.perpetual, none.timeout) == (None, None, None)


def sync_function() -> str:
    return "sync"


async def async_function() -> str:
    return "async"


@contextmanager
def sync_manager() -> Iterator[str]:
    yield "sync manager"


@asynccontextmanager
async def async_manager() -> AsyncIterator[str]:
    yield "async manager"


def nested(inner: str = Depends(async_manager), order: int = CallArgument()) -> tuple[str, int]:
    return inner, order


async def every_kind(
    order: int,
    a: str = Depends(sync_function),
    b: str = Depends(async_function),
    c: str = Depends(sync_manager),
    d: str = Depends(async_manager),
    e: tuple[str, int] = Depends(nested),
    f: tuple[str, int] = Depends(nested, inner="bound"),
    g: int = CallArgument("order"),
    h: Annotated[str, Depends(sync_function)] = "default",
) -> dict[str, Any]:
    return {name: value for name, value in locals().items() if name != "order"}


async def test_every_kind_of_factory_gives_its_value() -> None:
    async def check(order: int, **kwargs: Any) -> dict[str, Any]:
        return kwargs

    got = await run(execution_of(every_kind, 7))
    assert got == {
        "a": "sync",
        "b": "async",
        "c": "sync manager",
        "d": "async manager",
        "e": ("async manager", 7),
        "f": ("bound", 7),
        "g": 7,
        "h": "sync",
    }


async def test_we_resolve_what_uncalled_for_resolves() -> None:
    """We set two of its context variables ourselves: a release that moves them must not pass unseen."""
    async with (
        resolved_dependencies(every_kind, {"order": 7}) as theirs,
        entering(execution_of(every_kind, 7)) as ours,
    ):
        assert ours.kwargs == theirs


async def first() -> int:
    return 1


async def second(value: int = Depends(first)) -> int:
    return value


async def third(value: int = Depends(second)) -> int:
    return value


async def three_deep(order: int, value: int = Depends(third)) -> int:
    return value


@pytest.mark.timed
async def test_resolving_costs_less_than_uncalled_fors_own_way() -> None:
    """Measured at 11 us against 15 us for three nested dependencies; the budget is 15 us."""
    injection, execution = Injection(three_deep), execution_of(three_deep, 7)

    async def ours() -> None:
        async with injection.enter(context_of(execution), execution.args, execution.kwargs) as resolved:
            await three_deep(7, **resolved.kwargs)

    async def theirs() -> None:
        async with resolved_dependencies(three_deep, {"order": 7}) as resolved:
            await three_deep(7, **resolved)

    async def cost(way: Callable[[], Any]) -> float:
        start = time.perf_counter()
        for _ in range(500):
            await way()
        return time.perf_counter() - start

    rounds = [(await cost(ours), await cost(theirs)) for _ in range(20)]
    assert min(own for own, _ in rounds) < min(their for _, their in rounds)


async def test_a_value_is_made_once_per_run() -> None:
    made: list[object] = []

    def thing() -> object:
        made.append(object())
        return made[-1]

    def user(thing: object = Depends(thing)) -> object:
        return thing

    async def task(a: object = Depends(thing), b: object = Depends(user)) -> tuple[object, object]:
        return a, b

    first = await run(execution_of(task))
    second = await run(execution_of(task))
    assert first == (made[0], made[0])
    assert second == (made[1], made[1])


async def test_dependencies_close_in_reverse(log: Log) -> None:
    outer = log.opens("outer")

    @asynccontextmanager
    async def inner(value: str = Depends(outer)) -> AsyncIterator[str]:
        log.append(f"open inner over {value}")
        yield "inner"
        log.append("close inner")

    async def task(a: str = Depends(inner), b: str = Depends(log.opens("last"))) -> None:
        log.append("task")

    await run(execution_of(task))
    assert log == [
        "open outer",
        "open inner over outer",
        "open last",
        "task",
        "close last",
        "close inner",
        "close outer",
    ]


@pytest.mark.parametrize(
    "execution",
    [
        execution_of(every_kind, 7, "mine"),
        execution_of(every_kind, 7, a="mine"),
        execution_of(every_kind, order=7, a="mine"),
    ],
    ids=["positional", "keyword", "keywords only"],
)
async def test_an_explicit_argument_wins(execution: Execution) -> None:
    assert (await run(execution))["a"] == "mine"


async def test_a_dependency_whose_argument_is_passed_is_not_resolved(log: Log) -> None:
    async def task(order: int, a: str = Depends(log.opens("a")), retry: object = Retry(attempts=5)) -> object:
        return a, retry

    execution = execution_of(task, 1, None, retry=None)
    async with entering(execution) as resolved:
        assert resolved.kwargs == {}
        assert resolved.failure_handlers == []
    assert await run(execution) == (None, None)
    assert log == []


async def test_values_reach_a_function_in_a_thread() -> None:
    def task(order: int, a: str = Depends(async_function)) -> tuple[int, str]:
        return order, a

    execution = execution_of(task, 3)
    async with entering(execution) as resolved:
        assert await asyncio.to_thread(task, 3, **resolved.kwargs) == (3, "async")


class Counter(Dependency[object]):
    """A dependency with state, as users write them."""

    def __init__(self) -> None:
        self.count = 0
        self.bound: tuple[str, Any] | None = None

    async def __aenter__(self) -> Self:
        self.count += 1
        return self


async def test_a_dependencys_state_belongs_to_one_run() -> None:
    def uses(inner: Counter = Counter()) -> list[Counter]:
        return [inner]

    async def task(own: Counter = Counter(), nested: list[Counter] = Depends(uses)) -> tuple[Counter, Counter]:
        return own, nested[0]

    first, second = await run(execution_of(task)), await run(execution_of(task))
    assert [each.count for each in (*first, *second)] == [1, 1, 1, 1]
    assert len({id(each) for each in (*first, *second)}) == 4


async def test_the_state_of_a_wrapping_dependency_belongs_to_one_run() -> None:
    entered: list[Counter] = []

    class Wrapping(Counter):
        async def __aenter__(self) -> Self:
            entered.append(self)
            return await super().__aenter__()

    async def task(order: Annotated[int, Wrapping()]) -> None: ...

    await run(execution_of(task, 1))
    await run(execution_of(task, 2))
    assert [each.count for each in entered] == [1, 1]


class Seen(Dependency[None]):
    """Wraps a call through an annotation, and records the argument it was bound to."""

    seen: list[Any] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.argument: Any = None

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        bound = super().bind_to_parameter(name, value)
        bound.argument = (name, value)
        return bound

    async def __aenter__(self) -> None:
        if self.fails:
            raise LookupError("not today")
        self.seen.append(self.argument)


async def test_an_annotation_wraps_the_call_and_sees_the_argument() -> None:
    Seen.seen.clear()

    async def task(
        a: Annotated[int, Seen()],
        b: Annotated[int, Seen()] = 2,
        c: Annotated[str, Seen()] = Depends(async_function),
    ) -> None: ...

    await run(execution_of(task, 1))
    assert Seen.seen == [("a", 1), ("b", 2), ("c", "async")]


async def broken() -> str:
    raise ConnectionError("no database")


def over_broken(database: str = Depends(broken)) -> str:
    return database


async def test_a_failing_dependency_fails_the_task_and_is_named() -> None:
    async def task(order: int, report: str = Depends(over_broken)) -> None: ...

    with pytest.raises(DependencyFailed) as raised:
        await run(execution_of(task, 1))
    message = str(raised.value)
    for part in ("task", "'report'", "Depends(over_broken)", "ConnectionError: no database"):
        assert part in message
    assert isinstance(raised.value.__cause__, ConnectionError)


async def test_a_failing_annotation_is_named_too() -> None:
    async def task(order: Annotated[int, Seen(fails=True)]) -> None: ...

    with pytest.raises(DependencyFailed, match="Seen of its parameter 'order' failed: LookupError"):
        await run(execution_of(task, 1))


async def test_what_was_open_when_one_failed_is_closed_and_told(log: Log) -> None:
    async def task(a: str = Depends(log.opens("a")), b: str = Depends(broken)) -> None:
        log.append("task")

    with pytest.raises(DependencyFailed):
        await run(execution_of(task))
    assert log == ["open a", "a sees DependencyFailed", "close a"]


async def test_the_handlers_are_there_when_a_dependency_failed() -> None:
    """Otherwise a database that is down for a second would fail a task that has nine attempts left."""

    async def task(
        a: str = Depends(broken), retry: Retry = Retry(attempts=9), perpetual: Perpetual = Perpetual()
    ) -> None: ...

    resolved = entering(execution_of(task))
    with pytest.raises(DependencyFailed):
        await resolved.__aenter__()
    [handler] = resolved.failure_handlers
    assert handler.on_failure(execution_of(task), Outcome(timedelta(0))) == Successor(delay=timedelta(0))
    assert len(resolved.completion_handlers) == 1


class Broken(FailureHandler):
    """A handler that can't be entered."""

    async def __aenter__(self) -> object:
        raise LookupError("no pager")

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        raise NotImplementedError


class Alert(FailureHandler, CompletionHandler):
    """Both handlers in one, bound to an argument."""

    argument: Any = None

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        bound = super().bind_to_parameter(name, value)
        bound.argument = value
        return bound

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return None

    async def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return None


async def test_a_handler_that_fails_does_not_take_the_others_with_it() -> None:
    async def task(
        order: Annotated[int, Broken()],
        name: Annotated[str, Alert()],
        alert: Broken = Broken(),
        retry: Retry = Retry(attempts=9),
    ) -> None: ...

    resolved = entering(execution_of(task, 1, "x"))
    with pytest.raises(DependencyFailed, match="Broken of its parameter 'alert' failed: LookupError") as raised:
        await resolved.__aenter__()
    assert isinstance(raised.value.__cause__, LookupError)
    assert [type(handler) for handler in resolved.failure_handlers] == [Retry, Alert]


async def test_a_handler_in_an_annotation_sees_the_argument() -> None:
    async def task(
        order: Annotated[int, Alert()],
        name: Annotated[str, Alert()] = Depends(async_function),
        fails: Annotated[int, Broken()] = 1,
    ) -> None: ...

    resolved = entering(execution_of(task, 1))
    with pytest.raises(DependencyFailed, match="'fails'"):
        await resolved.__aenter__()
    assert [getattr(each, "argument", None) for each in resolved.failure_handlers] == [1, "async"]
    assert list[object](resolved.completion_handlers) == resolved.failure_handlers


class Traced(Runtime):
    """A runtime of a user's own."""

    async def run(self, execution: Execution, call: Callable[[], Any]) -> object:
        return f"traced {await call()}"


class Chain(CompletionHandler):
    """A completion handler of a user's own, which only decides."""

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return Successor(args=(outcome.result,))


async def test_a_users_own_handler_needs_no_more_than_its_decision() -> None:
    async def task(chain: Chain = Chain()) -> bool:
        return isinstance(chain, Chain)

    execution = execution_of(task)
    async with entering(execution) as resolved:
        assert await task(**resolved.kwargs)
    [chain] = resolved.completion_handlers
    assert chain.on_complete(execution, Outcome(timedelta(0), result=7)) == Successor(args=(7,))


async def test_a_runtime_wraps_the_call() -> None:
    async def task(runtime: Traced = Traced()) -> str:
        return type(runtime).__name__

    assert await run(execution_of(task)) == "traced Traced"


async def test_a_factory_reads_the_tasks_retry_and_may_ask_for_one() -> None:
    def lock(retry: Retry = CallArgument("retry")) -> None:
        retry.after(timedelta(seconds=retry.attempt))

    async def task(lock: None = Depends(lock), retry: Retry = Retry(attempts=3)) -> None: ...

    with pytest.raises(RetryRequested) as raised:
        await run(execution_of(task, attempt=2))
    assert raised.value.delay == timedelta(seconds=2)


async def test_a_factory_gets_the_very_timeout_that_the_task_has() -> None:
    """A copy of its own would have no deadline to extend."""

    def opened(limit: Timeout = CallArgument("limit")) -> list[Timeout]:
        return [limit]

    async def task(opened: list[Timeout] = Depends(opened), limit: Timeout = Timeout(timedelta(hours=1))) -> bool:
        return opened[0] is limit

    assert await run(execution_of(task))


async def test_a_dependency_sees_how_its_task_ended(log: Log) -> None:
    """A transaction rolls back when the task failed."""

    async def task(a: str = Depends(log.opens("a"))) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run(execution_of(task))
    assert log == ["open a", "a sees ValueError", "close a"]


async def test_a_dependency_can_not_turn_a_failure_into_a_success() -> None:
    @contextmanager
    def swallows() -> Iterator[None]:
        with suppress(ValueError):
            yield

    async def task(a: None = Depends(swallows)) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run(execution_of(task))


@asynccontextmanager
async def fails_to_close() -> AsyncIterator[str]:
    try:
        yield "x"
    finally:
        raise OSError("disk full")


class FailsToClose(Dependency[object]):
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise OSError("still full")


async def test_a_failure_to_close_leaves_the_result_and_is_logged(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    async def task(
        a: str = Depends(log.opens("a")), b: str = Depends(fails_to_close), c: FailsToClose = FailsToClose()
    ) -> str:
        return "done"

    execution = execution_of(task)
    with caplog.at_level(logging.ERROR):
        async with entering(execution) as resolved:
            assert await task(**resolved.kwargs) == "done"
    assert [record.getMessage() for record in caplog.records] == [
        "Closing FailsToClose after task failed; the outcome stays as it was",
        "Closing fails_to_close after task failed; the outcome stays as it was",
    ]
    assert str(resolved.closing_error) == "still full"
    assert log == ["open a", "close a"], "the others are closed all the same, and were told of a success"


async def test_a_failure_to_close_is_noted_on_the_tasks_own_exception() -> None:
    async def task(a: str = Depends(fails_to_close)) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as raised:
        await run(execution_of(task))
    assert raised.value.__notes__ == ["Then closing fails_to_close failed: OSError: disk full"]


class Reraises(Dependency[object]):
    """Closes by raising what it was told, as a hand-written `__aexit__` may do."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert exc_value is not None
        raise exc_value


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError("stop")])
async def test_raising_the_tasks_own_exception_again_is_no_failure_to_close(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def task(a: Reraises = Reraises()) -> None:
        raise error

    execution = execution_of(task)
    with pytest.raises(type(error)):
        async with entering(execution) as resolved:
            await task(**resolved.kwargs)
    assert resolved.closing_error is None
    assert caplog.records == []


async def test_a_cancellation_passes_through_and_closes(log: Log) -> None:
    started = asyncio.Event()

    async def task(a: str = Depends(log.opens("a"))) -> None:
        started.set()
        await asyncio.Event().wait()

    attempt = asyncio.ensure_future(run(execution_of(task)))
    await started.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert log == ["open a", "a sees CancelledError", "close a"]


async def test_a_cancellation_while_resolving_is_no_failed_dependency(log: Log) -> None:
    started = asyncio.Event()

    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    async def task(a: str = Depends(log.opens("a")), b: None = Depends(slow)) -> None: ...

    attempt = asyncio.ensure_future(run(execution_of(task)))
    await started.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert log == ["open a", "a sees CancelledError", "close a"]


async def test_a_cancellation_while_closing_closes_the_rest(log: Log) -> None:
    closing = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        yield
        closing.set()
        await asyncio.Event().wait()

    async def task(a: str = Depends(log.opens("a")), b: None = Depends(slow)) -> None: ...

    attempt = asyncio.ensure_future(run(execution_of(task)))
    await closing.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert log == ["open a", "close a"]
