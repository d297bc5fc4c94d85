"""Reading an execution back: from whole records, from damaged ones, and waiting for its end."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shadows import ExecutionCancelled, ExecutionState, Shadow
from shadows.errors import ResultNotKept
from shadows.execution import ExecutionProgress
from shadows.keys import RECLAIMED
from shadows.records import Outcome, Record, moment, number, pairs, text, worker_of
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until


async def job(n: int = 0) -> int:
    return n


def test_moments_are_utc_and_end_where_the_calendar_ends() -> None:
    """A due time that somebody else wrote may be anything."""
    assert moment(1000.5) == datetime(1970, 1, 1, 0, 0, 1, 500, tzinfo=UTC)
    assert moment(1e18) == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "value"), [(b"5", 5), (b"5.7", 5), (b"-1", -1), (b"", 9), (None, 9), (b"x", 9), (b"\xff", 9)]
)
def test_a_number_that_is_none_is_what_the_caller_says(raw: bytes | None, value: int) -> None:
    """Nothing in a record makes reading fail."""
    assert number(raw, 9) == value


def test_bytes_that_are_no_text_are_shown_as_they_are() -> None:
    """Escaped."""
    assert text(b"a\xff") == "a\\xff"
    assert pairs([b"\xff", b"x", b"b", b"y"]) == {"\\xff": b"x", "b": b"y"}


def test_a_workers_name_is_its_consumers_without_the_random_part() -> None:
    """Names may hold any character, also a `#`."""
    assert worker_of("host-1#abcd") == "host-1"
    assert worker_of("a#b#abcd") == "a#b"
    assert worker_of("somebody else's") == "somebody else's"


def test_an_outcome_is_read_from_one_field() -> None:
    """The worker comes last, since its name may hold spaces."""
    outcome = Outcome.parse(b"completed 7 2 1500.5 10000 my worker#1")
    assert outcome == Outcome(ExecutionState.COMPLETED, 7, 2, 1500.5, 10000.0, "my worker#1")
    assert outcome.began == moment(8499.5)
    assert Outcome.parse(b"cancelled 7 0 -1 10000 ").began is None


def record(fields: dict[str, bytes], entry: bool = False, holder: str | None = None, scheduled: bool = False) -> Record:
    return Record(fields, {"p": b""} if entry else {}, holder, 0, 0, scheduled, 0)


@pytest.mark.parametrize(
    ("found", "state", "live"),
    [
        (record({"s": b"scheduled"}, scheduled=True), ExecutionState.SCHEDULED, True),
        (record({"s": b"scheduled"}), ExecutionState.SCHEDULED, False),
        (record({"s": b"queued"}, entry=True), ExecutionState.QUEUED, True),
        (record({"s": b"queued"}), ExecutionState.QUEUED, False),
        (record({"s": b"queued"}, entry=True, holder="w#1"), ExecutionState.RUNNING, True),
        (record({"s": b"queued"}, entry=True, holder=RECLAIMED), ExecutionState.QUEUED, True),
        (record({"s": b"completed"}), ExecutionState.COMPLETED, False),
        (record({"s": b"nonsense"}), ExecutionState.QUEUED, False),
        (record({}), ExecutionState.QUEUED, False),
    ],
)
def test_the_state_is_derived_from_where_the_execution_is(found: Record, state: ExecutionState, live: bool) -> None:
    """A record alone does not make an execution: its entry or its place in the schedule does."""
    assert (found.state, found.live) == (state, live)


def test_the_submission_is_the_first_number_unless_it_moved() -> None:
    """Retries and parking give new numbers to the same submission."""
    assert record({"g": b"5"}).submission == 5
    assert record({"g": b"7", "n": b"5"}).submission == 5
    assert record({"g": b"7"}).outcome_of(7) is None
    assert record({"g": b"7", "o": b"completed 5 1 0 0 w"}).outcome_of(7) is None


DAMAGED: list[dict[str, Any]] = [
    {"g": "x", "s": "hello", "o": "nothing"},
    {"g": "5", "s": "queued", "o": "completed x y z", "pc": "x", "pt": "y", "pm": b"\xff", "w": "y", "a": "z"},
    {"g": "5", "s": b"\xff", "f": b"\xff", "n": b"\xff", b"\xff": "x"},
    {"g": "5", "s": "scheduled", "p": b"garbage", "f": "job", "w": "1e400"},
    {"g": "5", "s": "quarantined", "o": "quarantined 5 1 -1 0 w", "r": b"\xff", "f": "job"},
    {"g": "5", "s": "failed", "o": "failed 5 1 0 0 w", "r": b"\xff", "f": "job"},
    {"g": "5", "s": "cancelled", "o": "cancelled 5 1 0 1e400 w", "r": b"\xff", "f": "job"},
]


@pytest.mark.parametrize("fields", DAMAGED, ids=[str(n) for n in range(len(DAMAGED))])
async def test_a_damaged_record_can_be_looked_at_and_its_key_used(shadows: Shadow, fields: dict[str, Any]) -> None:
    """Whoever damaged it: reading shows what can be read, and `cancel` and `add` work."""
    shadows.register(job)
    async with shadows.redis() as redis:
        await redis.hset(shadows.keys.record("damaged"), mapping=fields)
    execution = await shadows.get_execution("damaged")
    assert execution is not None
    await execution.sync()
    assert repr(execution)
    await shadows.cancel("damaged")
    again = await shadows.add(job, key="damaged")(1)
    assert again.disposition == "scheduled"
    await finish(shadows)
    assert await again.get_result() == 1


async def test_a_record_that_is_something_else_is_none(shadows: Shadow) -> None:
    """Neither found nor cancelled, and no error."""
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.record("taken"), "by somebody else")
        assert await shadows.get_execution("taken") is None
        assert not await shadows.cancel("taken")
        await redis.delete(shadows.keys.record("taken"))


async def test_an_error_that_can_not_be_read_is_told_as_such(shadows: Shadow) -> None:
    """The client has no secret, the worker had one."""

    async def fails() -> None:
        raise ValueError("no")

    async with Shadow(name=shadows.name, url=shadows.settings.url, secret="secret") as signing:
        execution = await signing.add(fails, key="fails")()
        await finish(signing)
    async with Shadow(name=shadows.name, url=shadows.settings.url, secret="another") as other:
        seen = await other.get_execution("fails")
        assert seen is not None
        assert "signature" in str(seen.error)
    assert execution.key == seen.key


async def test_progress_is_read_with_the_record(shadows: Shadow) -> None:
    """Whatever of it is there."""
    execution = await shadows.add(job, key="job")()
    async with shadows.redis() as redis:
        await redis.hset(shadows.keys.record("job"), mapping={"pc": 3, "pt": "", "pm": "three"})
    await execution.sync()
    assert execution.progress == ExecutionProgress(3, None, "three")


async def test_an_execution_whose_record_is_gone_stays_as_it_was(shadows: Shadow) -> None:
    """`sync` has nothing newer to tell."""
    execution = await shadows.add(job, when=timedelta(hours=1), key="job")()
    async with shadows.redis() as redis:
        await redis.delete(shadows.keys.record("job"))
    await execution.sync()
    assert execution.state is ExecutionState.SCHEDULED


async def test_who_waits_looks_again_though_a_message_was_lost(brief: Shadow) -> None:
    """Pub/sub is told once; a beat later the record itself is looked at."""
    execution = await brief.add(job)(5)
    waiting = asyncio.create_task(execution.get_result(timeout=10))
    await wait_until(lambda: brief.subscriptions._listeners, "somebody listens")
    brief.subscriptions._listeners[brief.keys.events(execution.key).encode()].clear()
    await finish(brief)
    assert await waiting == 5


async def test_who_waits_goes_on_waiting_after_its_connection_was_cut(shadows: Shadow, proxy: Proxy) -> None:
    """Both of its connections find their way back."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        execution = await through.add(job)(5)
        waiting = asyncio.create_task(execution.get_result(timeout=10))
        await wait_until(lambda: through.subscriptions.connected, "it listens")
        proxy.cut()
        async with working(shadows):
            assert await waiting == 5


