"""Plain `def` tasks run in threads, beside the loop."""

import asyncio
import threading
from contextvars import ContextVar
from functools import partial

import pytest

from shadows import ExecutionState, Retry, Shadow, TaskKey
from tests.waiting import wait_until

from .workers import finish, working


async def test_a_plain_function_runs_and_returns(shadows: Shadow) -> None:
    """In a thread of its own: the loop goes on."""

    def add(a: int, b: int) -> tuple[int, str]:
        return a + b, threading.current_thread().name

    execution = await shadows.add(add)(1, b=2)
    await finish(shadows)
    total, thread = await execution.get_result()
    assert total == 3
    assert thread.startswith("shadows task thread")


async def test_plain_functions_run_side_by_side_up_to_the_concurrency(shadows: Shadow) -> None:
    """Three wait for each other, which only works when three run at a time; never more."""
    barrier = threading.Barrier(3, timeout=10)
    most: list[int] = []
    running: set[int] = set()

    def meet(n: int) -> None:
        running.add(n)
        most.append(len(running))
        barrier.wait()
        running.discard(n)

    executions = [await shadows.add(meet)(n) for n in range(6)]
    await finish(shadows, concurrency=3)
    for execution in executions:
        await execution.get_result()
    assert max(most) == 3


async def test_a_plain_function_that_blocks_does_not_hold_up_async_tasks(shadows: Shadow) -> None:
    """Nor the worker's sign of life."""
    may_end = threading.Event()

    def block() -> str:
        return "ended" if may_end.wait(10) else "waited in vain"

    async def quick() -> str:
        return "quick"

    async with working(shadows):
        blocking = await shadows.add(block)()
        assert await (await shadows.add(quick)()).get_result(timeout=10) == "quick"
        may_end.set()
        assert await blocking.get_result() == "ended"


async def test_a_plain_function_fails_is_retried_and_gets_its_dependencies(shadows: Shadow) -> None:
    """As an async one."""

    def flaky(key: str = TaskKey(), retry: Retry = Retry(attempts=3)) -> str:
        if retry.attempt < 3:
            raise ValueError("no")
        return f"{key} at attempt {retry.attempt}"

    execution = await shadows.add(flaky, key="flaky")()
    await finish(shadows)
    assert await execution.get_result() == "flaky at attempt 3"


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration(5), GeneratorExit()])
async def test_whatever_a_plain_function_raises_ends_that_task_alone(shadows: Shadow, error: BaseException) -> None:
    """Neither its thread nor the worker."""

    def fails() -> None:
        raise error

    def works() -> str:
        return "worked"

    failing, working_ = await shadows.add(fails)(), await shadows.add(works)()
    await finish(shadows, concurrency=1)
    await failing.sync()
    assert failing.state is ExecutionState.FAILED
    assert type(error).__name__ in str(failing.error)
    assert await working_.get_result() == "worked"


async def test_a_partial_of_an_async_function_is_awaited(shadows: Shadow) -> None:
    """It looks like a plain function from outside."""

    async def greet(name: str) -> str:
        return f"Hello, {name}"

    shadows.register(partial(greet, "Jane"), names=["greet_jane"])
    execution = await shadows.add("greet_jane")()
    await finish(shadows)
    assert await execution.get_result() == "Hello, Jane"


async def test_a_callable_object_is_a_task_too(shadows: Shadow) -> None:
    """Async or plain, by its `__call__`."""

    class Greeter:
        async def __call__(self, name: str) -> str:
            return f"Hello, {name} from {threading.current_thread().name}"

    shadows.register(Greeter(), names=["greeter"])
    execution = await shadows.add("greeter")("Jane")
    await finish(shadows)
    assert await execution.get_result() == f"Hello, Jane from {threading.current_thread().name}"


shown: ContextVar[str] = ContextVar("shown", default="nothing")


async def test_what_a_task_leaves_in_its_context_is_not_seen_by_the_next(shadows: Shadow) -> None:
    """Threads and the loop are used again; contexts are not."""

    def plain() -> str:
        seen = shown.get()
        shown.set("left by a task")
        return seen

    async def coroutine() -> str:
        return plain()

    executions = [await shadows.add(function)() for function in (plain, coroutine) * 3]
    await finish(shadows, concurrency=1)
    assert {await execution.get_result() for execution in executions} == {"nothing"}


async def test_a_worker_that_stops_hands_back_what_a_thread_still_runs(brief: Shadow) -> None:
    """It can't be stopped, but another worker may start it at once; the late outcome does not count."""
    started, may_end = threading.Event(), threading.Event()
    runs: list[str] = []

    def slow() -> str:
        runs.append("run")
        if len(runs) == 1:
            started.set()
            assert may_end.wait(10)
            return "too late"
        return "in time"

    execution = await brief.add(slow)()
    async with working(brief):
        await wait_until(started.is_set, "the task started")
    async with working(brief):
        assert await execution.get_result(timeout=10) == "in time"
    may_end.set()
    await asyncio.sleep(0)
    assert await execution.get_result() == "in time"
    assert runs == ["run", "run"]
