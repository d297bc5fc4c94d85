"""One reload at a time, and who waits for it is told; no process here."""

import asyncio

from shadowsd.master.reloading import Outcome, Reloading
from shadowsd.master.world import Reload

WELL = Outcome(True, "well")


async def test_a_reload_is_begun_promoted_and_ended() -> None:
    reloading = Reloading()
    told = reloading.want()
    assert reloading.wanted
    reloading.begin(2, 1, 5.0)
    assert (reloading.wanted, reloading.before, reloading.under_way) == (False, 1, Reload(2))
    reloading.promote()
    assert reloading.under_way == Reload(2, rolling=True)
    reloading.end(WELL)
    assert (await told, reloading.last, reloading.under_way) == (WELL, WELL, None)


async def test_many_wishes_during_a_reload_are_one_more_after_it() -> None:
    """Code that was changed after the first began must be seen by the second."""
    reloading = Reloading()
    first = reloading.want()
    reloading.begin(2, 1, 0.0)
    later = [reloading.want() for _ in range(500)]
    reloading.end(WELL)
    assert first.done()
    assert not any(each.done() for each in later)
    assert reloading.wanted
    reloading.begin(3, 2, 0.0)
    failed = Outcome(False, "broken", "Traceback")
    reloading.end(failed)
    assert {await each for each in later} == {failed}
    assert not reloading.wanted


async def test_the_first_thing_that_went_wrong_is_what_is_told() -> None:
    reloading = Reloading()
    reloading.fail("nothing is under way")
    assert reloading.under_way is None
    reloading.begin(2, 1, 0.0)
    reloading.promote()
    reloading.fail("first")
    reloading.fail("second")
    assert reloading.under_way == Reload(2, rolling=True, failure="first")


async def test_who_gave_up_waiting_does_not_keep_others_from_being_told() -> None:
    reloading = Reloading()
    gone, waiting = reloading.want(), reloading.want()
    reloading.begin(2, 1, 0.0)
    gone.cancel()
    reloading.end(WELL)
    assert await asyncio.wait_for(waiting, 1) == WELL


async def test_at_a_stop_everybody_who_waits_is_told() -> None:
    reloading = Reloading()
    now = reloading.want()
    reloading.begin(2, 1, 0.0)
    later = reloading.want()
    stopped = Outcome(False, "the master stops")
    reloading.abandon(stopped)
    assert (await now, await later) == (stopped, stopped)
    assert not reloading.wanted


async def test_a_stop_is_no_failed_reload() -> None:
    """`shadowsd status` said of every daemon that drained: the last reload failed."""
    reloading = Reloading()
    reloading.abandon(Outcome(False, "the master stops"))
    assert reloading.last is None
    told = reloading.want()
    reloading.begin(2, 1, 0.0)
    reloading.end(WELL)
    reloading.abandon(Outcome(False, "the master stops"))
    assert (await told, reloading.last) == (WELL, WELL)
