"""A run of a perpetual task says what the next one gets, and when it begins."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import monotonic
from typing import Annotated

import pytest

from shadows import Perpetual, Retry, Shadow, Worker
from shadows.dependencies import Provided
from shadows.errors import ArgumentsError
from tests.waiting import wait_until

from .workers import finish, working


async def test_a_run_gives_the_next_one_other_arguments(shadows: Shadow) -> None:
    """By name and by position; what it does not give again has its default."""
    seen: list[tuple[str, int, str]] = []

    async def crawl(
        url: str, page: int = 1, mode: str = "fast", perpetual: Annotated[Perpetual, Perpetual()] = Provided
    ) -> None:
        seen.append((url, page, mode))
        perpetual.perpetuate(url, page=page + 1)

    await shadows.add(crawl)("a", mode="slow")
    async with Worker(shadows) as worker:
        await worker.run_at_most({"crawl": 3})
    assert seen == [("a", 1, "slow"), ("a", 2, "fast"), ("a", 3, "fast")]


async def test_a_run_that_changes_nothing_is_followed_by_the_same(shadows: Shadow) -> None:
    """What one run said holds for the next run's arguments, and for those that follow them."""
    seen: list[int] = []

    async def count(n: int, perpetual: Perpetual = Perpetual()) -> None:
        seen.append(n)
        if len(seen) == 1:
            perpetual.perpetuate(n + 1)

    await shadows.add(count)(1)
    async with Worker(shadows) as worker:
        await worker.run_at_most({"count": 3})
    assert seen == [1, 2, 2]


async def test_arguments_that_the_task_can_not_take_are_refused_in_the_task(shadows: Shadow) -> None:
    """Where the mistake is, and not where the next run would fail; the chain goes on."""
    refused: list[str] = []

    async def count(n: int, perpetual: Perpetual = Perpetual()) -> None:
        for wrong in (("one",), (1, 2, 3)):
            with pytest.raises(ArgumentsError) as raised:
                perpetual.perpetuate(*wrong)
            refused.append(str(raised.value))
        perpetual.perpetuate(n + 1)
        if n == 2:
            perpetual.cancel()

    await shadows.add(count)(1)
    await finish(shadows)
    assert len(refused) == 4
    assert "count()" in refused[0]
    assert "'n'" in refused[0] or " n " in refused[0]
    assert "too many positional arguments" in refused[1]


async def test_a_run_says_when_the_next_one_begins(shadows: Shadow) -> None:
    """After a time, at a moment, or by another interval; each for the next run only."""
    starts: list[float] = []

    async def beat(perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> None:
        starts.append(monotonic())
        match len(starts):
            case 1:
                perpetual.after(timedelta(milliseconds=100))
            case 2:
                perpetual.at(datetime.now(UTC) + timedelta(milliseconds=150))
            case 3:
                perpetual.every = timedelta(milliseconds=200)

    execution = await shadows.add(beat, key="beat")()
    async with working(shadows):
        await wait_until(lambda: len(starts) == 4, "the fourth run")
        await wait_until(lambda: scheduled(shadows), "the fifth is scheduled")
    following = await shadows.get_execution("beat")
    assert following is not None
    assert following.when is not None
    assert following.when - datetime.now(UTC) > timedelta(minutes=59)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    for gap, least in zip(gaps, (0.098, 0.145, 0.198), strict=True):
        assert least <= gap < least + 1
    assert execution.key == "beat"


async def scheduled(shadows: Shadow) -> bool:
    return (await shadows.snapshot()).scheduled_count == 1


async def test_a_moment_without_a_time_zone_is_refused_in_the_task(shadows: Shadow) -> None:
    """It means another moment on each host."""

    async def beat(perpetual: Perpetual = Perpetual()) -> None:
        perpetual.cancel()
        perpetual.at(datetime(2031, 5, 1))  # noqa: DTZ001 - the very thing

    execution = await shadows.add(beat)()
    await finish(shadows)
    with pytest.raises(ValueError, match="no timezone"):
        await execution.get_result()


async def test_what_a_failed_run_said_counts_and_what_a_retried_attempt_said_does_not(shadows: Shadow) -> None:
    """Each attempt begins anew."""
    seen: list[tuple[int, int]] = []

    async def count(n: int, perpetual: Perpetual = Perpetual(), retry: Retry = Retry(attempts=2)) -> None:
        seen.append((n, retry.attempt))
        if retry.attempt == 1:
            perpetual.perpetuate(n + 100)
        else:
            perpetual.perpetuate(n + 1)
        raise ValueError("no")

    await shadows.add(count)(1)
    async with Worker(shadows) as worker:
        await worker.run_at_most({"count": 4})
    assert seen == [(1, 1), (1, 2), (2, 1), (2, 2)]


async def test_an_automatic_task_carries_its_state_from_run_to_run(shadows: Shadow) -> None:
    """Its first run has the defaults."""
    seen: list[int] = []

    def poll(since: int = 0, perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        seen.append(since)
        perpetual.perpetuate(since=since + 10)

    shadows.register(poll)
    async with Worker(shadows) as worker:
        await worker.run_at_most({"poll": 3})
    assert seen == [0, 10, 20]
