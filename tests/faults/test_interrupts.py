"""A Ctrl-C that lands in the middle of a task's code is for the process, and no outcome of the task.

Nor does it matter where a second one lands. It used to leave tasks to the end of the lease, and once in a while
the process did not end: asyncio raises KeyboardInterrupt between any two lines of the engine, of redis-py or of
asyncio itself, which so forgets the step of a task that it had taken from its queue.
"""

import asyncio
import json
import subprocess
import sys
from dataclasses import astuple
from uuid import uuid4

import pytest

from shadows import ExecutionState, Shadow
from tests.features.workers import working
from tests.interrupted_process import LABELS, TASKS, Moment, add_all
from tests.processes import ROOT, SOURCES, Process

# Much less than a lease of 10 s, by whose end everything would be given to others anyway.
AT_ONCE_SECONDS = 3.0

WORKER = """
import asyncio, signal, sys
from shadows import Shadow, Worker

async def interrupted() -> None:
    {interrupt}

async def main() -> None:
    async with Shadow(sys.argv[1], sys.argv[2]) as shadow:
        shadow.register(interrupted)
        async with Worker(shadow) as worker:
            await worker.run_forever()

{run}
"""

# asyncio cancels the main task at the first, and raises KeyboardInterrupt, here, at the second.
TWICE = "signal.raise_signal(signal.SIGINT); signal.raise_signal(signal.SIGINT)"
# Without asyncio's handler, Python's own raises at the first.
ONCE = "signal.raise_signal(signal.SIGINT)"

MOMENTS = {
    "a task ends: neither running nor unsettled": Moment("slots.py", "Slots.finish", "self.unsettled["),
    "a task ends: its slot is free, its outcome nowhere": Moment("verdicts.py", "Verdicts._finish", "put(verdict)"),
    "a task ends: its handlers are asked": Moment("verdicts.py", "Verdicts.decide", "successor = None"),
    "outcomes are out of the queue, and not sent": Moment("settle.py", "Settler._take", "return batch"),
    "outcomes were written, and not noted": Moment("settle.py", "Settler._note", "slots.settled"),
    "a call holds its connection's lock": Moment("connection.py", "Link.call", "return await self._exchange"),
    "entries were handed out, and not looked at": Moment("fetch.py", "Reader.start", "attempts.start", 3, before=0),
    "a slot is taken, and nothing runs in it": Moment("slots.py", "Slots.take", "return True", 3, before=0),
    "the worker has begun to run": Moment("worker.py", "Worker._run", "done, _ =", before=0),
    "the worker begins to drain": Moment("worker.py", "Worker._drain", "self.reader.stop()"),
    "the worker drains": Moment("worker.py", "Worker._drain", "while self.slots.running"),
    "the worker hands back": Moment("worker.py", "Worker.stop_at_once", "asyncio.wait(", before=2),
    "the worker leaves": Moment("worker.py", "Worker.__aexit__", "await self._stack", before=2),
    "the worker is about to sign off": Moment("pulse.py", "Pulse.stop", "await", before=2),
} | {
    # Of the main task, of the settler, of this task or that, by the order in which they come.
    f"asyncio takes the step {n} from its queue": Moment("base_events.py", "BaseEventLoop._run_once", "_cancelled:", n)
    for n in (2, 4, 7, 8, 10)
} | {
    f"asyncio puts the step {n} into its queue": Moment("base_events.py", "BaseEventLoop.call_soon", "_call_soon", n)
    for n in range(2, 11)
}  # fmt: skip


@pytest.mark.parametrize(
    ("interrupt", "run"),
    [(TWICE, "asyncio.run(main())"), (ONCE, "asyncio.new_event_loop().run_until_complete(main())")],
    ids=["asyncio.run", "run_until_complete"],
)
async def test_a_task_that_ctrl_c_hits_is_handed_back(
    interrupt: str, run: str, shadows: Shadow, shadows_url: str
) -> None:
    """When asyncio's handler was not there, the task had failed with KeyboardInterrupt, and the worker ran on."""

    async def interrupted() -> None: ...

    execution = await shadows.add(interrupted)()
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", WORKER.format(interrupt=interrupt, run=run), shadows.name, shadows_url],
        check=False,
        env={"PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "\nKeyboardInterrupt\n" in ended.stderr
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    assert await shadows.workers() == []
    assert await deaths(shadows, execution.key) == []


@pytest.mark.slow
async def test_wherever_a_second_ctrl_c_hits_what_ran_runs_elsewhere_at_once(shadows_url: str) -> None:
    """The places that were found to be bad, and some on the way out, where it is the third."""
    assert await troubles(shadows_url, MOMENTS) == {}


@pytest.mark.slow
async def test_no_line_is_a_bad_one_for_a_second_ctrl_c(shadows_url: str) -> None:
    """Every so manieth of the lines that the engine and asyncio run while the worker drains."""
    assert await troubles(shadows_url, {f"line {n}": Moment("", "", "", n) for n in range(1, 3000, 61)}) == {}


async def troubles(url: str, moments: dict[str, Moment]) -> dict[str, list[str]]:
    """What is not as it should be after an interrupt at each of these moments."""
    shadows = {name: Shadow(f"test-{uuid4()}", url) for name in moments}
    for shadow in shadows.values():
        async with shadow:
            await add_all(shadow)
    orders = [(shadows[name].name, astuple(moment)) for name, moment in moments.items()]
    with Process(ROOT / "tests" / "interrupted_process.py", url, json.dumps(orders)) as process:
        await asyncio.to_thread(process.wait, 150)
        ends = [line.split() for line in process.lines if line.startswith("test-")]
        assert {name for name, _ in ends} == {shadow.name for shadow in shadows.values()}, process.output
    found = {}
    for name, shadow in shadows.items():
        wrong = [how for who, how in ends if who == shadow.name and how != "ended"] + await left_behind(shadow)
        if wrong:
            found[name] = wrong
    return found


async def left_behind(shadow: Shadow) -> list[str]:
    """What shows to others that a worker was here, but for what it completed."""
    async with shadow:
        for task in TASKS:
            shadow.register(task)
        found = [f"{worker.name} has not left" for worker in await shadow.workers()]
        found += [f"{label} has {counted}" for label in LABELS if (counted := await deaths(shadow, label))]
        async with working(shadow, concurrency=len(LABELS)):
            for label in LABELS:
                execution = await shadow.get_execution(label)
                assert execution is not None
                try:
                    result = await execution.get_result(timeout=AT_ONCE_SECONDS)
                except Exception as error:
                    found.append(f"{label} gave {error!r}")
                else:
                    await execution.sync()
                    if (result, execution.attempt) != (label, 1):
                        found.append(f"{label} returned {result!r} at attempt {execution.attempt}")
    return found


async def deaths(shadow: Shadow, key: str) -> list[bytes]:
    """What the record tells of dead and lost workers."""
    async with shadow.redis() as redis:
        return [each for each in await redis.hmget(shadow.keys.record(key), "d", "l") if each is not None]
