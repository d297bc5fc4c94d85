"""What gates ask for, how they name the values of an argument, and what is refused before anything runs."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest

from shadows import ConcurrencyLimit, Cooldown, Debounce, Depends, RateLimit
from shadows.dependencies.gates import Gate, named
from shadows.dependencies.validation import validate
from shadows.errors import RegistrationError
from shadowsd.engine.inject import Injection
from tests.processes import SOURCES

SECOND = timedelta(seconds=1)


class Colour(Enum):
    RED = "red"


class Text(StrEnum):
    RED = "red"


@dataclass
class Customer:
    number: int


class Plain:
    """Without a repr of its own."""


@pytest.mark.parametrize(
    ("gate", "terms"),
    [
        (ConcurrencyLimit(), ("c", "c:task", 1, 0)),
        (ConcurrencyLimit(3), ("c", "c:task", 3, 0)),
        (ConcurrencyLimit(max_concurrent=3, scope="db"), ("c", "c:db", 3, 0)),
        (RateLimit(5), ("r", "r:task", 5, 1000)),
        (RateLimit(5, 2 * SECOND, drop=True), ("r", "r:task", -5, 2000)),
        (RateLimit(5, timedelta(microseconds=1)), ("r", "r:task", 5, 1)),
        (Cooldown(SECOND), ("w", "w:task", 1000, 0)),
        (Debounce(2 * SECOND, scope="s"), ("d", "d:s", 2000, 0)),
    ],
)
def test_a_gate_asks_for_its_kind_its_name_and_its_numbers(gate: Gate, terms: tuple[object, ...]) -> None:
    assert tuple(gate.terms("task", None)) == terms


def test_the_value_of_its_argument_is_a_part_of_its_name() -> None:
    assert ConcurrencyLimit("customer", 2).terms("bill", "customer", 7).name == "c:bill:customer=7"
    assert RateLimit(2, scope="mail", argument="to").terms("bill", "to", "a@b").name == "r:mail:to=a@b"


async def test_the_gates_of_a_call_are_asked_in_one_order_with_its_arguments_and_defaults() -> None:
    """What drops a run first, and what counts its start last."""

    async def task(
        first: int,
        second: Annotated[str, ConcurrencyLimit(2)] = "x",
        rate: RateLimit = RateLimit(9, argument="first"),
        cooldown: Cooldown = Cooldown(SECOND),
        debounce: Debounce = Debounce(SECOND),
    ) -> None: ...

    injection = Injection(task)
    assert not injection.needed, "gates give no values"
    names = [each.name for each in injection.terms("task", (1,), {})]
    assert names == ["d:task", "w:task", "c:task:second=x", "r:task:first=1"]
    assert injection.terms("task", (1,), {"second": "y"})[2].name == "c:task:second=y"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "1"), (1.5, "1.5"), (True, "True"), (None, "None"), ("a b", "a b"), ("Ä€", "Ä€"), ("'\"", "'\""),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"), (Colour.RED, "<Colour.RED: 'red'>"),
        (Text.RED, "<Text.RED: 'red'>"), (b"a", "b'a'"), ([1, "1"], "list(1, '1')"), ((1, [2]), "tuple(1, list(2))"),
        ({3, 1, 2}, "{1, 2, 3}"), ({"b": 1, "a": {2, 1}}, "{'a': {1, 2}, 'b': 1}"), (SECOND, repr(SECOND)),
        ([Text.RED], "list(<Text.RED: 'red'>)"),
    ],
)  # fmt: skip
def test_values_are_named_so_that_people_can_read_it(value: Any, name: str) -> None:
    assert named(value) == name


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "x" * 10_000, "\ud800", "", {"k": "v" * 200}])
def test_values_that_no_terminal_could_show_are_known_by_their_digest(value: Any) -> None:
    """No key of Redis grows with an argument, and none can reach another's."""
    assert named(value) == named(value)
    if value:
        assert len(named(value)) == 64
    assert named(value) != named(f"{value}x")


