"""Writing outcomes: in batches, once, and only where they still count."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shadows import ExecutionState, Shadow
from shadows.connection import Link
from shadowsd.engine.asides import Asides
from shadowsd.engine.entries import Entry
from shadowsd.engine.events import OutcomesFenced
from shadowsd.engine.settle import MOST_BYTES, MOST_ITEMS, Next, Settler, Verdict
from shadowsd.engine.slots import Slots
from tests.proxy import Proxy

from .parts import Recorded, delivered, entry_of, link_of, outage_of


async def job() -> None: ...


class Desk:
    """A settler, its slots and its events, over one link."""

    def __init__(self, shadows: Shadow, ttl_ms: int = 60_000) -> None:
        self.recorded = Recorded()
        self.slots = Slots(10)
        self.link: Link = link_of(shadows)
        outage = outage_of(self.recorded)
        asides = Asides(self.link, shadows.keys, outage, self.recorded.source, ttl_ms, 1000)
        self.settler = Settler(
            self.link, shadows.keys, self.slots, outage, self.recorded.source, ttl_ms, asides.quarantine
        )

    async def settle(self, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            self.slots.unsettled[verdict.entry.generation] = verdict.entry
            self.settler.put(verdict)
        await self.settler.flushed()
        assert self.slots.idle


@pytest.fixture
async def desk(shadows: Shadow) -> AsyncIterator[Desk]:
    desk = Desk(shadows)
    yield desk
    await desk.link.close()


def done(entry: Entry, word: str = "c", body: bytes | str = b"", following: Next | None = None) -> Verdict:
    return Verdict(entry, word, body, 5, following)


async def state_of(shadows: Shadow, key: str) -> ExecutionState:
    execution = await shadows.get_execution(key)
    assert execution is not None
    return execution.state


async def test_an_outcome_ends_the_entry_and_is_kept(shadows: Shadow, desk: Desk) -> None:
    """Acknowledged and deleted: a stream that is done is empty."""
    await shadows.add(job, key="job")()
    (entry,) = await delivered(shadows)
    await desk.settle(done(entry))
    assert await state_of(shadows, "job") is ExecutionState.COMPLETED
    assert (await shadows.snapshot()).ready_count == 0
    assert desk.settler.done == 1


async def test_what_gathers_while_one_call_is_under_way_goes_in_the_next(shadows: Shadow, proxy: Proxy) -> None:
    """Group commit: a hundred outcomes are a call or two."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await shadows.add_many([shadows.call(job)() for _ in range(100)])
        entries = await delivered(shadows)
        desk = Desk(through)
        await desk.link.call("PING")
        proxy.reset_counts()
        await desk.settle(*[done(entry) for entry in entries])
        assert proxy.commands["EVALSHA"] <= 2
        await desk.link.close()
    assert (await shadows.snapshot()).ready_count == 0


@pytest.mark.parametrize(
    ("sizes", "consumers", "calls"),
    [
        ([1] * MOST_ITEMS, 1, 1),
        ([1] * (MOST_ITEMS + 1), 1, 2),
        ([MOST_BYTES, 1], 1, 2),
        ([MOST_BYTES + 1, MOST_BYTES + 1], 1, 2),
        ([1, 1, 1], 2, 3),
    ],
)
def test_a_call_carries_what_one_script_may_take(
    shadows_url: str, sizes: list[int], consumers: int, calls: int
) -> None:
    """Items, bytes, and one owner: after a lost lease the earlier name is asked about separately."""
    desk = Desk(Shadow(url=shadows_url))
    for n, size in enumerate(sizes):
        entry = entry_of(str(n))
        entry.consumer = f"w#{n % consumers}"
        desk.settler._waiting.append(done(entry, body=b"x" * size))
    taken = 0
    while desk.settler._waiting:
        desk.settler._take()
        taken += 1
    assert taken == calls


