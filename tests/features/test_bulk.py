"""Many calls at once: `call` prepares one, `add_many` and `replace_many` send them."""

from datetime import timedelta

import pytest

from shadows import Disposition, Shadow, TaskCall
from shadows.errors import ArgumentsError, PayloadTooLarge

from .workers import finish

ran: list[int] = []


async def job(n: int, padding: bytes = b"") -> int:
    ran.append(n)
    return n


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_calls_are_added_in_their_order(shadows: Shadow) -> None:
    """One worker, one at a time, runs them as they were listed."""
    calls = [shadows.call(job)(n) for n in range(500)]
    executions = await shadows.add_many(calls)
    assert [execution.args for execution in executions] == [(n,) for n in range(500)]
    await finish(shadows, concurrency=1)
    assert ran == list(range(500))
    assert await executions[42].get_result() == 42


async def test_nothing_is_sent_before_add_many(shadows: Shadow) -> None:
    """`call` is a value, to be kept, passed on, or thrown away."""
    call = shadows.call(job, key="one", when=timedelta(hours=1))(1)
    assert call == TaskCall(job, (1,), {}, timedelta(hours=1), "one")
    assert await shadows.get_execution("one") is None
    assert await shadows.add_many([]) == []


async def test_a_bad_item_fails_alone(shadows: Shadow) -> None:
    """The others of the same bulk are added; the bad one carries its error."""
    calls = [shadows.call(job)(1), TaskCall(job, ("x",), {}), shadows.call(job)(3), TaskCall(job, (), {"m": 1})]
    executions = await shadows.add_many(calls)
    assert [execution.disposition for execution in executions] == [
        Disposition.SCHEDULED,
        Disposition.FAILED,
        Disposition.SCHEDULED,
        Disposition.FAILED,
    ]
    assert isinstance(executions[1].schedule_exception, ArgumentsError)
    await finish(shadows)
    assert sorted(ran) == [1, 3]


async def test_an_item_that_redis_can_not_take_fails_alone(shadows: Shadow) -> None:
    """Something else wrote under the key of one record: its neighbours do not suffer."""
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.record("taken"), "by somebody else")
        executions = await shadows.add_many([shadows.call(job, key=key)(1) for key in ("a", "taken", "b")])
        await redis.delete(shadows.keys.record("taken"))
    assert [execution.disposition.value for execution in executions] == ["scheduled", "failed", "scheduled"]
    assert "WRONGTYPE" in str(executions[1].schedule_exception)


async def test_a_busy_key_in_a_bulk_is_ignored_like_any_other(shadows: Shadow) -> None:
    """Also when the bulk itself made it busy."""
    executions = await shadows.add_many([shadows.call(job, key="one")(n) for n in range(3)])
    assert [execution.disposition.value for execution in executions] == [
        "scheduled",
        "already_scheduled",
        "already_scheduled",
    ]
    await finish(shadows)
    assert ran == [0]


async def test_replace_many_takes_the_place_of_what_was_there(shadows: Shadow) -> None:
    """As `replace`, for many."""
    await shadows.add_many([shadows.call(job, key=str(n), when=timedelta(hours=1))(n) for n in range(10)])
    await shadows.replace_many([shadows.call(job, key=str(n))(n + 100) for n in range(10)])
    await finish(shadows)
    assert sorted(ran) == list(range(100, 110))


async def test_a_bulk_larger_than_one_call_may_carry_is_split(shadows: Shadow) -> None:
    """At most 200 items and 1 MiB a script, so that Redis is never held up."""
    calls = [shadows.call(job)(n, padding=b"x" * 20_000) for n in range(120)]
    executions = await shadows.add_many(calls, chunk_size=7)
    assert {execution.disposition.value for execution in executions} == {"scheduled"}
    await finish(shadows, concurrency=100)
    assert sorted(ran) == list(range(120))


async def test_an_item_that_is_too_large_fails_alone(shadows: Shadow) -> None:
    """Its error names the limit and the way out."""
    small, large = await shadows.add_many([shadows.call(job)(1), shadows.call(job)(2, padding=b"x" * (2 << 20))])
    assert small.disposition is Disposition.SCHEDULED
    assert isinstance(large.schedule_exception, PayloadTooLarge)


async def test_a_chunk_of_nothing_is_refused(shadows: Shadow) -> None:
    """It would never end."""
    with pytest.raises(ValueError, match="chunk_size is 0; expected at least 1"):
        await shadows.add_many([shadows.call(job)(1)], chunk_size=0)


async def test_a_struck_item_is_left_out(shadows: Shadow) -> None:
    """The bulk looks at strikes as a single add does."""
    await shadows.strike(job, "n", "==", 1)
    executions = await shadows.add_many([shadows.call(job)(n) for n in range(3)])
    assert [execution.disposition.value for execution in executions] == ["scheduled", "struck", "scheduled"]
    await finish(shadows)
    assert sorted(ran) == [0, 2]
