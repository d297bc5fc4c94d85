"""`shadows.sync`: the client for threads and scripts without a loop, over forks and to the end of the process."""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

import shadows
from shadows import Disposition, ExecutionState, Worker
from shadows.errors import ArgumentsError, ConnectionFailed, ShadowsError
from shadows.sync import Shadow, add, default_shadow
from shadows.testing import RedisServer
from tests.proxy import Proxy
from tests.waiting import wait_for


async def greet(name: str) -> str:
    return name.upper()


async def fails() -> None:
    raise LookupError("on purpose")


@pytest.fixture
def shadow(shadows_url: str) -> Iterator[Shadow]:
    with Shadow(name=f"test-{uuid4()}", url=shadows_url) as shadow:
        yield shadow
        shadow.clear()


def run_worker(shadow: Shadow) -> None:
    """Runs what waits, in a loop of its own."""

    async def work() -> None:
        async with shadows.Shadow(shadow.name, shadow.url) as inner, Worker(inner) as worker:
            await worker.run_until_finished()

    asyncio.run(work())


def threads_of_ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "shadows.sync"}


def test_a_script_adds_and_gets_the_result(shadow: Shadow) -> None:
    execution = shadow.add(greet)("Jane")
    assert (execution.disposition, execution.state) == (Disposition.SCHEDULED, ExecutionState.QUEUED)
    assert execution.get_argument("name") == "Jane"
    run_worker(shadow)
    assert execution.get_result(timeout=5) == "JANE"
    execution.sync()
    assert execution.state is ExecutionState.COMPLETED
    assert execution.completed_at is not None
    assert "completed" in repr(execution)


def test_a_result_is_waited_for_while_a_worker_runs_in_another_thread(shadow: Shadow) -> None:
    execution = shadow.add(greet)("Jane")
    worker = threading.Thread(target=run_worker, args=(shadow,))
    worker.start()
    assert execution.get_result(deadline=datetime.now(UTC) + timedelta(seconds=10)) == "JANE"
    worker.join()


def test_the_tasks_own_exception_comes_back(shadow: Shadow) -> None:
    execution = shadow.add(fails)()
    run_worker(shadow)
    with pytest.raises(LookupError, match="on purpose"):
        execution.get_result(timeout=5)


def test_a_result_that_does_not_come_is_a_timeout(shadow: Shadow) -> None:
    with pytest.raises(TimeoutError, match="greet"):
        shadow.add(greet)("Jane").get_result(timeout=0.01)


def test_wrong_arguments_are_refused_in_the_caller(shadow: Shadow) -> None:
    with pytest.raises(ArgumentsError):
        shadow.add(greet)("Jane", "John")  # type: ignore[call-arg] # that is the point
    with pytest.raises(ArgumentsError, match="time zone"):
        shadow.add(greet, when=datetime(2031, 1, 1))("Jane")  # noqa: DTZ001 # that is the point


def test_replace_cancel_and_get_execution_act_on_the_key(shadow: Shadow) -> None:
    shadow.add(greet, key="k")("Jane")
    assert shadow.add(greet, key="k")("John").disposition is Disposition.ALREADY_SCHEDULED
    shadow.replace(greet, timedelta(hours=1), "k")("John")
    found = shadow.get_execution("k")
    assert found is not None
    assert (found.args, found.state) == (("John",), ExecutionState.SCHEDULED)
    assert shadow.cancel("k")
    assert not shadow.cancel("k")
    assert shadow.get_execution("never") is None


def test_strikes_hold_back_until_they_are_restored(shadow: Shadow) -> None:
    shadow.strike(greet, "name", "==", "Jane")
    assert shadow.add(greet)("Jane").disposition is Disposition.STRUCK
    shadow.restore(greet, "name", "==", "Jane")
    assert shadow.add(greet)("Jane").disposition is Disposition.SCHEDULED


def test_a_client_that_was_struck_follows_a_restore_made_elsewhere(shadow: Shadow) -> None:
    """What is struck sends nothing, and a client with nothing to send never heard that the strike was lifted."""
    shadow.strike(greet)
    assert shadow.add(greet)("Jane").disposition is Disposition.STRUCK
    with Shadow(shadow.name, shadow.url) as elsewhere:
        elsewhere.restore(greet)
    assert shadow.add(greet)("Jane").disposition is Disposition.SCHEDULED
    (bulk,) = shadow.add_many([shadow.call(greet)("Jane")])
    assert bulk.disposition is Disposition.SCHEDULED


def test_a_bulk_follows_a_restore_made_elsewhere(shadow: Shadow) -> None:
    shadow.strike(greet)
    with Shadow(shadow.name, shadow.url) as elsewhere:
        elsewhere.restore(greet)
    (bulk,) = shadow.add_many([shadow.call(greet)("Jane")])
    assert bulk.disposition is Disposition.SCHEDULED


