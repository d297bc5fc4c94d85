"""Logs show the arguments that are marked for it, and never break over them."""

from asyncio import CancelledError
from typing import Any

import pytest

from shadows.annotations import LONGEST_ARGUMENT, Logged, format_arguments


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __len__(self) -> int:
        raise RuntimeError("no length")


def test_only_marked_arguments_are_shown() -> None:
    """Everything else may be a password."""
    arguments = [("customer", 5), ("password", "secret"), ("items", [1, 2])]
    marks = {"customer": Logged(), "items": Logged(length_only=True)}
    assert format_arguments(arguments, marks) == "customer=5, password=..., items=[len 2]"
    assert format_arguments([], marks) == ""


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ([1, 2], "[len 2]"),
        ("abc", "[len 3]"),
        ({"a": 1}, "{len 1}"),
        ({1}, "{len 1}"),
        (5, "<int: TypeError>"),
    ],
)
def test_a_length_is_shown_for_what_has_one(argument: Any, text: str) -> None:
    """Lists of thousands have no place in a log line."""
    assert Logged(length_only=True).format(argument) == text


def test_an_argument_whose_repr_raises_is_still_logged() -> None:
    """A log line must never fail the task that it is about."""
    assert Logged().format(Hostile()) == "<Hostile: RuntimeError>"
    assert Logged(length_only=True).format(Hostile()) == "<Hostile: RuntimeError>"


@pytest.mark.parametrize("refusal", [SystemExit(3), KeyboardInterrupt(), CancelledError(), GeneratorExit()], ids=repr)
def test_what_a_repr_raises_goes_no_further_whatever_it_is(refusal: BaseException) -> None:
    """It used to be caught only when it was an Exception, and a worker would have ended with the rest."""

    class Leaving:
        def __repr__(self) -> str:
            raise refusal

    assert Logged().format(Leaving()) == f"<Leaving: {type(refusal).__name__}>"


def test_a_long_argument_is_cut_and_stays_on_one_line() -> None:
    """One execution is one line."""
    text = Logged().format("a" * 10_000)
    assert len(text) <= LONGEST_ARGUMENT + 3
    assert "..." in text

    class Poem:
        def __repr__(self) -> str:
            return "roses\r\nviolets"

    assert Logged().format(Poem()) == "roses\\r\\nviolets"


def test_marks_are_equal_by_what_they_say() -> None:
    """`Annotated` types are compared and hashed with their metadata."""
    assert Logged() == Logged()
    assert Logged() != Logged(length_only=True)
    assert len({Logged(), Logged(), Logged(length_only=True)}) == 2
    assert repr(Logged(length_only=True)) == "Logged(length_only=True)"
