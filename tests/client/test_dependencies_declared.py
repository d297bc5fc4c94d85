"""Dependencies in annotations are found one by one, whatever else can't be read."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, Self

import pytest
from uncalled_for import get_annotation_dependencies, get_dependency_parameters

from shadows.dependencies import Dependency, Depends, TaskKey
from shadows.dependencies.declared import read_annotations


class Traced(Dependency[object]):
    async def __aenter__(self) -> Self:
        return self


def load() -> int:
    return 1


async def beside(order: "NotHere", key: "Annotated[str, TaskKey()]", one: "Annotated[int, Traced]") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the very thing


async def inside(order: "Annotated[NotHere, Depends(load), Traced()]") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the very thing


def declared(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    read_annotations(function)
    return [*get_dependency_parameters(function)], [*get_annotation_dependencies(function)]


@pytest.mark.parametrize(
    ("function", "provided", "wrapped"), [(beside, ["key"], ["one"]), (inside, ["order"], ["order"])]
)
def test_a_name_that_only_type_checkers_know_hides_nothing(
    function: Callable[..., Any], provided: list[str], wrapped: list[str]
) -> None:
    """It used to hide every dependency of the function that stands in an annotation."""
    assert declared(function) == (provided, wrapped)


def test_what_was_read_before_is_read_again() -> None:
    """uncalled-for keeps what it found, which is nothing here."""

    async def task(order: "NotHere", key: "Annotated[str, TaskKey()]") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the very thing

    assert not get_dependency_parameters(task)
    assert not get_annotation_dependencies(task)
    assert declared(task) == (["key"], [])


async def unreadable(
    a: "Annotated[NotHere, NotHereEither()]",  # type: ignore[name-defined,valid-type]  # noqa: F821 - the very thing
    b: "NotHere[int]",  # type: ignore[name-defined]  # noqa: F821 - the very thing
    c: "Annotated[",  # type: ignore[syntax]  # noqa: F722 - the very thing
    d: "NotHere.Annotated[int]",  # type: ignore[name-defined]  # noqa: F821 - the very thing
) -> None: ...


def test_what_can_not_be_read_at_all_declares_nothing() -> None:
    assert declared(unreadable) == ([], [])


def test_partials_and_classes_are_read_too() -> None:
    """A class is called like its `__init__`."""

    def load_for(order: int, key: Annotated[str, TaskKey()]) -> None: ...

    class Repository:
        def __init__(self, key: Annotated[str, TaskKey()]) -> None: ...

    assert declared(functools.partial(load_for, 3)) == (["key"], [])
    assert declared(Repository) == (["key"], [])
