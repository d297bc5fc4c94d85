"""An execution that used up its retries is kept: with its arguments, its attempts and its last traceback."""

import asyncio
from datetime import timedelta

import pytest
from click.testing import CliRunner

from shadows import ExecutionState, Perpetual, Retry, Shadow
from shadowsd.commands.shadows import main
from tests.features.workers import finish, working
from tests.waiting import wait_until

failing = True
runs: list[int] = []


@pytest.fixture(autouse=True)
def fails_again() -> None:
    global failing  # noqa: PLW0603 # the task of a worker in this process sees it
    failing = True
    runs.clear()


async def charge(order: int, retry: Retry = Retry(attempts=3)) -> str:
    runs.append(order)
    if failing:
        raise ValueError(f"order {order} can't be charged")
    return "charged"


async def once(order: int) -> None:
    raise ValueError("no retry was asked for")


async def again_and_again(
    retry: Retry = Retry(attempts=2), perpetual: Perpetual = Perpetual(every=timedelta(hours=1))
) -> None:
    raise ValueError("each time")


async def test_it_is_listed_with_what_it_was_and_why(shadows: Shadow) -> None:
    execution = await shadows.add(charge, key="order-7")(7)
    await finish(shadows)
    await execution.sync()
    assert execution.state is ExecutionState.FAILED
    (entry,) = await shadows.quarantine()
    assert (entry.key, entry.function_name, entry.attempts) == ("order-7", "charge", 3)
    assert entry.cause == "it was tried 3 times, and failed with ValueError: order 7 can't be charged"
    assert str(shadows.codec.decode_error("charge", "order-7", entry.error)) == "order 7 can't be charged"


async def test_it_can_be_retried_with_the_same_arguments(shadows: Shadow) -> None:
    global failing  # noqa: PLW0603 # as above
    await shadows.add(charge, key="order-7")(7)
    await finish(shadows)
    failing = False
    (entry,) = await shadows.quarantine()
    await shadows.quarantine_retry(entry.id)
    await finish(shadows)
    execution = await shadows.get_execution("order-7")
    assert execution is not None
    assert await execution.get_result(timeout=5) == "charged"
    assert runs == [7] * 4
    assert await shadows.quarantine() == []


async def test_what_asked_for_no_retry_is_not_kept(shadows: Shadow) -> None:
    """Its outcome is there for execution_ttl, and nobody meant to try it again."""
    await shadows.add(once)(1)
    await finish(shadows)
    assert await shadows.quarantine() == []


async def test_what_succeeds_in_the_end_is_not_kept(shadows: Shadow) -> None:
    global failing  # noqa: PLW0603 # as above
    failing = False
    await shadows.add(charge)(7)
    await finish(shadows)
    assert await shadows.quarantine() == []


async def test_a_perpetual_run_is_kept_and_followed_by_the_next(shadows: Shadow) -> None:
    await shadows.add(again_and_again, key="k")()
    async with working(shadows):
        await wait_until(lambda: kept(shadows), "it is kept")
    assert (await shadows.snapshot()).scheduled_count == 1
    (entry,) = await shadows.quarantine()
    assert entry.attempts == 2


async def kept(shadows: Shadow) -> bool:
    return bool(await shadows.quarantine())


async def test_the_command_line_shows_its_traceback(shadows: Shadow) -> None:
    await shadows.add(charge, key="order-7")(7)
    await finish(shadows)
    (entry,) = await shadows.quarantine()
    environment = {"SHADOWS_NAME": shadows.name, "SHADOWS_URL": shadows.settings.url}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["quarantine", "show", entry.id], env=environment)
    shown = result.output
    assert "Attempts:  3" in shown
    assert "Arguments: 7" in shown
    assert "raise ValueError" in shown.splitlines()[-2]
    assert shown.splitlines()[-1] == "ValueError: order 7 can't be charged"
