"""How a worker's thread ends: it hands back all that the worker holds, once, and in no other process."""

import os
from pathlib import Path
from time import monotonic

from shadows import Shadow
from shadows.keys import GROUP
from tests.features.workers import finish, working
from tests.processes import Process, write_script
from tests.waiting import wait_until

from .parts import delivered

# A copy of a process that has a worker ends as processes do, with all that was registered for its end.
FORKED = """
import asyncio, atexit, os, sys
from shadows import Shadow, Worker

async def main() -> None:
    async with Shadow(sys.argv[1], sys.argv[2]) as shadow, Worker(shadow) as worker:
        copy = os.fork()
        if not copy:
            try:
                atexit._run_exitfuncs()
            finally:
                os._exit(5)
        _, status = await asyncio.to_thread(os.waitpid, copy, 0)
        print("the copy:", os.waitstatus_to_exitcode(status))
        print("workers:", [each.name == worker.name for each in await shadow.workers()])

asyncio.run(main())
"""


async def job(n: int) -> int:
    return n


async def test_more_than_one_call_hands_back_goes_back_all_the_same(shadows: Shadow) -> None:
    """At most 200 entries a call: a worker that left after the first would leave the rest to the end of its lease."""
    async with working(shadows) as worker:
        worker.reader._slots.concurrency = 0
        worker.reader.wake()
        await wait_until(lambda: not worker.reader._blocked, "the worker does not read")
        executions = [await shadows.add(job)(n) for n in range(201)]
        assert len(await delivered(shadows, 300, worker.membership.consumer)) == 201
    began = monotonic()
    worker.pulse.end()  # as at the end of the process: there is nobody to wait for any more
    assert monotonic() - began < 1
    async with shadows.redis() as redis:
        assert {row["name"] for row in await redis.xinfo_consumers(shadows.keys.stream, GROUP)} == {b"reclaimed"}
    await finish(shadows, concurrency=50)
    assert [await each.get_result(timeout=1) for each in executions] == list(range(201))


def test_a_forked_copy_ends_and_the_worker_of_its_parent_lives_on(tmp_path: Path, shadows_url: str) -> None:
    """What was registered for the end of the process is registered in the copy, too."""
    with Process(write_script(tmp_path, "forked", FORKED), f"forked-{os.getpid()}", shadows_url) as process:
        assert process.wait(30) == 0, process.output
        assert process.lines == ["the copy: 5", "workers: [True]"]
