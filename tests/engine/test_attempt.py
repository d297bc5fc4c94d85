"""One run of one entry, from its payload to the end of its call."""

import threading
from functools import wraps
from typing import Any

from shadows import ExecutionState, Shadow
from shadows.codec.envelope import NEWER_MARK
from tests.features.workers import finish, working

from .parts import entry_of


async def test_an_entry_that_was_cancelled_on_its_way_does_not_run(shadows: Shadow) -> None:
    """The signal was faster than the read."""
    ran: list[str] = []

    async def task() -> None:
        ran.append("ran")

    shadows.register(task)
    async with working(shadows) as worker:
        worker.slots.cancel("1000")
        worker._parts.attempts.start(entry_of(function="task", generation="1000"))
        assert worker.slots.idle
    assert ran == []


async def test_a_payload_of_a_newer_release_is_parked(shadows: Shadow) -> None:
    """It waits for a worker that can read it, and the key stays busy."""

    async def task() -> None: ...

    execution = await shadows.add(task, key="new")()
    async with shadows.redis() as redis:
        ((id, fields),) = await redis.xrange(shadows.keys.stream)
        await redis.delete(shadows.keys.stream)
        await redis.xadd(shadows.keys.stream, {**fields, b"p": b"\xfe" + NEWER_MARK + fields[b"p"][1:]}, id=id)
    await finish(shadows)
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    assert (await shadows.snapshot()).unknown_count == 1


async def test_a_task_behind_a_decorator_runs_on_the_loop(shadows: Shadow) -> None:
    """`functools.wraps` shows what it wraps."""

    async def inner() -> str:
        return threading.current_thread().name

    @wraps(inner)
    def decorated() -> Any:
        return inner()

    execution = await shadows.add(decorated)()
    await finish(shadows)
    assert await execution.get_result() == threading.current_thread().name