def test_a_set_has_the_same_name_in_every_process() -> None:
    """It prints in another order where hashes are salted otherwise."""
    code = "from shadows.dependencies.gates import named; print(named({*'abcdefgh'}))"
    names = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": SOURCES}, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(names) == 1


@pytest.mark.parametrize("value", [Plain(), [Plain()], {"a": (Plain(),)}, Customer(Plain())])  # type: ignore[arg-type]
def test_an_object_that_prints_as_its_address_is_refused(value: object) -> None:
    """Each process would have a limit of its own."""
    with pytest.raises(TypeError, match=r"has an address in it.*Limit by an argument such as an id"):
        named(value)
    assert named(Customer(7)) == "Customer(number=7)"


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: ConcurrencyLimit(0), r"ConcurrencyLimit\(max_concurrent=0\) lets nothing through"),
        (lambda: ConcurrencyLimit("a", -1), r"max_concurrent=-1"),
        (lambda: ConcurrencyLimit(max_concurrent=1.5), "whole number"),  # type: ignore[arg-type] # the mistake
        (lambda: RateLimit(0), r"RateLimit\(limit=0\)"),
        (lambda: RateLimit(2.5), "whole number"),  # type: ignore[arg-type] # the mistake
        (lambda: RateLimit(1, timedelta(0)), r"RateLimit\(per=0:00:00\) has no effect"),
        (lambda: Cooldown(timedelta(0)), r"Cooldown\(window=0:00:00\) has no effect"),
        (lambda: Debounce(-SECOND), r"Debounce\(settle=-1 day, 23:59:59\) has no effect"),
        (lambda: Cooldown(SECOND, scope=""), r"Cooldown\(scope=''\) can't be shown"),
        (lambda: RateLimit(1, scope="a\nb"), r"scope='a\\nb'"),
        (lambda: ConcurrencyLimit(scope="x" * 101), "1 to 100 characters"),
        (lambda: ConcurrencyLimit(scope="\ud800"), "can be printed"),
    ],
)
def test_what_can_not_be_right_is_refused_where_it_is_written(declare: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        declare()


def refused(function: Any, said: str) -> None:
    with pytest.raises(RegistrationError, match=said):
        validate(function, "bill")


def test_a_limit_by_what_is_no_argument_is_refused_when_the_task_is_registered() -> None:
    async def misspelt(customer: int, limit: ConcurrencyLimit = ConcurrencyLimit("costumer")) -> None: ...

    async def by_dependency(
        client: int = Depends(lambda: 1), limit: RateLimit = RateLimit(1, argument="client")
    ) -> None: ...

    async def of_many(*customers: Annotated[int, ConcurrencyLimit(1)]) -> None: ...

    refused(misspelt, r"limits by 'costumer', which is no argument of the task. Its arguments are: 'customer'")
    refused(by_dependency, r"limits by 'client', which is no argument of the task. Its arguments are: none")
    refused(of_many, r"parameter 'customers' of task 'bill'")


def test_a_gate_in_a_factory_is_refused() -> None:
    def connection(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> int:
        return 1

    def annotated(number: Annotated[int, ConcurrencyLimit(1)] = 1) -> int:
        return number

    async def task(connection: int = Depends(connection)) -> None: ...

    async def other(connection: int = Depends(annotated)) -> None: ...

    refused(other, r"whose parameter 'number' is a ConcurrencyLimit, which only works on the task itself")
    refused(task, r"whose parameter 'limit' is a ConcurrencyLimit, which only works on the task itself")


def test_a_task_has_one_debounce_and_as_many_other_gates_as_it_likes() -> None:
    async def two(a: Annotated[int, Debounce(SECOND)], b: Debounce = Debounce(SECOND)) -> None: ...

    async def many(
        a: Annotated[int, ConcurrencyLimit(1), RateLimit(1)], b: ConcurrencyLimit = ConcurrencyLimit(9)
    ) -> None: ...

    refused(two, "has 2 Debounce dependencies")
    validate(many, "bill")


async def test_a_direct_call_of_the_function_gets_the_gate_itself() -> None:
    """A task is a function, and may be called in a test."""
    async with ConcurrencyLimit(3) as limit:
        assert isinstance(limit, ConcurrencyLimit)
