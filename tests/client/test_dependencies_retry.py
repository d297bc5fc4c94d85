"""How often a failed task is called again, and after which delay."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shadows.dependencies import DependencyFailed, ExponentialRetry, Outcome, Retry, RetryRequested, Successor
from tests.runs import entering, execution_of, run


async def task() -> None:
    """Stands for any task: handlers only look at the attempt."""


def decide(retry: Retry, attempt: int, exception: Exception | None = None) -> Successor | None:
    outcome = Outcome(timedelta(seconds=1), exception=exception or ValueError("no"))
    return retry.on_failure(execution_of(task, attempt=attempt), outcome)


def delays(retry: Retry, attempts: int) -> list[float | None]:
    """The delay in seconds before each further attempt, None where there is none."""
    decisions = [decide(retry, attempt) for attempt in range(1, attempts + 1)]
    return [each.delay.total_seconds() if each and each.delay is not None else None for each in decisions]


def test_attempts_count_all_calls() -> None:
    assert delays(Retry(attempts=3, delay=timedelta(seconds=2)), 4) == [2, 2, None, None]


def test_a_retry_is_one_call_unless_it_says_more() -> None:
    assert decide(Retry(), 1) is None


def test_none_retries_for_ever() -> None:
    assert decide(Retry(attempts=None), 1_000_000) == Successor(delay=timedelta(0))


def test_an_exponential_retry_doubles_from_its_minimum_to_its_maximum() -> None:
    retry = ExponentialRetry(attempts=6, minimum_delay=timedelta(seconds=1), maximum_delay=timedelta(seconds=10))
    assert delays(retry, 6) == [1, 2, 4, 8, 10, None]


def test_an_exponential_retry_has_the_documented_defaults() -> None:
    assert delays(ExponentialRetry(attempts=None), 8) == [1, 2, 4, 8, 16, 32, 64, 64]
    assert decide(ExponentialRetry(), 1) is None


def test_the_ten_thousandth_delay_does_not_overflow() -> None:
    """2 to the power of the attempt left the range of a timedelta, and later that of a float."""
    assert decide(ExponentialRetry(attempts=None), 10_000) == Successor(delay=timedelta(seconds=64))


def test_jitter_only_shortens_a_delay_and_only_by_its_share() -> None:
    retry = ExponentialRetry(attempts=None, minimum_delay=timedelta(seconds=8), jitter=0.25)
    seen = {delay for _ in range(200) for delay in delays(retry, 1)}
    assert len(seen) > 100
    assert all(delay is not None and 6 <= delay <= 8 for delay in seen)


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"attempts": -1}, "attempts=-1"),
        ({"minimum_delay": timedelta(seconds=-1)}, "-1 day"),
        ({"minimum_delay": timedelta(minutes=2)}, "minimum_delay=0:02:00"),
        ({"jitter": 1.5}, "jitter=1.5"),
        ({"jitter": -0.1}, "jitter=-0.1"),
    ],
)
def test_impossible_retries_are_refused_with_the_value_named(arguments: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ValueError, match=culprit):
        ExponentialRetry(**arguments)


async def test_the_task_sees_which_attempt_it_is() -> None:
    async def flaky(retry: Retry = Retry(attempts=5)) -> int:
        return retry.attempt

    assert await run(execution_of(flaky)) == 1
    assert await run(execution_of(flaky, attempt=4)) == 4


async def test_a_direct_call_is_a_first_attempt() -> None:
    async def flaky(retry: Retry = Retry(attempts=5)) -> int:
        return retry.attempt

    await run(execution_of(flaky, attempt=4))
    assert await flaky() == 1


async def test_concurrent_runs_do_not_share_their_attempt() -> None:
    async def flaky(retry: Retry = Retry(attempts=5)) -> None: ...

    one, two = (execution_of(flaky, attempt=attempt) for attempt in (1, 2))
    async with entering(one) as first, entering(two) as second:
        assert (first.kwargs["retry"].attempt, second.kwargs["retry"].attempt) == (1, 2)


@pytest.mark.parametrize("method", ["after", "in_"])
async def test_a_task_chooses_when_it_is_called_again(method: str) -> None:
    async def limited(retry: Retry = Retry(attempts=2, delay=timedelta(hours=1))) -> None:
        getattr(retry, method)(timedelta(seconds=7))

    with pytest.raises(RetryRequested, match="in 7s") as raised:
        await run(execution_of(limited))
    retry = Retry(attempts=2, delay=timedelta(hours=1))
    assert decide(retry, 1, raised.value) == Successor(delay=timedelta(seconds=7))


async def test_a_task_chooses_the_moment_when_it_is_called_again() -> None:
    moment = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with pytest.raises(RetryRequested, match="2030-01-01T10:00:00") as raised:
        Retry().at(moment)
    assert decide(Retry(attempts=2), 1, raised.value) == Successor(when=datetime(2030, 1, 1, 10, tzinfo=UTC))


def test_a_moment_without_a_timezone_is_refused() -> None:
    with pytest.raises(ValueError, match="no timezone"):
        Retry().at(datetime(2030, 1, 1))  # noqa: DTZ001 - the very thing that is refused


def test_a_delay_in_the_past_is_no_delay() -> None:
    with pytest.raises(RetryRequested) as raised:
        Retry().after(timedelta(seconds=-5))
    assert raised.value.delay == timedelta(0)


def test_a_requested_retry_counts_as_an_attempt() -> None:
    """A task that always asks would otherwise run for ever with attempts=2."""
    assert decide(Retry(attempts=2), 2, RetryRequested(timedelta(0))) is None


async def test_a_subclass_keeps_its_own_attributes() -> None:
    class Polite(Retry):
        def __init__(self, greeting: str) -> None:
            super().__init__(attempts=2)
            self.greeting = greeting

    async def greet(retry: Polite = Polite("hello")) -> tuple[str, int]:
        return retry.greeting, retry.attempt

    assert await run(execution_of(greet, attempt=2)) == ("hello", 2)


@pytest.mark.parametrize(
    ("on", "unless", "error", "retried"),
    [
        (None, (), ValueError(), True),
        (None, LookupError, KeyError(), False),
        (Exception, (), ValueError(), True),
        (ValueError, (), ValueError(), True),
        (ValueError, (), KeyError(), False),
        ((ValueError, LookupError), (), KeyError(), True),
        (Exception, LookupError, KeyError(), False),
        (Exception, (LookupError, OSError), ValueError(), True),
        (LookupError, KeyError, IndexError(), True),
        (LookupError, KeyError, KeyError(), False),
        (OSError, (), ExceptionGroup("g", [ValueError(), ExceptionGroup("h", [ConnectionError()])]), True),
        (OSError, (), ExceptionGroup("g", [ValueError()]), False),
        (ExceptionGroup, (), ExceptionGroup("g", [ValueError()]), True),
        (Exception, ValueError, ExceptionGroup("g", [OSError(), ValueError()]), False),
    ],
)
def test_types_decide_what_is_retried(on: Any, unless: Any, error: Exception, retried: bool) -> None:
    """Of a group, each member counts: one that will not mend itself is enough to give up."""
    assert (decide(Retry(attempts=None, on=on, unless=unless), 1, error) is not None) is retried
    exponential = ExponentialRetry(attempts=None, on=on, unless=unless)
    assert (decide(exponential, 1, error) is not None) is retried


def test_a_failed_dependency_counts_as_what_it_raised() -> None:
    failed = DependencyFailed("task was not called")
    failed.__cause__ = ConnectionError("no database")
    assert decide(Retry(attempts=None, on=OSError), 1, failed) is not None
    assert decide(Retry(attempts=None, unless=OSError), 1, failed) is None
    assert decide(Retry(attempts=None, on=DependencyFailed), 1, DependencyFailed("of no cause")) is not None


def test_a_requested_retry_is_one_of_any_type() -> None:
    asked = RetryRequested(delay=timedelta(seconds=3))
    assert decide(Retry(attempts=None, on=OSError), 1, asked) == Successor(delay=timedelta(seconds=3))
    assert decide(Retry(attempts=1, on=OSError), 1, asked) is None


@pytest.mark.parametrize("wrong", ["ValueError", ValueError(), (ValueError, 5), [ValueError], KeyboardInterrupt, int])
@pytest.mark.parametrize("kind", [Retry, ExponentialRetry])
@pytest.mark.parametrize("name", ["on", "unless"])
def test_what_is_no_type_of_exception_is_refused(wrong: Any, kind: type[Retry], name: str) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__}\({name}=...\) has .*no type of exception. Pass one, or a"):
        kind(attempts=3, **{name: wrong})


def test_for_ever_has_a_word_of_its_own() -> None:
    assert delays(Retry.forever(delay=timedelta(seconds=5)), 1000) == [5] * 1000
    exponential = ExponentialRetry.forever(delay=timedelta(seconds=2), maximum_delay=timedelta(seconds=5), on=OSError)
    assert isinstance(exponential, ExponentialRetry)
    assert (exponential.attempts, exponential.on) == (None, (OSError,))
    assert [exponential.delay_after(attempt).total_seconds() for attempt in (1, 2, 3)] == [2, 4, 5]
