"""Perpetual tasks that need nobody to start them."""

from datetime import timedelta

import pytest

from shadows import Perpetual, Shadow
from shadowsd.engine.automatic import seed


async def nightly(perpetual: Perpetual = Perpetual(every=timedelta(hours=24), automatic=True)) -> None: ...


async def by_hand(perpetual: Perpetual = Perpetual(every=timedelta(hours=24))) -> None: ...


async def test_automatic_tasks_are_added_under_their_names(shadows: Shadow) -> None:
    """Under each of them; all others are left alone."""
    shadows.register(nightly, names=["nightly", "at_night"])
    shadows.register(by_hand)
    await seed(shadows)
    assert sorted(row.key for row in (await shadows.snapshot()).queued) == ["at_night", "nightly"]


async def test_one_that_exists_stays_as_it_is(shadows: Shadow) -> None:
    """Each worker that starts seeds them again."""
    shadows.register(nightly)
    await shadows.add(nightly, when=timedelta(hours=5), key="nightly")()
    await seed(shadows)
    snapshot = await shadows.snapshot()
    assert (snapshot.scheduled_count, snapshot.ready_count) == (1, 0)


async def test_without_automatic_tasks_nothing_is_sent(shadows: Shadow) -> None:
    """Not even the strikes are read for it."""
    shadows.register(by_hand)
    await seed(shadows)
    assert shadows.strikelist.version is None


async def test_a_struck_one_is_not_started(shadows: Shadow) -> None:
    """The strike holds it back like any other add, and is no error."""
    shadows.register(nightly)
    await shadows.strike(nightly)
    await seed(shadows)
    assert (await shadows.snapshot()).total == 0


async def test_one_that_can_not_be_added_is_an_error(shadows: Shadow) -> None:
    """A worker without its housekeeping must not look healthy."""
    shadows.register(nightly)
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.record("nightly"), "something else")
        with pytest.raises(Exception, match="WRONGTYPE"):
            await seed(shadows)
        await redis.delete(shadows.keys.record("nightly"))
