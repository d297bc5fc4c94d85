"""Dependencies in `Annotated` types, written once and used by many tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from logging import INFO
from typing import TYPE_CHECKING, Annotated, Any, Self

import pytest

from shadows import (
    Depends,
    Logged,
    Perpetual,
    Retry,
    Shadow,
    Shared,
    TaskArgument,
    TaskKey,
    Timeout,
    Worker,
)
from shadows.dependencies import Dependency, Provided
from shadows.errors import ArgumentsError

from .workers import finish

if TYPE_CHECKING:
    from decimal import Decimal as Money

HOUR = timedelta(hours=1)

events: list[str] = []


@pytest.fixture(autouse=True)
def no_events() -> None:
    events.clear()


class Session:
    """Of a database."""

    def __init__(self, customer: int) -> None:
        self.customer = customer


async def settings() -> dict[str, str]:
    return {"currency": "EUR"}


@asynccontextmanager
async def open_session(
    customer: Annotated[int, TaskArgument()], options: Annotated[dict[str, str], Shared(settings)]
) -> AsyncIterator[Session]:
    events.append(f"open for {customer} in {options['currency']}")
    yield Session(customer)
    events.append("close")


type Database = Annotated[Session, Depends(open_session)]


def price(customer: Annotated[int, TaskArgument()]) -> int:
    return 100 + customer


class Counted(Dependency[object]):
    """Notes the value of the parameter that it stands at."""

    noted = ""

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        bound = super().bind_to_parameter(name, value)
        bound.noted = f"{name}={value}"
        return bound

    async def __aenter__(self) -> Self:
        events.append(self.noted)
        return self


async def test_a_type_carries_its_dependency(shadows: Shadow) -> None:
    """`Annotated[Session, Depends(open_session)]`, by a name of its own, and in the signature of a factory."""

    async def bill(customer: int, session: Database, key: Annotated[str, TaskKey()]) -> str:
        events.append("bill")
        return f"{session.customer} by {key}"

    execution = await shadows.add(bill, key="k")(7)
    await finish(shadows)
    assert await execution.get_result() == "7 by k"
    assert events == ["open for 7 in EUR", "bill", "close"]


async def test_behaviours_are_declared_the_same_way(shadows: Shadow) -> None:
    """The parameter is the retry of this run, as with a default."""
    attempts: list[int] = []

    async def flaky(retry: Annotated[Retry, Retry(attempts=3)]) -> None:
        attempts.append(retry.attempt)
        raise ValueError("no")

    execution = await shadows.add(flaky)()
    await finish(shadows)
    with pytest.raises(ValueError, match="no"):
        await execution.get_result()
    assert attempts == [1, 2, 3]


async def test_a_perpetual_one_too(shadows: Shadow) -> None:
    """And it can be told when to end."""
    runs: list[int] = []

    async def tick(perpetual: Annotated[Perpetual, Perpetual()]) -> None:
        runs.append(1)

    await shadows.add(tick)()
    async with Worker(shadows) as worker:
        await worker.run_at_most({"tick": 3})
    assert len(runs) == 3


async def test_what_only_acts_on_an_argument_leaves_it_an_argument(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """It is passed as ever; marks for logs and dependencies of one's own stand side by side."""
    caplog.set_level(INFO, "shadows.worker")

    async def ship(order: Annotated[int, Logged, Counted], express: Annotated[bool, Counted()] = False) -> int:
        return order

    execution = await shadows.add(ship)(5)
    await finish(shadows)
    assert await execution.get_result() == 5
    assert events == ["order=5", "express=False"]
    assert "ship(order=5) with key" in caplog.text


async def test_an_argument_that_is_passed_wins(shadows: Shadow) -> None:
    """As with a default, the dependency is not even asked."""

    def make() -> str:
        events.append("made")
        return "made"

    async def task(value: Annotated[str, Depends(make)]) -> str:
        return value

    execution = await shadows.add(task)("given")
    await finish(shadows)
    assert await execution.get_result() == "given"
    assert events == []


async def test_a_parameter_may_say_that_it_is_provided(shadows: Shadow) -> None:
    """So that a type checker lets it be left out, when the task is added and when it is called."""

    async def bill(customer: int, session: Database = Provided) -> int:
        return session.customer

    execution = await shadows.add(bill)(7)
    await finish(shadows)
    assert await execution.get_result() == 7


async def test_a_type_that_only_type_checkers_import_is_no_obstacle(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """`Money` is not there at run time. Neither the dependency in it nor its neighbours are lost by that."""

    async def bill(
        customer: int, total: Annotated[Money, Depends(price)], limit: Money = Depends(price), key: str = TaskKey()
    ) -> list[Any]:
        return [total, limit, key]

    execution = await shadows.add(bill, key="k")(1)
    await finish(shadows)
    assert await execution.get_result() == [101, 101, "k"]
    assert "can't be resolved" not in caplog.text


async def test_a_dependency_that_is_not_there_at_run_time_is_told(shadows: Shadow) -> None:
    """Its factory is known inside of this test only, and not to who reads the annotation."""

    def make() -> str:
        return "made"

    async def task(value: Annotated[str, Depends(make)]) -> None: ...

    with pytest.raises(ArgumentsError, match=r"'value', whose annotation can't be read, nor a dependency in it"):
        await shadows.add(task)()


async def test_a_limit_on_time_too(shadows: Shadow) -> None:
    """A Timeout that stands in an annotation limits the task."""

    async def limited(limit: Annotated[Timeout, Timeout(HOUR)]) -> bool:
        return limit.remaining() <= HOUR

    execution = await shadows.add(limited)()
    await finish(shadows)
    assert await execution.get_result() is True
