"""Dependencies, runtimes and handlers of one's own."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Annotated, Any, Self

import pytest

from shadows import Dependency, Execution, Retry, Shadow, Worker
from shadows.dependencies import (
    CompletionHandler,
    DependencyFailed,
    FailureHandler,
    Outcome,
    Runtime,
    Successor,
    current_execution,
    current_shadow,
    current_worker,
)

from .workers import finish

events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


class Lock(Dependency[str]):
    """Held while the task runs; knows which one by the current execution."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> str:
        self.holder = current_execution.get().key
        events.append(f"{self.holder} locks {self.name}")
        return self.name

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        events.append(f"{self.holder} frees {self.name} after {error!r}")


async def test_a_dependency_gives_a_value_and_ends_it(shadows: Shadow) -> None:
    """And is told what the task raised."""

    async def task(fails: bool, lock: str = Lock("door")) -> str:
        if fails:
            raise ValueError("no")
        return lock

    good, bad = await shadows.add(task, key="good")(False), await shadows.add(task, key="bad")(True)
    await finish(shadows, concurrency=1)
    assert await good.get_result() == "door"
    with pytest.raises(ValueError, match="no"):
        await bad.get_result()
    assert events == [
        "good locks door", "good frees door after None", "bad locks door", "bad frees door after ValueError('no')",
    ]  # fmt: skip


async def test_what_a_run_writes_on_it_is_that_runs_own(shadows: Shadow) -> None:
    """The instance in the signature is shared by all runs, and each enters a copy."""
    both = asyncio.Barrier(2)

    async def task(lock: str = Lock("door")) -> None:
        await both.wait()

    await shadows.add(task, key="a")()
    await shadows.add(task, key="b")()
    await finish(shadows)
    assert sorted(events) == [
        "a frees door after None", "a locks door", "b frees door after None", "b locks door",
    ]  # fmt: skip


class AtMost(Dependency[object]):
    """Acts on the argument that it stands at."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.name, self.value = "", 0

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        bound = super().bind_to_parameter(name, value)
        bound.name, bound.value = name, value
        return bound

    async def __aenter__(self) -> Self:
        if self.value > self.limit:
            raise ValueError(f"{self.name} is {self.value}, more than {self.limit}")
        return self


async def test_one_in_a_type_is_told_the_arguments_value(shadows: Shadow) -> None:
    """The argument itself stays as it is; what fails names task, parameter and dependency."""

    async def pay(amount: Annotated[int, AtMost(100)]) -> int:
        return amount

    good, bad = await shadows.add(pay)(100), await shadows.add(pay)(101)
    await finish(shadows)
    assert await good.get_result() == 100
    with pytest.raises(
        DependencyFailed,
        match="pay was not called, because the dependency AtMost of its parameter 'amount' failed: ValueError: amount",
    ):
        await bad.get_result()


class Where(Dependency[list[Any]]):
    async def __aenter__(self) -> list[Any]:
        return [current_shadow.get(), current_worker.get(), current_execution.get()]


async def test_it_can_ask_for_shadow_worker_and_execution(shadows: Shadow) -> None:
    """It has no parameters to declare them in."""
    found: list[Any] = []

    async def task(where: list[Any] = Where()) -> None:
        found.extend(where)

    await shadows.add(task, key="k")()
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
        assert found[:2] == [shadows, worker]
        assert found[2].key == "k"


class Unclosable(Dependency[None]):
    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raise OSError("disk full")


async def test_one_that_fails_to_end_is_named(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """The task counts as failed: what the dependency should have done may be half done."""

    async def task(unclosable: None = Unclosable()) -> None: ...

    execution = await shadows.add(task)()
    await finish(shadows)
    with pytest.raises(OSError, match="disk full"):
        await execution.get_result()
    assert "Closing Unclosable after task failed" in caplog.text


class Timed(Runtime):
    """Wraps the call."""

    async def run(self, execution: Execution, call: Callable[[], Awaitable[object]]) -> object:
        events.append(f"begin {execution.function_name}")
        try:
            return await call()
        except LookupError:
            return "nothing"
        finally:
            events.append(f"end {execution.function_name}")


async def test_a_runtime_wraps_the_call(shadows: Shadow) -> None:
    """And may make something else of what it raises, for `async def` and plain `def` tasks alike."""

    async def finds(timed: Timed = Timed()) -> str:
        return "it"

    def finds_nothing(timed: Timed = Timed()) -> str:
        raise LookupError("nothing")

    found, not_found = await shadows.add(finds)(), await shadows.add(finds_nothing)()
    await finish(shadows, concurrency=1)
    assert await found.get_result() == "it"
    assert await not_found.get_result() == "nothing"
    assert events == ["begin finds", "end finds", "begin finds_nothing", "end finds_nothing"]


class RateLimited(Exception):
    """What an API raises."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class WhenTheySay(FailureHandler):
    """Retries by a rule of its own."""

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        if isinstance(outcome.exception, RateLimited) and execution.attempt < 3:
            return Successor(delay=timedelta(seconds=outcome.exception.retry_after))
        return None


