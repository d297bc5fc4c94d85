"""From a call to a submission: what is checked in the caller, and what answers become."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from shadows import Disposition, ExecutionState, Shadow, TaskCall
from shadows.adding import within_bytes
from shadows.errors import ArgumentsError, ConnectionFailed, ShadowsError
from shadows.execution import Execution
from shadows.submissions import MOST_BYTES
from shadows.testing import RedisServer
from tests.features.workers import finish

ran: list[int] = []


async def job(n: int = 0, padding: bytes = b"") -> None:
    ran.append(n)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@pytest.mark.parametrize("key", [5, b"key", ("a", "b")])
async def test_a_key_that_is_no_text_is_refused(shadows: Shadow, key: Any) -> None:
    """Its text would be a guess."""
    with pytest.raises(ArgumentsError, match="expected a str"):
        await shadows.add(job, key=key)()


def prepared(size: int) -> Any:
    return Execution(None, None, "job", (), {}, ""), ("", "job", b"x" * size, "a")  # type: ignore[arg-type] # no shadow


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([1, 1], [[1, 1]]),
        ([MOST_BYTES], [[MOST_BYTES]]),
        ([MOST_BYTES + 1], [[MOST_BYTES + 1]]),
        ([MOST_BYTES // 2] * 3, [[MOST_BYTES // 2], [MOST_BYTES // 2] * 2]),
        ([MOST_BYTES + 1, 1], [[MOST_BYTES + 1], [1]]),
    ],
)
def test_a_slice_is_split_until_each_part_fits_into_one_script(sizes: list[int], batches: list[list[int]]) -> None:
    """In order, and whole; one that is larger by itself goes alone."""
    split = within_bytes([prepared(size) for size in sizes])
    assert [[len(submission[2]) for _, submission in batch] for batch in split] == batches


async def test_a_bulk_that_meets_new_strikes_is_checked_again(shadows: Shadow) -> None:
    """The server refuses what was checked with older ones; the spared ones are added, the struck ones not."""
    async with Shadow(name=shadows.name, url=shadows.settings.url) as other:
        await shadows.wait_for_strikes_loaded()
        await other.strike(job, "n", ">", 2)
        executions = await shadows.add_many([shadows.call(job)(n) for n in range(5)])
    struck = [execution.disposition is Disposition.STRUCK for execution in executions]
    assert struck == [False, False, False, True, True]
    await finish(shadows)
    assert sorted(ran) == [0, 1, 2]


async def test_a_bulk_of_which_everything_is_struck_meanwhile_adds_nothing(shadows: Shadow) -> None:
    """There is nothing left to send then."""
    async with Shadow(name=shadows.name, url=shadows.settings.url) as other:
        await shadows.wait_for_strikes_loaded()
        await other.strike(job)
        executions = await shadows.add_many([shadows.call(job)(n) for n in range(5)])
    assert {execution.disposition for execution in executions} == {Disposition.STRUCK}
    assert {execution.state for execution in executions} == {ExecutionState.CANCELLED}


async def test_an_add_that_meets_new_strikes_is_checked_again(shadows: Shadow) -> None:
    """Whether it is struck then or spared."""
    async with Shadow(name=shadows.name, url=shadows.settings.url) as other:
        await shadows.add(job)()
        await other.strike(job, "n", "==", 1)
        assert (await shadows.add(job)(1)).disposition is Disposition.STRUCK
        await other.strike(job, "n", "==", 2)
        assert (await shadows.add(job)(3)).disposition is Disposition.SCHEDULED


async def test_a_strike_that_was_lifted_elsewhere_does_not_hold_back_the_next_add(shadows: Shadow) -> None:
    """What is struck sends nothing and so hears nothing: it asks before it says so."""
    async with Shadow(name=shadows.name, url=shadows.settings.url) as other:
        await shadows.strike(job)
        assert (await shadows.add(job)()).disposition is Disposition.STRUCK
        await other.restore(job)
        assert (await shadows.add(job)()).disposition is Disposition.SCHEDULED


async def test_what_redis_can_not_take_is_an_error_that_names_the_key(shadows: Shadow) -> None:
    """Something else lives under the name of its record."""
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.record("taken"), "by somebody else")
        with pytest.raises(ShadowsError, match=r"did not take job with key 'taken': WRONGTYPE.*Nothing was written"):
            await shadows.add(job, key="taken")()
        await redis.delete(shadows.keys.record("taken"))


async def test_a_call_that_could_not_be_prepared_is_an_execution_with_its_error(shadows: Shadow) -> None:
    """Whatever is wrong with it: its time, its function, its arguments, its key."""
    calls = [
        TaskCall(job, (), {}, when=datetime(2030, 1, 1)),  # noqa: DTZ001 # the mistake in question
        TaskCall("unknown", ({1, 2},), {}, key="by name"),
        TaskCall(5, (), {}),  # type: ignore[arg-type] # the mistake in question
        TaskCall(job, ("x",), {}),
        TaskCall(job, (), {}, key=7),  # type: ignore[arg-type] # the mistake in question
    ]
    executions = await shadows.add_many(calls)
    assert {execution.disposition for execution in executions} == {Disposition.FAILED}
    assert [execution.function_name for execution in executions] == ["job", "unknown", "?", "job", "job"]
    assert executions[1].key == "by name"
    assert all(isinstance(execution.schedule_exception, ShadowsError) for execution in executions)


async def test_a_bulk_that_redis_does_not_answer_fails_item_by_item(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`add_many` returns what became of each, whatever it is."""
    for module in ("submissions", "connection"):
        monkeypatch.setattr(f"shadows.{module}.CALL_SECONDS", 0.2)
    async with Shadow(name=f"test-{uuid4()}", url=own_redis.url) as shadows:
        await shadows.add(job)()
        own_redis.kill()
        executions = await shadows.add_many([shadows.call(job)(n) for n in range(5)])
        assert {type(execution.schedule_exception) for execution in executions} == {ConnectionFailed}
        assert {execution.disposition for execution in executions} == {Disposition.FAILED}


async def test_a_host_whose_clock_is_wrong_is_warned_once_of_absolute_times(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """They are taken as true UTC; durations don't suffer."""
    await shadows.add(job)()
    shadows.server.clock_apart = 90.0
    with caplog.at_level(logging.WARNING, "shadows"):
        await shadows.add(job, when=timedelta(hours=1))()
        assert caplog.text == ""
        for _ in range(2):
            await shadows.add(job, when=datetime.now(UTC) + timedelta(hours=1))()
    assert caplog.text.count("This host's clock and Redis's are 90.0 s apart") == 1
