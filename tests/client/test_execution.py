"""One execution as its caller holds it."""

from typing import Any

import pytest

from shadows import ExecutionCancelled, Shadow
from shadows.errors import ArgumentsError
from shadows.execution import Execution, arguments_by_name
from tests.features.workers import finish


def job(a: int, b: int = 2, *rest: int, **named: int) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        ((1,), {}, {"a": 1, "b": 2, "rest": (), "named": {}}),
        ((1, 5, 6), {"c": 7}, {"a": 1, "b": 5, "rest": (6,), "named": {"c": 7}}),
        ((), {"b": 3}, {"b": 3, "rest": (), "named": {}}),
    ],
)
def test_arguments_are_found_by_the_names_of_their_parameters(
    args: tuple[Any, ...], kwargs: dict[str, Any], found: dict[str, Any]
) -> None:
    """Defaults included."""
    assert arguments_by_name(job, args, kwargs) == found


def test_arguments_that_do_not_fit_have_no_names() -> None:
    """Whoever looks at them next says so."""
    assert arguments_by_name(lambda: None, (1,), {}) == {}


@pytest.mark.parametrize(
    ("function", "kwargs", "message"),
    [(job, {}, "no keyword arguments"), (None, {"b": 1}, "it has b"), (None, {}, "no keyword arguments")],
)
def test_an_argument_that_is_not_there_is_an_error(function: Any, kwargs: dict[str, Any], message: str) -> None:
    """With those that are."""
    execution = Execution(None, function, "job", (1,), kwargs, "key")  # type: ignore[arg-type] # no shadow
    with pytest.raises(ArgumentsError, match=f"job got no argument 'c'.*{message}"):
        execution.get_argument("c")


async def test_what_was_not_added_has_no_result_to_wait_for(shadows: Shadow) -> None:
    """Struck, or failed at adding: whoever waits is told at once."""
    await shadows.strike(job)
    struck = await shadows.add(job)(1)
    with pytest.raises(ExecutionCancelled, match="struck"):
        await struck.get_result()
    await shadows.restore(job)
    (failed,) = await shadows.add_many([shadows.call("job")({1, 2})])
    with pytest.raises(ArgumentsError):
        await failed.get_result()


async def test_an_exception_that_can_not_say_anything_is_named(shadows: Shadow) -> None:
    """Its own `__str__` fails, here as there."""

    async def fails() -> None:
        raise Speechless

    execution = await shadows.add(fails)()
    await finish(shadows)
    await execution.sync()
    assert execution.error == "Speechless"


class Speechless(Exception):
    """An exception with a bug."""

    def __str__(self) -> str:
        raise RuntimeError("no words")