async def test_nothing_is_listened_to_once_nobody_waits(shadows: Shadow) -> None:
    """Whether the waiting ended well, in time, or by a cancel."""
    execution = await shadows.add(job)()
    with pytest.raises(TimeoutError):
        await execution.get_result(timeout=0.01)
    waiting = asyncio.create_task(execution.get_result())
    await wait_until(lambda: shadows.subscriptions._listeners, "somebody listens")
    waiting.cancel()
    await asyncio.wait([waiting])
    await finish(shadows)
    await execution.get_result()
    assert shadows.subscriptions._listeners == {}


async def test_an_older_submission_of_a_key_is_told_that_it_was_replaced(shadows: Shadow) -> None:
    """Its outcome made way for the newer one's."""
    first = await shadows.add(job, key="job")(1)
    await finish(shadows)
    await shadows.add(job, key="job")(2)
    await finish(shadows)
    with pytest.raises(ExecutionCancelled, match="replaced"):
        await first.get_result()


async def test_a_newer_submission_than_the_record_knows_is_not_waited_for(shadows: Shadow) -> None:
    """The record was restored from an old copy, say."""
    execution = await shadows.add(job, key="job")(1)
    await finish(shadows)
    execution.submission += 1
    with pytest.raises(ResultNotKept):
        await execution.get_result(timeout=5)


@pytest.fixture
async def brief(shadows_url: str, shadows: Shadow) -> Any:
    """Beats twenty times a second, so that looking again does not take long."""
    async with Shadow(name=shadows.name, url=shadows_url, heartbeat_interval=timedelta(milliseconds=50)) as brief:
        yield brief
