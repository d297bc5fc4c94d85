"""What handlers and runtimes of the users' own make of a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from shadows import Depends, Execution, ExecutionState, Shadow
from shadows.dependencies import CompletionHandler, FailureHandler, Outcome, Runtime, Successor
from tests.features.workers import finish, working
from tests.waiting import wait_until


class Doubled(CompletionHandler):
    """Lets a task follow itself once, with other arguments."""

    async def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        n: int = execution.get_argument("n")
        return Successor(args=(2 * n,), kwargs={}) if n < 8 else None


async def test_a_handler_may_be_async_and_give_the_successor_other_arguments(shadows: Shadow) -> None:
    """Under the same key, one after the other."""
    seen: list[int] = []

    async def grow(n: int, doubled: Doubled = Doubled()) -> None:
        seen.append(n)

    await shadows.add(grow, key="grow")(1)
    await finish(shadows)
    assert seen == [1, 2, 4, 8]


class LaterToday(CompletionHandler):
    """Lets a task follow itself at a moment, with keyword arguments."""

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor:
        return Successor(when=datetime(2100, 1, 1, tzinfo=UTC), kwargs={"n": 5})


async def test_a_successor_may_have_a_moment_of_its_own(shadows: Shadow) -> None:
    """By Redis's clock."""

    async def once(n: int, later: LaterToday = LaterToday()) -> None: ...

    await shadows.add(once, key="once")(1)
    async with working(shadows):

        async def follows() -> bool:
            execution = await shadows.get_execution("once")
            return execution is not None and execution.state is ExecutionState.SCHEDULED

        await wait_until(follows, "the successor is scheduled")
    execution = await shadows.get_execution("once")
    assert execution is not None
    assert (execution.when, execution.kwargs) == (datetime(2100, 1, 1, tzinfo=UTC), {"n": 5})


class Broken(FailureHandler):
    """A handler with a bug."""

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        raise LookupError("a bug in the handler")


class BrokenAfterwards(CompletionHandler):
    """Another one."""

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        raise LookupError("a bug in the handler")


async def test_a_handler_that_fails_ends_the_task_with_the_first_error(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """The task's own failure matters more; what should have followed does not, and the log says so."""

    async def fails(broken: Broken = Broken()) -> None:
        raise ValueError("the task's own")

    async def works(broken: BrokenAfterwards = BrokenAfterwards()) -> str:
        return "fine"

    failing, working_ = await shadows.add(fails)(), await shadows.add(works)()
    await finish(shadows)
    with pytest.raises(ValueError, match="the task's own"):
        await failing.get_result()
    with pytest.raises(LookupError, match="a bug in the handler"):
        await working_.get_result()
    assert caplog.text.count("what should have followed the run does not") == 2


async def test_a_dependency_that_fails_to_close_fails_the_task(shadows: Shadow) -> None:
    """A commit that failed is no success, though the function returned."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[None]:
        yield
        raise ConnectionError("could not commit")

    async def task(inside: None = Depends(transaction)) -> str:
        return "done"

    execution = await shadows.add(task)()
    await finish(shadows)
    with pytest.raises(ConnectionError, match="could not commit"):
        await execution.get_result()


class Twice(Runtime):
    """Wraps the call, as `Timeout` does."""

    async def run(self, execution: Execution, call: Any) -> object:
        result = await call()
        return f"{execution.function_name} said {result}"


async def test_a_runtime_of_the_users_wraps_the_call(shadows: Shadow) -> None:
    """Its result is the task's; in a thread too."""

    async def coroutine(twice: Twice = Twice()) -> str:
        return "hello"

    def plain(twice: Twice = Twice()) -> str:
        return "hello"

    executions = [await shadows.add(coroutine)(), await shadows.add(plain)()]
    await finish(shadows)
    assert [await each.get_result() for each in executions] == ["coroutine said hello", "plain said hello"]


async def test_a_successor_that_can_not_be_encoded_fails_its_run(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not leave the slot taken, nor the entry pending for ever."""

    class Hostile(CompletionHandler):
        def on_complete(self, execution: Execution, outcome: Outcome) -> Successor:
            return Successor(args=(object(),))

    async def task(n: int, hostile: Hostile = Hostile()) -> None: ...

    execution = await shadows.add(task)(1)
    await finish(shadows)
    await execution.sync()
    assert execution.state is ExecutionState.FAILED
    assert "could not be ended as it should" in caplog.text
