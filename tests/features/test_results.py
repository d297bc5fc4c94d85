"""`get_result` waits for an execution's end: the value, the exception, or why there is neither."""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from shadows import ExecutionCancelled, RemoteError, Shadow
from shadows.errors import ResultError, ResultNotKept

from .workers import finish, working


class OutOfStock(Exception):
    """An exception that the caller can import too."""

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item


async def echo(value: Any) -> Any:
    return value


@pytest.mark.parametrize("value", [None, 0, "", "text", b"bytes", 1.5, True, [1, [2]], {"a": {"b": [None]}}, 2**63])
async def test_a_value_comes_back_as_it_was(shadows: Shadow, value: Any) -> None:
    """Also those that are false."""
    execution = await shadows.add(echo)(value)
    await finish(shadows)
    result = await execution.get_result()
    assert result == value
    assert type(result) is type(value)


async def test_whoever_waits_gets_it_when_it_is_there(shadows: Shadow) -> None:
    """Waiting costs no polling interval; several may wait for one execution."""
    async with working(shadows):
        execution = await shadows.add(echo, when=timedelta(milliseconds=200))("late")
        results = await asyncio.gather(*[execution.get_result() for _ in range(10)])
    assert results == ["late"] * 10


async def test_the_tasks_own_exception_is_raised(shadows: Shadow) -> None:
    """As itself, with its attributes, where its class is known here; the worker's traceback is its cause."""

    async def order() -> None:
        raise OutOfStock("teapot")

    execution = await shadows.add(order)()
    await finish(shadows)
    with pytest.raises(OutOfStock) as caught:
        await execution.get_result()
    assert caught.value.item == "teapot"
    assert "in order" in str(caught.value.__cause__)
    await execution.sync()
    assert execution.error == "OutOfStock: teapot"


async def test_an_exception_that_is_not_known_here_is_shown(shadows: Shadow) -> None:
    """Nothing is imported because Redis says so."""

    async def order() -> None:
        raise type("Vanished", (Exception,), {"__module__": "somewhere.else"})("no stock")

    execution = await shadows.add(order)()
    await finish(shadows)
    with pytest.raises(RemoteError, match=r"somewhere\.else\.Vanished: no stock") as caught:
        await execution.get_result()
    assert caught.value.type_name == "somewhere.else.Vanished"


async def test_a_result_that_can_not_be_stored_is_the_failure_of_the_task(shadows: Shadow) -> None:
    """It ran, but nobody could ever get what it returned; the message names it and the remedy."""

    async def returns_a_function() -> Any:
        return echo

    execution = await shadows.add(returns_a_function)()
    await finish(shadows)
    with pytest.raises(ResultError, match=r"returns_a_function\(\): the result is <function echo"):
        await execution.get_result()


async def test_a_task_that_exits_fails_alone(shadows: Shadow) -> None:
    """`sys.exit` in a task ends neither the worker nor whoever asks for its result."""

    async def leaves() -> None:
        raise SystemExit(3)

    execution = await shadows.add(leaves)()
    other = await shadows.add(echo)("alive")
    await finish(shadows)
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        await execution.get_result()
    assert await other.get_result() == "alive"


async def test_a_group_of_failures_comes_back_as_a_group(shadows: Shadow) -> None:
    """`asyncio.TaskGroup` raises nothing else, and `except*` around `get_result` caught none of it."""

    async def fetch_all() -> None:
        async with asyncio.TaskGroup() as group:
            for n in (1, 2):
                group.create_task(refuse(n))

    async def refuse(n: int) -> None:
        raise ConnectionError(n, "refused")

    execution = await shadows.add(fetch_all)()
    await finish(shadows)
    refused: list[tuple[Any, ...]] = []
    try:
        await execution.get_result()
    except* ConnectionError as group:
        refused += [error.args for error in group.exceptions]
    assert refused == [(1, "refused"), (2, "refused")]
    await execution.sync()
    assert execution.error == "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)"


