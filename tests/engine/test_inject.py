"""What a task's dependencies get, and in which order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Annotated, Any, Self

import pytest
from uncalled_for import resolved_dependencies

from shadows.dependencies import (
    CallArgument,
    Dependency,
    Depends,
    Perpetual,
    Retry,
    RetryRequested,
    TaskKey,
    Timeout,
)
from shadows.execution import Execution
from shadowsd.engine.inject import Injection
from tests.runs import Log, context_of, entering, execution_of, run


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


class Seen(Dependency[None]):
    """Wraps a call through an annotation, and records the argument it was bound to."""

    seen: list[Any] = []  # noqa: RUF012 - shared on purpose

    argument: Any = None

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        bound = super().bind_to_parameter(name, value)
        bound.argument = (name, value)
        return bound

    async def __aenter__(self) -> None:
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
