"""Who a worker is to the others: a new one each time it joins."""

import asyncio
from time import monotonic

from shadowsd.engine.membership import Membership


def test_a_consumer_is_the_workers_name_and_a_random_part() -> None:
    """Two workers of one name are two consumers."""
    first, second = Membership("w"), Membership("w")
    assert first.consumer == f"w#{first.incarnation}"
    assert first.consumer != second.consumer


def test_who_joins_again_is_somebody_else() -> None:
    """Late outcomes of the first can be told from the second's."""
    membership = Membership("w")
    before = membership.consumer
    membership.joined = True
    membership.renew()
    assert membership.consumer != before
    assert not membership.joined


def test_a_lease_is_held_once_joined_and_until_it_ends() -> None:
    """By this process's own clock: a paused one must not start what it was handed long ago."""
    membership = Membership("w")
    assert not membership.held
    membership.lease_ends = monotonic() + 60
    assert not membership.held
    membership.joined = True
    assert membership.held
    membership.lease_ends = monotonic() - 1
    assert not membership.held


async def test_side_work_is_waited_for_and_so_is_what_it_begins() -> None:
    """A worker that stops leaves no half-done quarantine behind."""
    membership, done = Membership("w"), []

    async def first() -> None:
        await asyncio.sleep(0)
        membership.spawn(second())
        done.append("first")

    async def second() -> None:
        await asyncio.sleep(0)
        done.append("second")

    membership.spawn(first())
    await membership.finish_side_work()
    assert done == ["first", "second"]
    await membership.finish_side_work()


async def test_side_work_that_is_over_is_not_waited_for() -> None:
    """A KeyboardInterrupt can take the call with it that would have struck it from the list: the worker then looked
    for its end again and again, and the loop never turned."""
    membership = Membership("w")
    membership.spawn(asyncio.sleep(0))
    (task,) = membership._tasks
    await task
    membership._tasks.add(task)
    await asyncio.wait_for(membership.finish_side_work(), 5)
