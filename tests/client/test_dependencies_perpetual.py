"""What follows each run of a perpetual task."""

from datetime import timedelta

import pytest

from shadows.dependencies import Outcome, Perpetual, Successor
from tests.runs import entering, execution_of


async def poll(perpetual: Perpetual = Perpetual(every=timedelta(seconds=30))) -> None:
    """A perpetual task."""


def outcome(seconds: float, exception: Exception | None = None) -> Outcome:
    return Outcome(timedelta(seconds=seconds), exception=exception)


async def test_the_interval_is_measured_from_start_to_start() -> None:
    async with entering(execution_of(poll)) as resolved:
        [perpetual] = resolved.completion_handlers
    decided = perpetual.on_complete(execution_of(poll), outcome(12))
    assert decided == Successor(delay=timedelta(seconds=18))


async def test_a_run_longer_than_the_interval_is_followed_at_once() -> None:
    assert Perpetual(timedelta(seconds=30)).on_complete(execution_of(poll), outcome(31)) == Successor(
        delay=timedelta(0)
    )


async def test_a_failed_run_is_followed_too() -> None:
    failed = outcome(10, ValueError("no"))
    assert Perpetual(timedelta(seconds=30)).on_complete(execution_of(poll), failed) == Successor(
        delay=timedelta(seconds=20)
    )


async def test_a_cancelled_perpetual_has_no_successor() -> None:
    async with entering(execution_of(poll)) as resolved:
        resolved.kwargs["perpetual"].cancel()
    [perpetual] = resolved.completion_handlers
    assert perpetual.on_complete(execution_of(poll), outcome(1)) is None


async def test_cancelling_one_run_leaves_a_concurrent_one_alone() -> None:
    """The declaration in the signature is one object for all keys."""
    async with entering(execution_of(poll)) as first, entering(execution_of(poll)) as second:
        first.kwargs["perpetual"].cancel()
        assert not second.kwargs["perpetual"].cancelled


async def test_a_direct_call_that_cancels_does_not_end_the_workers_chains() -> None:
    declared = Perpetual()

    async def once(perpetual: Perpetual = declared) -> None:
        perpetual.cancel()

    await once()
    async with entering(execution_of(once)) as resolved:
        assert not resolved.kwargs["perpetual"].cancelled


def test_a_struck_run_keeps_the_interval() -> None:
    assert Perpetual(timedelta(seconds=30)).successor(timedelta(0)) == Successor(delay=timedelta(seconds=30))


def test_a_negative_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Perpetual(every=timedelta(seconds=-1))
