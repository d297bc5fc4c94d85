"""`execution.subscribe()`: the present state and progress, then each change, and nothing is lost between."""

import asyncio
import json
from datetime import timedelta

import pytest

from shadows import Execution, ExecutionState, Progress, Retry, Shadow
from shadows.execution import Event
from tests.features.workers import finish, working
from tests.waiting import wait_until

HOSTILE = ['it\'s "quoted"', "two\nlines", "a\0b", "key with spaces", "schlüssel"]


async def counts(progress: Progress = Progress()) -> None:
    await progress.set_total(3)
    for _ in range(3):
        await progress.increment()
        await progress.set_message("counting")


async def works() -> str:
    return "done"


async def fails(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("no luck")


async def events_of(execution: Execution) -> list[Event]:
    async with asyncio.timeout(20):
        return [event async for event in execution.subscribe()]


async def follow(execution: Execution, into: list[Event]) -> None:
    async with asyncio.timeout(20):
        async for event in execution.subscribe():
            into.append(event)  # noqa: PERF401 # the test looks at them one by one


async def followed(execution: Execution) -> tuple[list[Event], asyncio.Task[None]]:
    """The events so far, at least one of them, and who gathers them."""
    events: list[Event] = []
    following = asyncio.create_task(follow(execution, events))
    await wait_until(lambda: events, "it is followed")
    return events, following


def states(events: list[Event]) -> list[str]:
    return [str(event["state"]) for event in events if event["type"] == "state"]


async def test_the_first_events_are_the_present_state_and_progress(shadows: Shadow) -> None:
    execution = await shadows.add(works, when=timedelta(hours=1))()
    events = execution.subscribe()
    assert (await anext(events))["key"] == execution.key
    first = await anext(events)
    assert (first["type"], first["key"]) == ("progress", execution.key)
    await events.aclose()


async def test_each_state_is_told_of_and_the_end_ends_it(shadows: Shadow) -> None:
    execution = await shadows.add(works)()
    events, following = await followed(execution)
    await finish(shadows)
    await following
    assert states(events) == ["queued", "running", "completed"]


async def test_of_what_has_ended_the_end_is_told(shadows: Shadow) -> None:
    execution = await shadows.add(works)()
    await finish(shadows)
    events = await events_of(execution)
    assert states(events) == ["completed"]
    assert events[-1]["type"] == "state"
    assert None not in (events[-1]["started_at"], events[-1]["completed_at"], events[-1]["worker"])


async def test_a_run_that_lasts_is_told_of_when_it_begins(shadows: Shadow) -> None:
    hold = asyncio.Event()

    async def waits() -> None:
        await hold.wait()

    execution = await shadows.add(waits)()
    events = execution.subscribe()
    await anext(events)
    await anext(events)
    async with working(shadows):
        async with asyncio.timeout(1):
            running = await anext(events)
        assert running["type"] == "state"
        assert running["state"] is ExecutionState.RUNNING
        hold.set()
        assert states([event async for event in events]) == ["completed"]


async def test_progress_is_told_of_while_the_task_runs(shadows: Shadow) -> None:
    execution = await shadows.add(counts)()
    events, following = await followed(execution)
    await finish(shadows)
    await following
    told = [event for event in events if event["type"] == "progress"]
    assert (told[0]["current"], told[0]["total"]) == (0, None)
    assert (told[-1]["current"], told[-1]["total"], told[-1]["message"]) == (3, 3, "counting")
    assert [event["current"] for event in told] == sorted(event["current"] for event in told)


async def test_a_failure_is_told_of_with_its_error(shadows: Shadow) -> None:
    execution = await shadows.add(fails)()
    events, following = await followed(execution)
    await finish(shadows)
    await following
    last = events[-1]
    assert last["type"] == "state"
    assert (last["state"], last["error"]) == (ExecutionState.FAILED, "ValueError: no luck")


async def test_a_cancel_and_a_replacement_are_ends(shadows: Shadow) -> None:
    cancelled = await shadows.add(works, when=timedelta(hours=1))()
    replaced = await shadows.add(works, when=timedelta(hours=1), key="again")()
    told = [await followed(each) for each in (cancelled, replaced)]
    await shadows.cancel(cancelled.key)
    await shadows.replace(works, timedelta(hours=2), "again")()
    for events, following in told:
        await following
        assert states(events) == ["scheduled", "cancelled"]
    assert [str(event["error"]) for event in await events_of(replaced) if event["type"] == "state"] == ["replaced"]


async def test_whose_record_tells_of_others_only_was_replaced(shadows: Shadow) -> None:
    """The outcome that is kept is that of the second."""
    later = timedelta(hours=1)
    first = await shadows.add(works, later, "k")()
    for _ in range(2):
        await shadows.replace(works, later, "k")()
    event = (await events_of(first))[-1]
    assert event["type"] == "state"
    assert (event["state"], event["error"]) == (ExecutionState.CANCELLED, "replaced")


@pytest.mark.parametrize("key", HOSTILE)
async def test_events_of_any_key_are_plain_data(shadows: Shadow, key: str) -> None:
    execution = await shadows.add(counts, key=key)()
    events, following = await followed(execution)
    await finish(shadows)
    await following
    assert json.loads(json.dumps(events)) == events
    assert {event["key"] for event in events} == {key}
    assert states(events)[-1] == "completed"
