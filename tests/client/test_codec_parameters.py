"""Arguments reach the parameters that they were given for, and values that are no plain data are told apart."""

import typing
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from shadows.codec.identical import identical
from shadows.errors import ArgumentsError
from tests.client.roundtrips import called, sent


class Metres(float):
    pass


def test_a_zone_comes_back_with_its_rules() -> None:
    """A task that adds half a year to a summer's day must end in winter time."""
    back = sent(datetime, datetime(2026, 7, 2, tzinfo=ZoneInfo("Europe/Paris")))
    assert (back + timedelta(days=180)).utcoffset() == timedelta(hours=1)


def test_an_int_for_a_float_comes_back_as_a_float() -> None:
    """Type checkers pass ints for floats, so `add(f)(1)` must not fail; the worker gets what is annotated."""
    assert identical(sent(float, 1), 1.0)
    assert identical(sent(list[float], [1, 2.5]), [1.0, 2.5])
    assert identical(sent(dict[float, int], {1: 1}), {1.0: 1})
    assert identical(sent(float | str, 3), 3.0)


def test_an_int_beyond_what_python_prints_is_still_shown() -> None:
    """Python refuses to print ints of over 4300 digits, and the refusal must not end in that refusal."""
    with pytest.raises(ArgumentsError, match="its repr raises ValueError"):
        sent(str, 10**5000)


def test_a_long_value_is_shown_short() -> None:
    """Nobody reads a megabyte in an error."""
    with pytest.raises(ArgumentsError) as caught:
        sent(int, "a" * 1_000_000)
    assert len(str(caught.value)) < 500


def test_each_of_args_and_kwargs_follows_the_annotation() -> None:
    """`*args: T` means that each is a T."""

    async def task(first: int, *rest: date, flag: bool = False, **named: UUID) -> None: ...

    day, identity = date(2026, 1, 1), uuid4()
    assert called(task, 1, day, day, flag=True, a=identity) == ((1, day, day), {"flag": True, "a": identity})
    assert called(task, 1) == ((1,), {})
    with pytest.raises(ArgumentsError, match=r"argument rest\[1\]"):
        called(task, 1, day, "2026-01-01")
    with pytest.raises(ArgumentsError, match="argument b is 1"):
        called(task, 1, b=1)


class Options(typing.TypedDict, total=False):
    day: date
    count: int


def test_unpacked_keywords_each_follow_their_own_annotation() -> None:
    """`**options: Unpack[Options]` names and types each."""

    async def task(**options: typing.Unpack[Options]) -> None: ...

    assert called(task, day=date(2026, 1, 1), count=1, other=[1])[1] == {
        "day": date(2026, 1, 1),
        "count": 1,
        "other": [1],
    }
    with pytest.raises(ArgumentsError, match="argument day"):
        called(task, day="2026-01-01")


def test_unpacked_positionals_are_taken_as_they_are() -> None:
    """`*args: *tuple[int, str]` annotates them all, not each."""

    async def task(*args: *tuple[int, str]) -> None: ...

    assert called(task, 1, "a")[0] == (1, "a")
    with pytest.raises(ArgumentsError, match=r"args\[1\]"):
        called(task, 1, (1,))


def test_a_keyword_named_like_a_positional_only_parameter_goes_to_kwargs() -> None:
    """Python allows `f(1, a=2)` for `def f(a, /, **named)`."""

    async def task(a: int, /, **named: str) -> None: ...

    assert called(task, 1, a="x") == ((1,), {"a": "x"})


def test_the_same_call_of_other_classes_is_checked_again() -> None:
    """The fast path goes by the classes of the arguments: it must not wave others through."""

    async def task(x: int, y: str = "") -> None: ...

    assert called(task, 1, y="a") == ((1,), {"y": "a"})
    with pytest.raises(ArgumentsError):
        called(task, 1, y=2)
    with pytest.raises(ArgumentsError):
        called(task, "1", y="a")


def test_a_subclass_with_attributes_of_its_own_is_refused() -> None:
    """Only the value of a str subclass travels."""
    tagged = Metres(1.5)
    tagged.unit = "m"  # type: ignore[attr-defined]  # that it is not declared is the point
    with pytest.raises(ArgumentsError, match="nothing beside its value"):
        sent(Metres, tagged)
