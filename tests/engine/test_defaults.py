"""A worker's default Timeout and Retry."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shadows.dependencies import ExponentialRetry, Retry, Timeout
from shadows.errors import ConfigurationError
from shadowsd.engine.around import Around
from shadowsd.engine.defaults import DefaultTimeout, defaults
from tests.runs import execution_of

BRIEF, HOUR = timedelta(milliseconds=10), timedelta(hours=1)


async def clean() -> None:
    """A task that declares nothing."""


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (defaults(None, None, BRIEF), "--task-timeout, 10ms"),
        (defaults(Timeout(BRIEF), None, HOUR), "the worker's default_timeout, 10ms"),
    ],
)
async def test_a_call_that_takes_too_long_is_cancelled_and_the_limit_named(given: Any, named: str) -> None:
    """The option of whoever set it is what should be changed, and no Timeout that the task does not have."""
    ((_, timeout),) = Around(None, given).of(clean, "clean", [])
    cancelled = asyncio.Event()

    async def never_ends() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    assert isinstance(timeout, Timeout)
    with pytest.raises(TimeoutError, match=f"clean was cancelled because it ran for longer than {named}. Give the"):
        await timeout.run(execution_of(clean), never_ends)
    assert cancelled.is_set()


class Patient(Timeout):
    """A user's own, with a way of its own to say no."""


def test_what_a_task_declares_takes_the_place_of_the_default() -> None:
    around = Around(None, defaults(Timeout(HOUR), Retry(attempts=3), None))

    def named(*declared: Any) -> list[str]:
        return [name for name, _ in around.of(clean, "clean", [(str(each), each) for each in declared])]

    assert named() == ["default_timeout", "default_retry"]
    assert named(Timeout(BRIEF)) == ["default_retry"]
    assert named(Patient(BRIEF), ExponentialRetry()) == []
    assert named(Retry()) == ["default_timeout"]


def test_a_plain_function_has_no_time_limit() -> None:
    def thread() -> None: ...

    around = Around(None, defaults(Timeout(HOUR), Retry(attempts=3), None))
    assert [name for name, _ in around.of(thread, "thread", [])] == ["default_retry"]


def test_a_users_own_timeout_stays_as_it_is() -> None:
    patient = Patient(HOUR)
    assert defaults(patient, None, None) == [("default_timeout", Timeout, patient)]
    assert isinstance(defaults(Timeout(HOUR), None, None)[0][2], DefaultTimeout)
    assert defaults(None, None, None) == []


def test_what_is_no_default_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"default_timeout is .*5.*; expected a Timeout, as Timeout"):
        defaults(timedelta(seconds=5), None, None)
    with pytest.raises(ConfigurationError, match="default_retry is 3; expected a Retry, as Retry"):
        defaults(None, 3, None)


def test_a_default_beside_one_for_all_tasks_is_refused() -> None:
    """It would never be used."""
    with pytest.raises(ConfigurationError, match="'time' and 'default_timeout' are both a Timeout"):
        Around({"time": Timeout(HOUR)}, defaults(Timeout(HOUR), None, None))
