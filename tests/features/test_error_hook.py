"""One place that is told of every run that failed."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from shadows import Depends, Execution, Retry, Shadow, Worker
from shadows.dependencies import DependencyFailed
from shadows.errors import ConfigurationError, ResultError
from tests.waiting import wait_until

from .workers import finish, working

told: list[tuple[str, int, str, bool]] = []


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    told.clear()


def note(execution: Execution, error: BaseException, will_retry: bool) -> None:
    told.append((execution.key, execution.attempt, repr(error), will_retry))


async def fails(order: int) -> None:
    raise ValueError(order)


async def works(order: int) -> None: ...


async def test_it_gets_the_execution_and_the_exception(shadows: Shadow) -> None:
    """With the arguments, for a task that asks for nothing itself; a success is none of its business."""
    seen: list[Execution] = []

    def keep(execution: Execution, error: BaseException, will_retry: bool) -> None:
        seen.append(execution)
        note(execution, error, will_retry)

    await shadows.add(fails, key="f")(order=7)
    await shadows.add(works, key="w")(7)
    await finish(shadows, on_error=keep)
    assert told == [("f", 1, "ValueError(7)", False)]
    (execution,) = seen
    assert (execution.function_name, execution.kwargs) == ("fails", {"order": 7})
    assert execution.worker


async def test_it_is_told_of_each_attempt_and_whether_another_follows(shadows: Shadow) -> None:
    """So that it may report only what is final, or warn of what is not."""

    async def flaky(retry: Retry = Retry(attempts=3)) -> None:
        raise ValueError(retry.attempt)

    await shadows.add(flaky, key="f")()
    await finish(shadows, on_error=note)
    assert told == [
        ("f", 1, "ValueError(1)", True), ("f", 2, "ValueError(2)", True), ("f", 3, "ValueError(3)", False),
    ]  # fmt: skip


async def test_it_may_be_async(shadows: Shadow) -> None:
    """The outcome does not wait for it, and the worker's end does."""
    let_go = asyncio.Event()

    async def send(execution: Execution, error: BaseException, will_retry: bool) -> None:
        await let_go.wait()
        note(execution, error, will_retry)

    execution = await shadows.add(fails, key="f")(7)
    async with working(shadows, on_error=send):
        with pytest.raises(ValueError, match="7"):
            await execution.get_result(timeout=10)
        assert told == []
        let_go.set()
    assert told == [("f", 1, "ValueError(7)", False)]


async def test_what_it_raises_is_logged_and_harms_nothing(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """Neither of the two kinds: the task's own failure stays its outcome, and the next task runs."""

    def broken(execution: Execution, error: BaseException, will_retry: bool) -> None:
        raise LookupError("a bug in the hook")

    async def broken_later(execution: Execution, error: BaseException, will_retry: bool) -> None:
        broken(execution, error, will_retry)

    for hook in (broken, broken_later):
        execution = await shadows.add(fails, key=hook.__name__)(7)
        after = await shadows.add(works)(7)
        await finish(shadows, on_error=hook, concurrency=1)
        with pytest.raises(ValueError, match="7"):
            await execution.get_result()
        assert await after.get_result() is None
        assert f"on_error failed when it was told of fails with key '{hook.__name__}'" in caplog.text
    assert caplog.text.count("LookupError: a bug in the hook") == 2


async def test_one_that_never_ends_is_given_up(
    shadows: Shadow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error tracker that does not answer must not fill the worker's memory."""
    monkeypatch.setattr("shadowsd.engine.error_hook.LONGEST_SECONDS", 0.02)

    async def hangs(execution: Execution, error: BaseException, will_retry: bool) -> None:
        await asyncio.Event().wait()

    await shadows.add(fails, key="f")(7)
    await finish(shadows, on_error=hangs)
    assert "on_error failed when it was told of fails with key 'f'" in caplog.text
    assert "TimeoutError" in caplog.text


async def test_every_way_to_fail_counts(shadows: Shadow) -> None:
    """A dependency, a result that can't be stored, a plain function."""

    def broken() -> None:
        raise ConnectionError("no database")

    async def depends(database: None = Depends(broken)) -> None: ...

    async def unstorable() -> Any:
        return threading.Lock()

    def plain() -> None:
        raise KeyError("x")

    for number, task in enumerate((depends, unstorable, plain)):
        await shadows.add(task, key=str(number))()
    await finish(shadows, on_error=note, concurrency=1)
    assert [key for key, *_ in told] == ["0", "1", "2"]
    for (_, _, error, will_retry), kind in zip(told, (DependencyFailed, ResultError, KeyError), strict=True):
        assert error.startswith(kind.__name__)
        assert not will_retry


async def test_a_cancelled_task_has_not_failed(shadows: Shadow) -> None:
    """Nor one that is handed back when its worker ends."""
    started = asyncio.Event()

    async def long() -> None:
        started.set()
        await asyncio.Event().wait()

    execution = await shadows.add(long, key="long")()
    async with working(shadows, on_error=note):
        await started.wait()
        await shadows.cancel("long")
        with pytest.raises(Exception, match="cancel"):
            await execution.get_result(timeout=10)
        started.clear()
        await shadows.add(long, key="again", when=timedelta(0))()
        await started.wait()
    assert told == []


def too_few(execution: Execution) -> None: ...


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("app.report", "on_error is 'app.report', which can't be called; expected a function, async or not"),
        (too_few, r"on_error is <function too_few.*too many positional arguments\); expected a function"),
    ],
)
async def test_what_can_not_be_called_is_refused(shadows: Shadow, hook: Any, message: str) -> None:
    """Before the first failure."""
    with pytest.raises(ConfigurationError, match=message):
        Worker(shadows, on_error=hook)


async def test_what_does_not_tell_its_parameters_is_accepted(shadows: Shadow) -> None:
    """As some functions written in C."""
    await shadows.add(fails)(7)
    await finish(shadows, on_error=dict)


async def test_what_a_cancelled_function_raises_when_it_runs_on_is_not_told(shadows: Shadow) -> None:
    """A thread can't be stopped; but its outcome does not count any more."""
    began, go_on = threading.Event(), threading.Event()

    def plain() -> None:
        began.set()
        go_on.wait(10)
        raise ValueError("late")

    await shadows.add(plain, key="plain")()
    async with working(shadows, on_error=note) as worker:
        await wait_until(began.is_set, "it runs")
        await shadows.cancel("plain")
        await wait_until(lambda: [each.stop for each in worker.slots.running.values()] != [None], "the worker knows")
        go_on.set()
        await wait_until(lambda: not worker.slots.running, "the thread is done")
    assert told == []
