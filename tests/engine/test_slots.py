"""The table of what is in flight: how much more fits, what was cancelled on its way, and who is woken."""

import asyncio
from time import monotonic

import pytest

from shadowsd.engine.slots import Running, Slots, Stop

from .parts import CONSUMER, entry_of


def running(generation: str = "1", is_async: bool = True) -> Running:
    return Running(entry_of(generation=generation), monotonic(), is_async)


@pytest.mark.parametrize(
    ("runs", "unsettled", "free"),
    [(0, 0, 4), (3, 0, 1), (4, 0, 0), (0, 4, 4), (0, 6, 2), (2, 6, 0), (0, 8, 0), (4, 4, 0)],
)
def test_running_and_unsettled_stay_within_twice_the_concurrency(runs: int, unsettled: int, free: int) -> None:
    """A Redis that is slow to settle must slow the fetching down."""
    slots = Slots(4)
    for n in range(runs):
        slots.take(running(f"r{n}"))
    for n in range(unsettled):
        slots.unsettled[f"u{n}"] = entry_of()
    assert slots.free == free


@pytest.mark.parametrize(
    ("runs", "unsettled", "worth"),
    [(8, 0, False), (7, 0, True), (7, 1, False), (6, 1, True), (0, 8, True), (0, 16, False)],
)
def test_a_read_waits_for_a_quarter_of_the_slots_while_outcomes_are_on_their_way(
    runs: int, unsettled: int, worth: bool
) -> None:
    """Else each slot that becomes free would cost a round trip of its own."""
    slots = Slots(8)
    for n in range(runs):
        slots.take(running(f"r{n}"))
    for n in range(unsettled):
        slots.unsettled[f"u{n}"] = entry_of()
    assert slots.worth_filling is worth


def test_an_entry_is_in_flight_until_its_outcome_is_written() -> None:
    """Running, then unsettled, then gone."""
    slots, each = Slots(1), running("7")
    assert slots.idle
    assert slots.take(each)
    assert slots.knows("7")
    assert slots.holder("7") == CONSUMER
    slots.finish(each, settles=True)
    assert (slots.free, slots.idle, slots.knows("7"), slots.holder("7")) == (1, False, True, CONSUMER)
    slots.settled("7")
    assert (slots.idle, slots.knows("7"), slots.holder("7")) == (True, False, None)


def test_what_has_no_outcome_to_write_is_gone_at_once() -> None:
    """It was cancelled, or belongs to another worker."""
    slots, each = Slots(1), running()
    slots.take(each)
    slots.finish(each, settles=False)
    assert slots.idle


def test_an_entry_that_was_cancelled_on_its_way_is_not_taken() -> None:
    """Until the read that may bring it was handled."""
    slots = Slots(1)
    slots.cancel("7")
    assert not slots.take(running("7"))
    assert slots.take(running("8"))
    slots.forget_cancelled()
    assert slots.take(running("7"))


async def test_cancelling_stops_an_async_task_and_only_marks_a_plain_one() -> None:
    """A thread can't be stopped; its outcome won't count."""
    slots, coroutine, plain = Slots(2), running("1"), running("2", is_async=False)
    for each in (coroutine, plain):
        slots.take(each)
        each.task = asyncio.ensure_future(asyncio.Event().wait())  # type: ignore[assignment] # stands for a run
    slots.cancel("1")
    slots.cancel("2")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert coroutine.task is not None
    assert plain.task is not None
    assert (coroutine.task.cancelled(), plain.task.done()) == (True, False)
    assert (coroutine.stop, plain.stop) == (Stop.CANCELLED, Stop.CANCELLED)
    plain.task.cancel()


def test_the_first_reason_to_stop_stays() -> None:
    """A task that was cancelled is not handed back because the worker stops as well."""
    slots, each = Slots(1), running("1")
    slots.take(each)
    slots.cancel("1")
    slots.stop_all(Stop.SHUTDOWN)
    assert each.stop is Stop.CANCELLED


async def test_whoever_waits_for_a_change_is_woken_by_each_of_them() -> None:
    """A slot that became free, an outcome that was written."""
    slots, each = Slots(1), running("1")
    slots.take(each)
    for act in (lambda: slots.finish(each, settles=True), lambda: slots.settled("1"), slots.wake):
        waiting = asyncio.ensure_future(slots.change())
        await asyncio.sleep(0)
        assert not waiting.done()
        act()
        await asyncio.wait_for(waiting, 1)


async def test_until_idle_waits_for_the_last_outcome() -> None:
    """Not only for the last task."""
    slots, each = Slots(1), running("1")
    slots.take(each)
    waiting = asyncio.ensure_future(slots.until_idle())
    await asyncio.sleep(0)
    slots.finish(each, settles=True)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    slots.settled("1")
    await asyncio.wait_for(waiting, 1)


def test_becoming_idle_is_told() -> None:
    """Only then, and not at each change before."""
    slots, told = Slots(2), []
    slots.on_idle = lambda: told.append("idle")
    first, second = running("1"), running("2")
    slots.take(first)
    slots.take(second)
    slots.finish(first, settles=False)
    slots.finish(second, settles=True)
    assert told == []
    slots.settled("2")
    assert told == ["idle"]
