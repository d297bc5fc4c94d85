"""Dependencies that wrap a run, or keep something for the time of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Self

from shadows.dependencies import (
    CompletionHandler,
    Dependency,
    Depends,
    Outcome,
    Runtime,
    Successor,
)
from shadows.execution import Execution
from tests.runs import entering, execution_of, run


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


class Traced(Runtime):
    """A runtime of a user's own."""

    async def run(self, execution: Execution, call: Callable[[], Any]) -> object:
        return f"traced {await call()}"


async def test_a_runtime_wraps_the_call() -> None:
    async def task(runtime: Traced = Traced()) -> str:
        return type(runtime).__name__

    assert await run(execution_of(task)) == "traced Traced"
