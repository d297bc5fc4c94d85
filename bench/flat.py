"""Whether a million tasks that wait, and as many that are scheduled, slow anything down.

Two servers run side by side, one with a short backlog and one with a long one. In each round both take the
same number of adds, and then work off the same number.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from shadows import Shadow, Worker
from shadows.testing import RedisServer

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, interleaved, private_server, speed
from .report import Row, Target, say
from .tasks import noop

SHORT = 1_000

# Added and worked off in each round.
MOST_MEASURED = 20_000

# Calls made ahead while a backlog is filled; more would only take memory here.
SLICE = 20_000

# Nothing that is scheduled comes due while this runs.
LATER = timedelta(days=30)

POLL_SECONDS = 0.001

FLAT = Target("ratio", 0.9, at_least=True)


async def measure(size: Size) -> list[Row]:
    """Adds 32 in flight, then drains, at both lengths."""
    count = min(MOST_MEASURED, size.tasks)
    with private_server(size) as short, private_server(size) as long:
        await fill(short, min(SHORT, max(1, size.tasks // 10)))
        await fill(long, size.tasks)
        async with (
            project.opened(short.url) as few, project.opened(long.url) as many,
            Bare.opened(short.url) as bare_few, Bare.opened(long.url) as bare_many,
        ):  # fmt: skip
            steps = [
                ("add, 32 in flight, adds/s", partial(adding, few, count), partial(adding, many, count), FLAT),
                ("drain, tasks/s", partial(draining, few, count), partial(draining, many, count), FLAT),
                ("bare loop on the same servers, adds/s", partial(bare_adding, bare_few, count),
                 partial(bare_adding, bare_many, count), None),
                ("bare loop on the same servers, tasks/s", partial(bare_draining, bare_few, count),
                 partial(bare_draining, bare_many, count), None),
            ]  # fmt: skip
            figures: list[tuple[list[float], list[float]]] = [([], []) for _ in steps]
            # Step by step in each round: what a round adds, the same round drains, and backlogs keep their length.
            for _ in range(size.rounds):
                for kept, (_, first, second, _) in zip(figures, steps, strict=True):
                    few_speed, many_speed = await interleaved(1, first, second)
                    kept[0].extend(few_speed)
                    kept[1].extend(many_speed)
    return [Row(name, *kept, target) for kept, (name, _, _, target) in zip(figures, steps, strict=True)]


async def fill(server: RedisServer, count: int) -> None:
    """So many that wait, and so many that are scheduled."""
    later = datetime.now(UTC) + LATER
    async with project.opened(server.url) as shadow:
        waiting = (shadow.call(noop)(0.0) for _ in range(count))
        scheduled = (shadow.call(noop, when=later + timedelta(milliseconds=number))(0.0) for number in range(count))
        for calls in (waiting, scheduled):
            while added := await shadow.add_many(islice(calls, SLICE)):
                assert not any(each.schedule_exception for each in added)
        snapshot = await shadow.snapshot(limit=1)
    memory = server.command("INFO", "memory")
    assert isinstance(memory, dict)
    say(
        f"{snapshot.ready_count} wait and {snapshot.scheduled_count} are scheduled in "
        f"{memory['used_memory'] / 1e6:.0f} MB of Redis"
    )


async def adding(shadow: Shadow, count: int) -> float:
    """Adds a second, behind the backlog."""
    return await speed(count, project.add_in_flight(shadow, count))


async def draining(shadow: Shadow, count: int) -> float:
    """Tasks a second, of a worker that is stopped when it has written so many outcomes."""
    async with project.worker(shadow) as worker:
        running = asyncio.create_task(worker.run_forever())
        try:
            return await speed(count, until_done(worker, count))
        finally:
            worker.stop()
            await running


async def bare_adding(bare: Bare, count: int) -> float:
    """How the size of the server itself shows."""
    await bare.join()
    return await speed(count, bare.add_in_flight(count))


async def bare_draining(bare: Bare, count: int) -> float:
    """What was just added."""
    return await speed(count, bare.drain(noop, count))


async def until_done(worker: Worker, count: int) -> None:
    """Looks now and then; a count in the task itself would be one more thing to measure."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if worker.settler.done >= count:
            return


BENCHMARK = Benchmark(
    "whether 1 000 000 waiting and as many scheduled tasks slow it down (minutes, 1 GB)",
    measure,
    Size(tasks=1_000_000, rounds=3),
    columns=("short backlog", "long backlog"),
)
