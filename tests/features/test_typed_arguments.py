"""Arguments arrive as what the task's annotations say, and wrong ones are refused where they are added."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from shadows import Shadow
from shadows.errors import ArgumentsError

from .workers import finish


class Colour(Enum):
    RED = "red"


@dataclass
class Item:
    name: str
    price: Decimal


@dataclass
class Order:
    id: UUID
    placed: datetime
    items: list[Item]
    tags: set[str] = field(default_factory=set)


class Point(NamedTuple):
    x: int
    y: int


class Customer(pydantic.BaseModel):
    name: str
    since: date
    orders: list[UUID] = []


class Event(msgspec.Struct):
    at: datetime
    kind: Colour


class Options(TypedDict, total=False):
    limit: int
    deadline: datetime


ID = UUID("0198c0de-0000-7000-8000-000000000001")
NOW = datetime(2025, 3, 5, 13, 58, 21, 552644, tzinfo=UTC)
ORDER = Order(ID, NOW, [Item("teapot", Decimal("19.90"))], {"fragile"})

VALUES: list[tuple[Any, Any]] = [
    (datetime, NOW),
    (datetime, datetime(2025, 3, 5, 13, 58, 21)),  # noqa: DTZ001 # naive ones stay naive
    (date, date(2025, 3, 5)),
    (timedelta, timedelta(days=1, microseconds=5)),
    (UUID, ID),
    (Decimal, Decimal("0.1000")),
    (Colour, Colour.RED),
    (Order, ORDER),
    (list[Order], [ORDER, ORDER]),
    (dict[str, Order], {"a": ORDER}),
    (Customer, Customer(name="Jane", since=date(2020, 2, 29), orders=[ID])),
    (Event, Event(NOW, Colour.RED)),
    (Options, {"limit": 3, "deadline": NOW}),
    (Point, Point(1, 2)),
    (set[int], {1, 2, 3}),
    (frozenset[str], frozenset({"a"})),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (Order | None, None),
    (Order | None, ORDER),
    (datetime | str, "2025-03-05T13:58:21Z"),
    (datetime | str, NOW),
    (bytes, b"\0\xff"),
    (float, 1.0),
    (int, 2**63),
]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=[str(n) for n in range(len(VALUES))])
async def test_an_argument_and_a_result_arrive_as_their_annotation_says(
    shadows: Shadow, annotation: Any, value: Any
) -> None:
    """Type and value, there and back."""
    seen: list[Any] = []
    task = task_of(annotation, seen)
    execution = await shadows.add(task)(value)
    await finish(shadows)
    result = await execution.get_result()
    for each in (seen[0], result):
        assert each == value
        assert type(each) is type(value)


def task_of(annotation: Any, seen: list[Any]) -> Callable[..., Any]:
    async def task(value: annotation) -> annotation:  # type: ignore[valid-type] # made by the test
        seen.append(value)
        return value

    return task


async def test_wrong_arguments_are_refused_in_the_caller_with_the_parameter_named(shadows: Shadow) -> None:
    """Hours later, in a worker's log, nobody would know who wrote it."""

    async def order(customer: int, placed: datetime, note: str = "") -> None: ...

    with pytest.raises(ArgumentsError, match="customer"):
        await shadows.add(order)("Jane", NOW)  # type: ignore[arg-type] # the mistake in question
    with pytest.raises(ArgumentsError, match="placed"):
        await shadows.add(order)(1, "yesterday")  # type: ignore[arg-type] # the mistake in question
    with pytest.raises(ArgumentsError, match="'placed'"):
        await shadows.add(order)(1)  # type: ignore[call-arg] # the mistake in question
    with pytest.raises(ArgumentsError, match="notes"):
        await shadows.add(order)(1, NOW, notes="x")  # type: ignore[call-arg] # the mistake in question
    assert (await shadows.snapshot()).total == 0


async def test_a_value_that_would_come_back_as_something_else_is_refused_with_the_remedy(shadows: Shadow) -> None:
    """Without an annotation nobody knows that a list of numbers was a set once."""

    async def task(value) -> None: ...  # type: ignore[no-untyped-def] # the mistake in question

    with pytest.raises(ArgumentsError, match=r"argument value is \{1, 2, 3\}.*Annotate the parameter"):
        await shadows.add(task)({1, 2, 3})
    execution = await shadows.add(task)([1, 2, 3])
    await finish(shadows)
    await execution.get_result()


async def test_arguments_after_a_star_are_typed_one_by_one(shadows: Shadow) -> None:
    """`*args: T` and `**kwargs: T` mean each of them."""
    seen: list[Any] = []

    async def task(*moments: datetime, **ids: UUID) -> None:
        seen.extend((moments, ids))

    await shadows.add(task)(NOW, NOW, first=ID)
    await finish(shadows)
    assert seen == [(NOW, NOW), {"first": ID}]
