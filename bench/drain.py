"""How fast one worker in one process, 32 tasks at a time, works off what was added before."""

from functools import partial

from shadows import Shadow
from shadows.testing import RedisServer

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, interleaved, private_server, speed
from .report import Row, Target
from .tasks import noop


async def measure(size: Size) -> list[Row]:
    """From the first read to the last outcome written."""
    with private_server(size) as server:
        async with Bare.opened(server.url) as bare, project.opened(server.url) as shadow:
            warm_up = max(1, size.tasks // 10)
            await bare_speed(server, bare, warm_up)
            await shadows_speed(server, shadow, warm_up)
            figures = await interleaved(
                size.rounds,
                partial(bare_speed, server, bare, size.tasks),
                partial(shadows_speed, server, shadow, size.tasks),
            )
            return [Row("drain of no-ops, tasks/s", *figures, Target("ratio", 0.65, at_least=True))]


async def bare_speed(server: RedisServer, bare: Bare, count: int) -> float:
    """Tasks a second of the loop."""
    server.command("FLUSHALL")
    await bare.join()
    await bare.add_bulk(count)
    return await speed(count, bare.drain(noop, count))


async def shadows_speed(server: RedisServer, shadow: Shadow, count: int) -> float:
    """Tasks a second of a worker."""
    server.command("FLUSHALL")
    await project.add_bulk(shadow, count)
    async with project.worker(shadow) as worker:
        return await speed(count, worker.run_until_finished())


BENCHMARK = Benchmark("how fast one worker, 32 at a time, works off what waits", measure, Size(tasks=20_000, rounds=5))