def test_many_are_added_and_replaced_in_order(shadow: Shadow) -> None:
    calls = [shadow.call(greet, key=str(number))("Jane") for number in range(3)]
    assert [execution.key for execution in shadow.add_many(calls)] == ["0", "1", "2"]
    again = shadow.replace_many(calls)
    assert {execution.disposition for execution in again} == {Disposition.SCHEDULED}
    assert shadow.snapshot().ready_count == 3
    assert shadow.clear() == 3
    assert shadow.workers() == []


def test_a_name_or_a_collection_can_be_registered(shadow: Shadow) -> None:
    shadow.register(greet, names=["hello"])
    shadow.register_collection("shadows.tasks")
    execution = shadow.add("hello")("Jane")
    run_worker(shadow)
    assert execution.get_result(timeout=5) == "JANE"


def test_threads_share_their_round_trips(proxy: Proxy) -> None:
    """What threads add while a call is under way goes out together in the next."""
    with Shadow(name=f"test-{uuid4()}", url=proxy.url) as shadow, ThreadPoolExecutor(16) as threads:
        shadow.add(greet)("first")
        proxy.delay(0.01)
        proxy.reset_counts()
        executions = list(threads.map(lambda number: shadow.add(greet)(str(number)), range(160)))
        proxy.delay(0)
        assert len({execution.key for execution in executions}) == 160
        assert proxy.round_trips <= 40
        assert shadow.snapshot().ready_count == 161
        shadow.clear()


def test_a_wrong_url_shows_when_it_is_opened() -> None:
    with (
        pytest.raises(ConnectionFailed, match=r"redis://:\*\*\*@127.0.0.1:1/0"),
        Shadow(url="redis://:x@127.0.0.1:1/0"),
    ):
        raise AssertionError("it opened")


@pytest.mark.slow
def test_an_outage_is_an_error_and_then_over(own_redis: RedisServer) -> None:
    with Shadow(url=own_redis.url) as shadow:
        shadow.add(greet)("Jane")
        own_redis.kill()
        with pytest.raises(ConnectionFailed):
            shadow.workers()
        own_redis.start()
        shadow.add(greet)("John")
        assert shadow.snapshot().ready_count == 1


async def test_inside_a_running_loop_calls_work_and_waiting_is_refused(shadow: Shadow) -> None:
    """A wait would stop the loop; were the task to run there, for ever."""
    execution = shadow.add(greet)("Jane")
    with pytest.raises(ShadowsError, match="would block the event loop"):
        execution.get_result()
    async with shadows.Shadow(shadow.name, shadow.url) as inner, Worker(inner) as worker:
        result = asyncio.create_task(asyncio.to_thread(execution.get_result, timeout=5))
        await worker.run_until_finished()
        assert await result == "JANE"


def test_a_call_from_its_own_thread_is_refused_and_not_a_deadlock(shadow: Shadow) -> None:
    async def calls_back() -> None:
        shadow.clear()

    with pytest.raises(ShadowsError, match="would wait for itself"):
        shadow.ask(lambda inner: calls_back())


def test_closing_ends_the_thread_and_a_later_call_opens_again(shadow: Shadow) -> None:
    before = threads_of_ours()
    other = Shadow(shadow.name, shadow.url)
    other.close()
    other.add(greet)("Jane")
    assert len(threads_of_ours() - before) == 1
    other.close()
    assert not threads_of_ours() - before
    with other:
        assert other.snapshot().ready_count == 1
    assert not threads_of_ours() - before


def test_a_call_under_way_fails_when_another_thread_closes(shadow: Shadow) -> None:
    """The alternative is a thread that waits for ever for a loop that is gone."""
    execution = shadow.add(greet)("Jane")
    reached = threading.Event()

    def waits() -> None:
        reached.set()
        with pytest.raises(ShadowsError, match="closed by another thread"):
            execution.get_result(timeout=60)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(waits)
        reached.wait(5)
        wait_for(lambda: shadow.ask(listeners), "the result is waited for")
        shadow.close()
        waiting.result(5)


async def listeners(inner: shadows.Shadow) -> int:
    return len(inner.subscriptions._listeners)


def test_one_that_nobody_holds_any_more_ends_its_thread(shadow: Shadow) -> None:
    before = threads_of_ours()
    Shadow(shadow.name, shadow.url).add(greet)("Jane")
    gc.collect()
    wait_for(lambda: not threads_of_ours() - before, "the forgotten thread has ended")


def test_the_default_one_is_what_the_environment_says(shadow: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOWS_NAME", shadow.name)
    monkeypatch.setenv("SHADOWS_URL", shadow.url)
    default_shadow.cache_clear()
    add(greet, key="k")("Jane")
    assert default_shadow() is default_shadow()
    assert shadow.get_execution("k") is not None
    default_shadow().close()
    default_shadow.cache_clear()


def test_the_arguments_of_add_are_those_of_the_function(shadow: Shadow) -> None:
    """For type checkers, which `tests/contracts` runs over this file's kin."""
    typed: Callable[[str], object] = shadow.add(greet)
    assert typed("Jane")
