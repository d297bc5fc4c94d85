"""Group commit of submissions: what goes together, what is sent again, and who is told when it can't be."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from shadows import Shadow
from shadows.errors import ConnectionFailed, ShadowsError, TooBusy
from shadows.submissions import MOST_BYTES, MOST_ITEMS, MOST_WAITING, StaleStrikes, Submission
from shadows.testing import RedisServer
from tests.proxy import Proxy


async def job(n: int = 0) -> None: ...


def items_of(shadows: Shadow, count: int, size: int = 1) -> list[Submission]:
    return [(shadows.keys.record(f"{n}"), "job", b"x" * size, "a") for n in range(count)]


async def test_answers_go_to_whom_they_belong(shadows: Shadow) -> None:
    """Several groups in one call: each gets its own part, in order."""
    await shadows.wait_for_strikes_loaded()
    put = shadows._submissions.put
    first, second = items_of(shadows, 3), [(shadows.keys.record("0"), "job", b"x", "a")]
    answers = await asyncio.gather(put(first), put(second))
    assert [answer[:1] for answer in answers[0]] == [b"q", b"q", b"q"]
    assert answers[1] == [b"=" + answers[0][0][1:]]


@pytest.mark.parametrize(
    ("groups", "calls"),
    [
        ([(1, 1)] * MOST_ITEMS, 1),
        ([(1, 1)] * (MOST_ITEMS + 1), 2),
        ([(MOST_ITEMS, 1), (1, 1)], 2),
        ([(1, MOST_BYTES // 2)] * 2, 1),
        ([(1, MOST_BYTES // 2)] * 3, 2),
        ([(1, MOST_BYTES + 1), (1, 1)], 2),
    ],
)
async def test_a_call_carries_what_one_script_may_take(
    shadows: Shadow, groups: list[tuple[int, int]], calls: int
) -> None:
    """Two hundred items and a mebibyte; what is larger by itself goes alone."""
    submissions = shadows._submissions
    for count, size in groups:
        group = items_of(shadows, count, size)
        submissions._waiting.append((group, asyncio.get_running_loop().create_future(), "0"))
        submissions._count += len(group)
    taken = 0
    while submissions._waiting:
        submissions._take()
        taken += 1
    assert (taken, submissions._count) == (calls, 0)


async def test_what_was_checked_with_older_strikes_is_not_written(shadows: Shadow) -> None:
    """A strike came between an add's look at the strikes and the sending of its batch, and a worker of the same
    process had read it meanwhile: the batch went out with the new version, and a struck task was added."""
    async with Shadow(name=shadows.name, url=shadows.settings.url) as other:
        await shadows.wait_for_strikes_loaded()
        await other.strike(job)
        earlier = shadows._submissions.put(items_of(shadows, 1))
        # As when the other reader's reply comes before the sender has its turn.
        shadows.strikelist.version = other.strikelist.version
        later = shadows._submissions.put(items_of(shadows, 1))
        with pytest.raises(StaleStrikes):
            await earlier
        assert (await later)[0][:1] == b"q"


async def test_one_bad_key_does_not_fail_those_beside_it(shadows: Shadow) -> None:
    """Half a surrogate pair can't be sent: it failed the whole batch that it went out with."""
    adds = [shadows.add(job)(), shadows.add(job, key="\ud800")(), shadows.add("\ud800")(), shadows.add(job)()]
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert [isinstance(result, BaseException) for result in results] == [False, True, True, False]


async def test_a_caller_that_is_cancelled_does_not_take_its_submission_back(shadows: Shadow) -> None:
    """Nor the others that go with it; nobody can say whether it ran already."""
    await shadows.add(job)()
    impatient = asyncio.create_task(shadows.add(job, key="impatient")())
    patient = asyncio.create_task(shadows.add(job, key="patient")())
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).disposition == "scheduled"
    assert impatient.cancelled()
    assert await shadows.get_execution("impatient") is not None


async def test_an_add_whose_reply_was_lost_is_sent_again_and_counts_once(shadows: Shadow, proxy: Proxy) -> None:
    """The number of the call makes it harmless: the server answers from its memory."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await through.add(job)()
        order = proxy.lose_replies("EVALSHA")
        execution = await through.add(job, key="once")()
    assert order.lost == 1
    assert execution.disposition == "scheduled"
    assert (await shadows.snapshot()).ready_count == 2


async def test_closing_sends_what_is_queued(shadows: Shadow) -> None:
    """A script may end right after its last add."""
    async with Shadow(name=shadows.name, url=shadows.settings.url) as brief:
        await brief.wait_for_strikes_loaded()
        adds = [asyncio.ensure_future(brief.add(job)()) for _ in range(3)]
        await asyncio.sleep(0)
    assert all([(await add).disposition == "scheduled" for add in adds])
    assert (await shadows.snapshot()).ready_count == 3


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls give up after a tenth of a second, so that the tests of giving up don't take five."""
    for module in ("submissions", "connection"):
        monkeypatch.setattr(f"shadows.{module}.CALL_SECONDS", 0.3)


@pytest.mark.usefixtures("hurried")
async def test_adds_to_a_dead_server_fail_together_and_none_hangs(own_redis: RedisServer) -> None:
    """Those who queued behind the first have waited as long; the error names the server."""
    async with Shadow(name=f"test-{uuid4()}", url=own_redis.url) as shadows:
        await shadows.add(job)()
        own_redis.kill()
        async with asyncio.timeout(5):
            results = await asyncio.gather(*[shadows.add(job)() for _ in range(300)], return_exceptions=True)
        assert {type(result) for result in results} == {ConnectionFailed}
        assert str(own_redis.port) in str(results[0])
        own_redis.start()
        assert (await shadows.add(job)()).disposition == "scheduled"


async def test_what_waits_for_a_server_that_does_not_answer_is_bounded(own_redis: RedisServer) -> None:
    """Memory is finite, too; the error says to come back later."""
    async with Shadow(name=f"test-{uuid4()}", url=own_redis.url) as shadows:
        await shadows.add(job)()
        submissions: Any = shadows._submissions
        own_redis.pause()
        waiting = [submissions.put(items_of(shadows, 1)) for _ in range(MOST_WAITING + 200)]
        submissions._failing = True
        with pytest.raises(TooBusy, match="does not answer"):
            await shadows.add(job)()
        own_redis.resume()
        answers = await asyncio.gather(*waiting)
        assert len(answers) == MOST_WAITING + 200
        assert (await shadows.add(job)()).disposition == "scheduled"


async def test_an_error_of_the_server_goes_to_those_in_the_batch(own_redis: RedisServer) -> None:
    """The next batch is tried for itself."""
    async with Shadow(name=f"test-{uuid4()}", url=own_redis.url) as shadows:
        await shadows.add(job)()
        with own_redis.configured("maxmemory", 1), pytest.raises(ShadowsError, match="refused the call"):
            await shadows.add(job)()
        assert (await shadows.add(job)()).disposition == "scheduled"
