"""What a run opened is closed in reverse, and never takes the place of the task's outcome."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import TracebackType
from typing import Self

import pytest

from shadows.dependencies import (
    Dependency,
    Depends,
)
from tests.runs import Log, entering, execution_of, run


@pytest.fixture
def log() -> Log:
    return Log()


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