async def test_a_group_with_an_exit_in_it_can_be_caught_like_any_failure(shadows: Shadow) -> None:
    """Whoever asks for a result must not be ended by what ended the task."""

    async def leaves() -> None:
        raise BaseExceptionGroup("both", [ValueError("bad"), SystemExit(3)])

    execution = await shadows.add(leaves)()
    await finish(shadows)
    with pytest.raises(ExceptionGroup) as caught:
        await execution.get_result()
    assert [type(error) for error in caught.value.exceptions] == [ValueError, RemoteError]
    assert "in leaves" in str(caught.value.__cause__)


@pytest.mark.parametrize("limit", ["a timedelta", "seconds", "a deadline"])
async def test_waiting_has_a_limit_if_one_is_given(shadows: Shadow, limit: str) -> None:
    """The execution itself is not touched by it."""
    execution = await shadows.add(echo, when=timedelta(milliseconds=400))("later")
    limits: dict[str, Any] = {
        "a timedelta": {"timeout": timedelta(milliseconds=50)},
        "seconds": {"timeout": 0.05},
        "a deadline": {"deadline": datetime.now(UTC) + timedelta(milliseconds=50)},
    }
    began = monotonic()
    with pytest.raises(TimeoutError, match="has no result yet"):
        await execution.get_result(**limits[limit])
    assert 0.03 < monotonic() - began < 2
    await finish(shadows)
    assert await execution.get_result(**limits["seconds"]) == "later"


async def test_two_limits_are_one_too_many(shadows: Shadow) -> None:
    """Which one counts would be a guess."""
    execution = await shadows.add(echo)(1)
    with pytest.raises(ValueError, match="both a timeout and a deadline"):
        await execution.get_result(timeout=1, deadline=datetime.now(UTC))


async def test_a_cancelled_execution_raises_that(shadows: Shadow) -> None:
    """It is not the caller who is cancelled, so it is another exception."""
    execution = await shadows.add(echo, key="one")(1)
    waiting = asyncio.create_task(execution.get_result())
    await shadows.cancel("one")
    with pytest.raises(ExecutionCancelled, match="cancelled") as caught:
        await asyncio.wait_for(waiting, 5)
    assert caught.value.reason == "cancelled"


async def test_results_are_kept_for_execution_ttl(shadows_url: str) -> None:
    """Then Redis forgets them by itself, and asking is an error with the remedy."""
    name = f"test-{uuid4()}"
    async with Shadow(name=name, url=shadows_url, execution_ttl=timedelta(milliseconds=200)) as shadows:
        execution = await shadows.add(echo)("kept")
        await finish(shadows)
        assert await execution.get_result() == "kept"
        async with shadows.redis() as redis:
            assert 0 < await redis.pttl(shadows.keys.record(execution.key)) <= 200
            await redis.pexpire(shadows.keys.record(execution.key), 0)
        with pytest.raises(ResultNotKept, match="Raise execution_ttl"):
            await execution.get_result()


async def test_with_a_ttl_of_nothing_nothing_is_kept(shadows_url: str) -> None:
    """Not even a record; whoever asks for a result is told at once instead of waiting for ever."""
    async with Shadow(name=f"test-{uuid4()}", url=shadows_url, execution_ttl=timedelta(0)) as shadows:
        execution = await shadows.add(echo)("gone")
        cancelled = await shadows.add(echo, key="cancelled")("gone")
        await shadows.cancel("cancelled")
        await finish(shadows)
        for each in (execution, cancelled):
            with pytest.raises(ResultNotKept, match="Nothing is kept"):
                await asyncio.wait_for(each.get_result(), 5)
        assert await shadows.get_execution(execution.key) is None
        async with shadows.redis() as redis:
            assert await redis.keys(f"{{{shadows.name}}}:task:*") == []


async def test_who_waits_already_is_told_too_when_nothing_is_kept(shadows_url: str) -> None:
    """The end of the task wakes it, and there is nothing to read."""
    async with Shadow(name=f"test-{uuid4()}", url=shadows_url, execution_ttl=timedelta(0)) as shadows, working(shadows):
        execution = await shadows.add(echo, when=timedelta(milliseconds=100))("gone")
        with pytest.raises(ResultNotKept):
            await asyncio.wait_for(execution.get_result(), 5)
