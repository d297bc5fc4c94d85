"""A task that fails is called again, as often and as late as its signature says."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import monotonic

import pytest

from shadows import Depends, ExecutionState, ExponentialRetry, Retry, Shadow
from tests.waiting import wait_until

from .workers import finish, working


async def test_a_flaky_call_is_retried_with_exponential_backoff(shadows: Shadow) -> None:
    """The example of the package page, a hundred times as fast; `attempts` counts all calls."""
    calls: list[float] = []

    async def flaky_api_call(
        url: str,
        retry: ExponentialRetry = ExponentialRetry(
            attempts=5, minimum_delay=timedelta(milliseconds=20), maximum_delay=timedelta(milliseconds=100)
        ),
    ) -> str:
        calls.append(monotonic())
        if retry.attempt < 5:
            raise ConnectionError(f"{url} does not answer")
        return f"api call succeeded on attempt {retry.attempt}"

    execution = await shadows.add(flaky_api_call)("https://api.example.com")
    await finish(shadows)
    assert await execution.get_result() == "api call succeeded on attempt 5"
    gaps = [later - earlier for earlier, later in pairwise(calls)]
    assert len(calls) == 5
    for gap, expected in zip(gaps, (0.020, 0.040, 0.080, 0.100), strict=True):
        assert gap >= expected - 0.002, gaps


async def test_a_retry_keeps_the_key_and_the_execution_that_waits_for_it(shadows: Shadow) -> None:
    """A retry is the same submission: whoever added it gets the end of the last attempt."""

    async def second_time_lucky(retry: Retry = Retry(attempts=2)) -> int:
        if retry.attempt == 1:
            raise ValueError("not yet")
        return retry.attempt

    execution = await shadows.add(second_time_lucky, key="lucky")()
    await finish(shadows)
    assert await execution.get_result() == 2
    await execution.sync()
    assert (execution.key, execution.attempt, execution.state) == ("lucky", 2, ExecutionState.COMPLETED)


async def test_the_last_failure_is_what_the_caller_gets(shadows: Shadow) -> None:
    """Two attempts, two failures: the second one counts."""
    attempts: list[int] = []

    async def hopeless(retry: Retry = Retry(attempts=2)) -> None:
        attempts.append(retry.attempt)
        raise ValueError(f"failed {retry.attempt} times")

    execution = await shadows.add(hopeless)()
    await finish(shadows)
    with pytest.raises(ValueError, match="failed 2 times"):
        await execution.get_result()
    assert attempts == [1, 2]


async def test_a_task_without_retry_is_called_once(shadows: Shadow) -> None:
    """At least once is about lost workers; a failure of the task itself is its answer."""
    calls: list[int] = []

    async def fails() -> None:
        calls.append(1)
        raise ValueError("no")

    execution = await shadows.add(fails)()
    await finish(shadows)
    await execution.sync()
    assert calls == [1]
    assert execution.state is ExecutionState.FAILED
    assert execution.error == "ValueError: no"


async def test_a_task_with_attempts_none_is_retried_until_it_succeeds(shadows: Shadow) -> None:
    """None is for ever, so far as a test can tell."""

    async def stubborn(retry: Retry = Retry(attempts=None)) -> int:
        if retry.attempt < 12:
            raise ValueError("again")
        return retry.attempt

    execution = await shadows.add(stubborn)()
    await finish(shadows)
    assert await execution.get_result() == 12


async def test_retry_after_waits_for_the_delay_that_the_task_chose(shadows: Shadow) -> None:
    """A server that says when to come back is taken at its word."""
    calls: list[float] = []

    async def polite(retry: Retry = Retry(attempts=3)) -> None:
        calls.append(monotonic())
        if retry.attempt == 1:
            retry.after(timedelta(milliseconds=80))
        if retry.attempt == 2:
            retry.in_(timedelta(milliseconds=40))

    await shadows.add(polite)()
    await finish(shadows)
    first, second = (later - earlier for earlier, later in pairwise(calls))
    assert first >= 0.078
    assert second >= 0.038


async def test_retry_at_waits_until_the_moment_that_the_task_chose(shadows: Shadow) -> None:
    """An absolute time, as a `Retry-After` header may hold."""
    moments: list[datetime] = []

    async def punctual(retry: Retry = Retry(attempts=2)) -> None:
        moments.append(datetime.now(UTC))
        if retry.attempt == 1:
            retry.at(moments[0] + timedelta(milliseconds=100))

    await shadows.add(punctual)()
    await finish(shadows)
    assert moments[1] - moments[0] >= timedelta(milliseconds=98)


async def test_between_two_attempts_the_execution_is_scheduled_and_its_key_busy(shadows: Shadow) -> None:
    """A second add with the same key must not start a second line of attempts."""

    async def fails(retry: Retry = Retry(attempts=2, delay=timedelta(hours=1))) -> None:
        raise ValueError("no")

    execution = await shadows.add(fails, key="one")()
    async with working(shadows):

        async def waits_for_its_retry() -> bool:
            await execution.sync()
            return execution.state is ExecutionState.SCHEDULED

        await wait_until(waits_for_its_retry, "the retry is scheduled")
        again = await shadows.add(fails, key="one")()
    assert again.disposition == "already_scheduled"
    assert execution.attempt == 2
    assert execution.when is not None
    assert execution.when - datetime.now(UTC) > timedelta(minutes=59)


async def test_only_failures_of_some_types_are_retried(shadows: Shadow) -> None:
    """A mistake in the arguments will not mend itself; a network may."""
    calls: list[str] = []

    async def fetch(error: str, retry: Retry = Retry(attempts=3, on=(ConnectionError, TimeoutError))) -> None:
        calls.append(error)
        raise {"network": ConnectionResetError, "time": TimeoutError, "mistake": ValueError}[error](error)

    for error in ("network", "time", "mistake"):
        await shadows.add(fetch)(error)
    await finish(shadows)
    assert [calls.count(error) for error in ("network", "time", "mistake")] == [3, 3, 1]


async def test_failures_of_some_types_are_not_retried(shadows: Shadow) -> None:
    """`unless` is stronger than `on`; one type needs no tuple."""
    calls: list[str] = []

    async def fetch(
        error: str,
        retry: Retry = ExponentialRetry(
            attempts=3, minimum_delay=timedelta(0), on=OSError, unless=(FileNotFoundError, PermissionError)
        ),
    ) -> None:
        calls.append(error)
        raise {"disk": OSError, "missing": FileNotFoundError, "mistake": ValueError}[error](error)

    for error in ("disk", "missing", "mistake"):
        await shadows.add(fetch)(error)
    await finish(shadows)
    assert [calls.count(error) for error in ("disk", "missing", "mistake")] == [3, 1, 1]


async def test_a_dependency_fails_by_the_type_of_what_it_raised(shadows: Shadow) -> None:
    """Not by that of the report about it."""
    calls: list[str] = []

    def connect() -> None:
        calls.append("connect")
        raise ConnectionError("no database")

    async def query(
        database: None = Depends(connect), retry: Retry = Retry(attempts=3, on=ConnectionError)
    ) -> None: ...

    await shadows.add(query)()
    await finish(shadows)
    assert len(calls) == 3


async def test_a_task_may_ask_for_a_retry_whatever_the_types_are(shadows: Shadow) -> None:
    """It knows better; what it asks for still counts as an attempt."""
    attempts: list[int] = []

    async def busy(retry: Retry = Retry(attempts=4, on=ConnectionError)) -> None:
        attempts.append(retry.attempt)
        match retry.attempt:
            case 1:
                retry.after(timedelta(milliseconds=5))
            case 2:
                retry.at(datetime.now(UTC) + timedelta(milliseconds=5))
            case 3:
                retry.in_(timedelta(milliseconds=5))

    execution = await shadows.add(busy)()
    await finish(shadows)
    assert await execution.get_result() is None
    assert attempts == [1, 2, 3, 4]
