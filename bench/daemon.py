"""What the daemon is for: two workers against one, a killed worker's tasks, a reload, and what it costs to be there."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter

from shadows import Shadow

from .benchmark import Benchmark, Size, private_server
from .daemon_tasks import compute, hold
from .node import Node, running
from .report import Row, Target
from .workers import pss

HELD = 32
HELD_SECONDS = 0.5
LOOK_SECONDS = 0.001
RELOADED_WORKERS = 4
# As a worker that is executed anew for each start would have to: an interpreter, and what it imports.
EXECUTED = "import bench.daemon_tasks, shadowsd.master.serve"


async def measure(size: Size) -> list[Row]:
    """Each figure with what it is measured against, in the same round."""
    one: list[float] = []
    two: list[float] = []
    executed: list[float] = []
    again: list[float] = []
    spawned: list[float] = []
    reloaded: list[float] = []
    idle: list[float] = []
    bare: list[float] = []
    memory: list[float] = []
    with private_server(size) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        directory = Path(folder)
        for _ in range(size.rounds):
            server.command("FLUSHALL")
            async with Shadow("bench", server.url) as shadow:
                for workers, speeds in ((1, one), (2, two)):
                    async with running(shadow, server.url, directory, workers, 10):
                        speeds.append(await computing(shadow, size.tasks))
                executed.append(execute())
                async with running(shadow, server.url, directory, 2, HELD) as node:
                    again.append(await killing(shadow, node, directory / f"journal-{len(again)}"))
                async with running(shadow, server.url, directory, RELOADED_WORKERS, 10) as node:
                    reloaded.append(await reloading(node))
                    # Those of a reload are made one at a time.
                    spawned.append(median(row["spawn_seconds"] for row in await node.workers()) * 1000)
                    idle.append(await idling(node, size.seconds))
                    memory.append(max(pss(row["pid"]) for row in await node.workers()))
                    bare.append(await importing())
    return [
        Row("1 ms tasks a second; 2 workers to 1", one, two, Target("ratio", 1.6, at_least=True)),
        Row("killed, its 32 tasks run again, ms", executed, again, Target("median", 250.0)),
        Row("a worker is forked, ms", executed, spawned, Target("median", 15.0)),
        Row("4 workers reloaded, s", [], reloaded, Target("median", 3.0)),
        Row("master when idle, % of a CPU", [], idle, Target("median", 0.5)),
        Row("PSS of a worker, MB", bare, memory, Target("difference", 15.0)),
    ]


async def computing(shadow: Shadow, count: int) -> float:
    """How many such tasks a second."""
    began = perf_counter()
    executions = await shadow.add_many([shadow.call(compute)() for _ in range(count)])
    await executions[-1].get_result(timeout=600)
    async with shadow.redis() as redis:
        while await redis.xlen(shadow.keys.stream):
            await asyncio.sleep(LOOK_SECONDS)
    return count / (perf_counter() - began)


async def killing(shadow: Shadow, node: Node, journal: Path) -> float:
    """From the kill of a worker with all its slots busy until the last of its tasks runs again, in ms."""
    journal.touch()
    await node.ask(command="scale", workers=1)
    await until(lambda: alone(node))
    victim = (await node.workers())[0]["pid"]
    executions = await shadow.add_many([shadow.call(hold)(str(journal), HELD_SECONDS) for _ in range(HELD)])
    await until(lambda: begun(journal, HELD))
    await node.ask(command="scale", workers=2)
    await node.ready()
    killed = monotonic()
    os.kill(victim, signal.SIGKILL)
    await until(lambda: begun(journal, 2 * HELD))
    last = max(float(line.split()[1]) for line in journal.read_text().splitlines())
    for execution in executions:
        await execution.get_result(timeout=60)
    return (last - killed) * 1000


async def alone(node: Node) -> bool:
    """Whether one worker is left."""
    return len(await node.workers()) == 1


async def begun(journal: Path, count: int) -> bool:
    """Whether so many runs have begun."""
    return len(journal.read_text().splitlines()) >= count


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Looks until it holds."""
    while not await condition():
        await asyncio.sleep(LOOK_SECONDS)


async def reloading(node: Node) -> float:
    """Until the new generation serves whole, in seconds."""
    began = perf_counter()
    answer = await node.ask(command="reload", wait=True)
    if not answer["ok"]:
        raise RuntimeError(f"The reload failed: {answer['words']}")
    return perf_counter() - began


async def idling(node: Node, seconds: float) -> float:
    """The master's share of one processor while nothing happens, in per cent."""
    before = node.cpu_seconds()
    await asyncio.sleep(seconds)
    return (node.cpu_seconds() - before) / seconds * 100


def execute() -> float:
    """Until an interpreter has started and imported what a worker needs, in ms."""
    began = perf_counter()
    subprocess.run([sys.executable, "-c", EXECUTED], check=True, cwd=Path(__file__).parent.parent)
    return (perf_counter() - began) * 1000


async def importing() -> float:
    """The PSS of a process that imported the application and nothing of ours, in MB."""
    code = "import bench.daemon_tasks, sys; print('ready', flush=True); sys.stdin.read()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent
    )
    assert process.stdout
    await process.stdout.readline()
    found = pss(process.pid)
    await process.communicate()
    return found


BENCHMARK = Benchmark(
    "the daemon: two workers against one, a killed worker, a reload, an idle master, memory",
    measure,
    Size(tasks=3000, rounds=3, seconds=10.0),
    columns=("reference", "shadowsd"),
)