async def test_an_outcome_of_a_lost_entry_is_refused_counted_and_told(
    shadows: Shadow, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Another worker has it now, and its run counts."""
    await shadows.add(job, key="job")()
    (entry,) = await delivered(shadows)
    async with shadows.redis() as redis:
        await redis.xclaim(shadows.keys.stream, "workers", "another#2", 0, [entry.id])
    await desk.settle(done(entry))
    assert (desk.settler.done, desk.settler.fenced) == (0, 1)
    assert desk.recorded.events == [OutcomesFenced(1)]
    assert "was refused: this worker had lost it" in caplog.text
    assert await state_of(shadows, "job") is ExecutionState.RUNNING


@pytest.mark.parametrize("overtaken", ["cancelled", "replaced"])
async def test_an_outcome_that_was_overtaken_is_neither_written_nor_fenced(
    shadows: Shadow, desk: Desk, overtaken: str
) -> None:
    """That is the user's wish, and no accident."""
    await shadows.add(job, key="job")()
    (entry,) = await delivered(shadows)
    if overtaken == "cancelled":
        await shadows.cancel("job")
    else:
        await shadows.replace(job, None, "job")()
    await desk.settle(done(entry))
    assert desk.settler.fenced == 0
    state = ExecutionState.CANCELLED if overtaken == "cancelled" else ExecutionState.QUEUED
    assert await state_of(shadows, "job") is state


async def test_a_reply_that_was_lost_is_asked_for_again(shadows: Shadow, proxy: Proxy) -> None:
    """The server answers from its memory: settled, and not fenced."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await shadows.add(job, key="job")()
        (entry,) = await delivered(shadows)
        desk = Desk(through)
        order = proxy.lose_replies("EVALSHA", "EVAL", skip=1)
        await desk.settle(done(entry))
        await desk.link.close()
    assert order.lost <= 1
    assert (desk.settler.done, desk.settler.fenced) == (1, 0)
    assert await state_of(shadows, "job") is ExecutionState.COMPLETED


async def test_a_verdict_that_redis_refuses_harms_no_other(shadows: Shadow, desk: Desk) -> None:
    """Something is wrong with one record: that one is set aside, and the others are written."""
    for key in ("a", "bad", "b"):
        await shadows.add(job, key=key)()
    entries = await delivered(shadows)
    verdicts = [done(entry) for entry in entries]
    verdicts[1] = done(entries[1], following=Next(None, None, b""))
    await desk.settle(*verdicts)
    assert await state_of(shadows, "a") is ExecutionState.COMPLETED
    assert await state_of(shadows, "b") is ExecutionState.COMPLETED
    (set_aside,) = await shadows.quarantine()
    assert set_aside.key == "bad"
    assert "it ran, and its outcome could not be written" in set_aside.cause


async def test_a_successor_is_written_with_the_outcome(shadows: Shadow, desk: Desk) -> None:
    """In one script, so that no crash can fall between."""
    for key in ("retry", "later", "perpetual"):
        await shadows.add(job, key=key)()
    retry, later, perpetual = await delivered(shadows)
    await desk.settle(
        done(retry, "r", following=Next(0, None, retry.payload)),
        done(later, "r", following=Next(3_600_000, None, later.payload)),
        done(perpetual, "c", following=Next(None, 4_000_000_000_000, perpetual.payload)),
    )
    found: dict[str, Any] = {key: await shadows.get_execution(key) for key in ("retry", "later", "perpetual")}
    assert [found[key].state.value for key in found] == ["queued", "scheduled", "scheduled"]
    assert [found[key].attempt for key in found] == [2, 2, 1]
    assert found["retry"].submission == int(retry.submission)
    assert found["perpetual"].submission > int(perpetual.submission)


async def test_nothing_is_kept_without_a_ttl(shadows: Shadow) -> None:
    """But for what follows."""
    desk = Desk(shadows, ttl_ms=0)
    for key in ("ends", "goes on"):
        await shadows.add(job, key=key)()
    ends, goes_on = await delivered(shadows)
    await desk.settle(done(ends), done(goes_on, following=Next(3_600_000, None, b"")))
    await desk.link.close()
    assert await shadows.get_execution("ends") is None
    assert await state_of(shadows, "goes on") is ExecutionState.SCHEDULED


async def test_abandoning_leaves_the_rest_to_the_lease(shadows: Shadow, desk: Desk) -> None:
    """Redis does not answer and the process must end: what is unsettled runs again elsewhere."""
    await shadows.add(job, key="job")()
    (entry,) = await delivered(shadows)
    desk.settler.abandon()
    desk.settler.put(done(entry))
    desk.settler.abandon()
    async with asyncio.timeout(5):
        await desk.settler.flushed()
    assert await state_of(shadows, "job") is ExecutionState.RUNNING


async def test_a_sending_that_was_cut_short_is_done_again(shadows: Shadow, proxy: Proxy) -> None:
    """Whoever closes a loop cancels everything in it, also this; the outcomes must still be written."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        for n in range(3):
            await shadows.add(job, key=str(n))()
        entries = await delivered(shadows)
        desk = Desk(through)
        await desk.link.call("PING")
        proxy.black_hole()
        for entry in entries:
            desk.slots.unsettled[entry.generation] = entry
            desk.settler.put(done(entry))
        await asyncio.sleep(0.02)
        assert desk.settler._sender is not None
        desk.settler._sender.cancel()
        await asyncio.wait([desk.settler._sender])
        proxy.resume()
        await desk.settler.flushed()
        assert desk.slots.idle
    for n in range(3):
        assert await state_of(shadows, str(n)) is ExecutionState.COMPLETED


async def test_an_outcome_waits_for_a_server_that_is_away(shadows: Shadow, proxy: Proxy) -> None:
    """For as long as it takes."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await shadows.add(job, key="job")()
        (entry,) = await delivered(shadows)
        desk = Desk(through)
        proxy.refuse()
        proxy.cut()
        settling = asyncio.create_task(desk.settle(done(entry)))
        await asyncio.sleep(0.1)
        assert not settling.done()
        proxy.accept()
        await settling
    assert await state_of(shadows, "job") is ExecutionState.COMPLETED


async def test_a_record_that_was_lost_is_written_anew_with_the_outcome(
    shadows: Shadow, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The entry tells what it was."""
    await shadows.add(job, key="job")()
    (entry,) = await delivered(shadows)
    async with shadows.redis() as redis:
        await redis.delete(shadows.keys.record("job"))
    with caplog.at_level(logging.WARNING):
        await desk.settle(done(entry, "x", "a reason"))
    execution = await shadows.get_execution("job")
    assert execution is not None
    assert (execution.state, execution.function_name, execution.error) == ("cancelled", "job", "a reason")
