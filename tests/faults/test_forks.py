"""A process that forks while it uses a shadow, as under a web server that preloads its application."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from shadows import Shadow, Worker
from shadows.errors import ShadowsError
from tests.features.workers import working
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_until


def in_copy(work: Callable[[], Awaitable[object]]) -> str:
    """What `work` gives, or the name of its exception, in a forked copy of this process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(asyncio.run(asyncio.wait_for(work(), 5)))  # type: ignore[arg-type] # all are coroutines
        except BaseException as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = lines.read()
    os.waitpid(pid, 0)
    return said


async def test_adds_of_parent_and_copy_are_all_done_once(brief: Shadow, journal: Journal) -> None:
    """Both numbered their calls on from the same number, so that the copy got the parent's answers, and its own
    adds were never done. The parent has a call under way, and more waiting, when it forks."""

    async def add(label: str) -> object:
        execution = await brief.add(rest, key=label)(str(journal), label)
        return execution.disposition

    async def add_some(name: str) -> object:
        return {await add(f"{name} {n}") for n in range(10)}

    await add("before")
    under_way = [asyncio.create_task(add(f"under way {n}")) for n in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    said = in_copy(lambda: add_some("copy"))
    assert "SCHEDULED" in said
    assert "ALREADY" not in said
    await asyncio.gather(*under_way)
    await add_some("parent")
    async with working(brief):
        await wait_until(lambda: len(journal.count("end")) == 71, f"all have run: {len(journal.count('end'))}")
    assert set(journal.count("start").values()) == {1}


async def test_a_copy_reads_and_waits_on_connections_of_its_own(brief: Shadow, journal: Journal) -> None:
    async with working(brief):
        held = await brief.add(hold, key="held")(str(journal), "held", "gate")
        waiting = asyncio.create_task(held.get_result(timeout=10))
        await wait_until(lambda: journal.count("start")["held"] == 1, "a task runs, and somebody waits for it")

        async def use() -> object:
            execution = await brief.add(rest, key="copy")(str(journal), "copy")
            return execution.key, await brief.cancel("copy"), (await brief.snapshot()).total

        assert "copy" in await asyncio.to_thread(in_copy, use)
        journal.open_gate("gate")
        assert await waiting == "held"
        parent = await brief.add(rest)(str(journal), "parent")
        assert await parent.get_result(timeout=5) == "parent"


async def test_a_worker_is_refused_in_a_copy_and_goes_on_in_the_parent(brief: Shadow, journal: Journal) -> None:
    async with working(brief) as worker:
        assert in_copy(worker.run_forever) == "ShadowsError"
        assert in_copy(worker.__aenter__) == "ShadowsError"
        execution = await brief.add(rest)(str(journal), "a")
        assert await execution.get_result(timeout=5) == "a"
    with pytest.raises(ShadowsError, match="not open"):
        await worker_without_block(brief).run_forever()


def worker_without_block(shadow: Shadow) -> Worker:
    """A worker that nobody opened."""
    return Worker(shadow)