async def test_a_failure_handler_retries_by_its_own_rule(shadows: Shadow) -> None:
    """What it does not take is final, or goes to the next handler."""

    async def call(error: str, rule: WhenTheySay = WhenTheySay()) -> None:
        events.append(error)
        raise RateLimited(0.01) if error == "limited" else ValueError(error)

    limited, other = await shadows.add(call)("limited"), await shadows.add(call)("other")
    await finish(shadows)
    assert (events.count("limited"), events.count("other")) == (3, 1)
    with pytest.raises(Exception, match=r"0\.01"):
        await limited.get_result()
    with pytest.raises(ValueError, match="other"):
        await other.get_result()
    assert limited.attempt == 3


async def test_the_first_handler_that_wants_a_retry_wins(shadows: Shadow) -> None:
    """Its rule first, then `Retry` for all the rest."""

    async def call(error: str, rule: WhenTheySay = WhenTheySay(), retry: Retry = Retry(attempts=2)) -> None:
        events.append(error)
        raise RateLimited(0) if error == "limited" else ValueError(error)

    await shadows.add(call)("limited")
    await shadows.add(call)("other")
    await finish(shadows)
    assert (events.count("limited"), events.count("other")) == (3, 2)


class NextPage(CompletionHandler):
    """Follows up while there is more."""

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        page: int = execution.get_argument("page")
        return Successor(args=(page + 1,), kwargs={}) if outcome.result else None


async def test_a_completion_handler_follows_up(shadows: Shadow) -> None:
    """Under the same key, in the script that writes the outcome: never lost, never twice."""

    async def fetch(page: int, more: NextPage = NextPage()) -> bool:
        events.append(f"page {page}")
        return page < 3

    await shadows.add(fetch, key="pages")(1)
    await finish(shadows)
    assert events == ["page 1", "page 2", "page 3"]


class Confused(FailureHandler):
    """Returns what other queues expect."""

    def on_failure(self, execution: Execution, outcome: Outcome) -> Any:
        return True


async def test_a_handler_that_returns_something_else_is_named(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """By function, parameter and class; the outcome is the task's own."""

    async def task(confused: Confused = Confused()) -> None:
        raise ValueError("the task's own")

    execution = await shadows.add(task)()
    await finish(shadows)
    with pytest.raises(ValueError, match="the task's own"):
        await execution.get_result()
    assert "on_failure() returned True; expected a Successor, or None" in caplog.text
    assert "Raised by on_failure() of the handler Confused, its parameter 'confused' of task." in caplog.text


async def test_a_handler_that_the_worker_brought_is_named_as_that(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody finds it in the task's signature."""

    async def task() -> None:
        raise ValueError("the task's own")

    await shadows.add(task)()
    await finish(shadows, dependencies={"alert": Confused()})
    assert "of the handler Confused, its worker's dependency 'alert' of task." in caplog.text
