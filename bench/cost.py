"""What one task costs Redis from its add to its outcome: CPU, round trips, commands.

Every figure is the sum of adding (32 in flight) and draining (32 at a time), divided by the tasks.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields

from shadows import Shadow
from shadows.testing import RedisServer

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, private_server
from .report import Row, Target
from .sent import counting
from .tasks import noop


@dataclass(frozen=True)
class Cost:
    """Of one task."""

    cpu_us: float
    script_us: float
    round_trips: float
    commands: float
    inner_commands: float


NAMES = {
    "cpu_us": "Redis CPU, us",
    "script_us": "of it in commands and scripts, us",
    "round_trips": "round trips",
    "commands": "commands",
    "inner_commands": "commands inside scripts",
}

TARGETS = {
    "cpu_us": Target("median", 50.0),
    "round_trips": Target("median", 0.1),
    "commands": Target("median", 4.0),
}


async def measure(size: Size) -> list[Row]:
    """Both sides with the same no-op; counted at the sending side, timed at the server."""
    bare_costs, shadows_costs = [], []
    with private_server(size) as server:
        async with Bare.opened(server.url) as bare, project.opened(server.url) as shadow:

            async def bare_tasks(count: int) -> None:
                await bare.join()
                await bare.add_in_flight(count)
                await bare.drain(noop, count)

            async def shadows_tasks(count: int) -> None:
                await project.add_in_flight(shadow, count)
                await drain(shadow)

            for warm_up in (bare_tasks, shadows_tasks):
                await cost_of(server, warm_up, max(1, size.tasks // 10))
            for _ in range(size.rounds):
                bare_costs.append(await cost_of(server, bare_tasks, size.tasks))
                shadows_costs.append(await cost_of(server, shadows_tasks, size.tasks))
    return [
        Row(
            f"{NAMES[field.name]} per task",
            [getattr(cost, field.name) for cost in bare_costs],
            [getattr(cost, field.name) for cost in shadows_costs],
            TARGETS.get(field.name),
        )
        for field in fields(Cost)
    ]


async def drain(shadow: Shadow) -> None:
    """All that waits, and the worker's joining and leaving with it."""
    async with project.worker(shadow) as worker:
        await worker.run_until_finished()


async def cost_of(server: RedisServer, work: Callable[[int], Awaitable[None]], count: int) -> Cost:
    """What the server and the sender counted while so many tasks were added and run."""
    server.command("FLUSHALL")
    server.command("CONFIG", "RESETSTAT")
    cpu = cpu_seconds(server)
    with counting() as sent:
        await work(count)
    cpu = cpu_seconds(server) - cpu
    stats = command_stats(server)
    commands = sent.commands
    # A script's time holds that of the commands in it, so only what was sent counts, not what scripts called.
    script_us = sum(
        stats[name]["usec"] * min(1, sent_calls / stats[name]["calls"])
        for name, sent_calls in commands.items()
        if name in stats
    )
    everything = sum(stat["calls"] for stat in stats.values())
    total = commands.total()
    return Cost(
        cpu * 1e6 / count, script_us / count, sent.round_trips / count, total / count,
        max(0.0, everything - total) / count,
    )  # fmt: skip


def cpu_seconds(server: RedisServer) -> float:
    """What the server's process has used, in user and system mode."""
    info = server.command("INFO", "cpu")
    assert isinstance(info, dict)
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def command_stats(server: RedisServer) -> dict[str, dict[str, float]]:
    """Calls and time by command name, without those of this benchmark itself."""
    info = server.command("INFO", "commandstats")
    assert isinstance(info, dict)
    stats = {name.removeprefix("cmdstat_").upper(): stat for name, stat in info.items()}
    return {name: stat for name, stat in stats.items() if not name.startswith(("INFO", "CONFIG", "FLUSHALL"))}


BENCHMARK = Benchmark("what a task costs Redis: CPU, round trips, commands", measure, Size(tasks=20_000, rounds=3))
