"""Assertions for tests of code that adds tasks."""

from datetime import timedelta

import pytest

from shadows import Progress, Shadow, testing
from tests.features.workers import finish


async def greet(name: str, greeting: str = "Hello", progress: Progress = Progress()) -> None:
    """Nothing is to be seen of it."""


async def other() -> None:
    """Another one."""


async def test_what_was_added_is_found_by_function_arguments_and_key(shadows: Shadow) -> None:
    await shadows.add(greet, key="jane")("Jane", greeting="Howdy")
    await testing.assert_task_scheduled(shadows, greet)
    await testing.assert_task_scheduled(shadows, "greet", args=("Jane",))
    await testing.assert_task_scheduled(shadows, greet, kwargs={"name": "Jane"})
    await testing.assert_task_scheduled(shadows, greet, args=("Jane", "Howdy"), key="jane")
    execution = await testing.assert_task_scheduled(shadows, greet, kwargs={"greeting": "Howdy"})
    assert execution.key == "jane"


async def test_a_default_counts_as_an_argument(shadows: Shadow) -> None:
    await shadows.add(greet)("Jane")
    await testing.assert_task_scheduled(shadows, greet, kwargs={"greeting": "Hello"})


async def test_what_is_for_later_counts_too(shadows: Shadow) -> None:
    await shadows.add(greet, when=timedelta(hours=1))("Jane")
    await testing.assert_task_scheduled(shadows, greet, args=("Jane",))
    await testing.assert_task_not_scheduled(shadows, other)
    await testing.assert_task_count(shadows, greet, count=1)
    await testing.assert_task_count(shadows, count=1)


async def test_names_without_a_function_here_are_compared_as_they_were_added(shadows: Shadow) -> None:
    await shadows.add("elsewhere")(1, b=2, c=3)
    await testing.assert_task_scheduled(shadows, "elsewhere", args=(1,), kwargs={"b": 2})
    await testing.assert_task_not_scheduled(shadows, "elsewhere", args=(2,))


async def test_what_has_run_is_not_scheduled_any_more(shadows: Shadow) -> None:
    await shadows.add(greet)("Jane")
    await finish(shadows)
    await testing.assert_no_tasks(shadows)
    await testing.assert_task_not_scheduled(shadows, greet)


async def test_a_failure_says_what_there_is_instead(shadows: Shadow) -> None:
    await shadows.add(greet, key="jane")("Jane")
    with pytest.raises(AssertionError) as caught:
        await testing.assert_task_scheduled(shadows, greet, args=("Joe",))
    assert str(caught.value) == ("greet('Joe') is not scheduled. What is:\n  greet('Jane') with the key 'jane', queued")


async def test_each_assertion_can_fail(shadows: Shadow) -> None:
    with pytest.raises(AssertionError, match=r"^other\(\.\.\.\) is not scheduled. Nothing is scheduled or waits"):
        await testing.assert_task_scheduled(shadows, other)
    await shadows.add(greet)("Jane")
    with pytest.raises(AssertionError, match=r"^greet\('Jane'\) with the key 'x' is not scheduled"):
        await testing.assert_task_scheduled(shadows, greet, args=("Jane",), key="x")
    with pytest.raises(AssertionError, match=r"^greet\(name='Jane'\) is scheduled"):
        await testing.assert_task_not_scheduled(shadows, greet, kwargs={"name": "Jane"})
    with pytest.raises(AssertionError, match=r"^1 execution of greet is scheduled, and not 2"):
        await testing.assert_task_count(shadows, greet, count=2)
    with pytest.raises(AssertionError, match=r"^1 execution is scheduled, and not 0"):
        await testing.assert_no_tasks(shadows)
    with pytest.raises(AssertionError, match="is not scheduled"):
        await testing.assert_task_scheduled(shadows, greet, args=(1, 2, 3, 4, 5))


async def test_a_long_list_is_cut(shadows: Shadow) -> None:
    await shadows.add_many([shadows.call(greet)(str(number)) for number in range(25)])
    with pytest.raises(AssertionError, match=r"and 5 more$"):
        await testing.assert_task_scheduled(shadows, other)
