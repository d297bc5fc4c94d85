"""A dependency that fails fails its task by name, and leaves the handlers to decide what follows."""

from datetime import timedelta
from typing import Annotated, Any, Self

import pytest

from shadows.dependencies import (
    CompletionHandler,
    Dependency,
    DependencyFailed,
    Depends,
    FailureHandler,
    Outcome,
    Perpetual,
    Retry,
    Successor,
)
from shadows.execution import Execution
from tests.runs import Log, entering, execution_of, run


@pytest.fixture
def log() -> Log:
    return Log()


class FailsToEnter(Dependency[None]):
    """Wraps a call, and can't."""

    async def __aenter__(self) -> None:
        raise LookupError("not today")


async def named() -> str:
    return "a name"


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
    async def task(order: Annotated[int, FailsToEnter()]) -> None: ...

    with pytest.raises(DependencyFailed, match="FailsToEnter of its parameter 'order' failed: LookupError"):
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
        name: Annotated[str, Alert()] = Depends(named),
        fails: Annotated[int, Broken()] = 1,
    ) -> None: ...

    resolved = entering(execution_of(task, 1))
    with pytest.raises(DependencyFailed, match="'fails'"):
        await resolved.__aenter__()
    assert [getattr(each, "argument", None) for each in resolved.failure_handlers] == [1, "a name"]
    assert list[object](resolved.completion_handlers) == resolved.failure_handlers
