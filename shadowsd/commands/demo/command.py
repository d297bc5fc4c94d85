"""The command: prepares a place that vanishes again, and lets the parts of the demo follow each other in it."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import click

from shadows import Shadow
from shadows.amounts import counted

from . import tasks
from .acts import Demo, Recovery, tell
from .daemon import Daemon
from .telling import Teller

NAME = "demo"
# It takes about ten seconds; a machine that needs six times as long has other worries.
LIMIT_SECONDS = 60.0
LOOK_SECONDS = 0.05
# What is left of a socket's 107 bytes when the names below are taken off.
LONGEST_PARENT = 70
SHORT = "/tmp"

NEXT = f"""
Next:
  shadowsd --tasks myapp.tasks --workers 4    your tasks, with the Redis of SHADOWS_URL
  shadowsd status, top, reload, stop          speak to a daemon that runs; shadowsd --help lists all
  shadowsd doctor                             says what would bite in production
  The tasks that you saw: {tasks.__file__}
"""


@click.command()
def demo() -> None:
    """Show what the daemon does: tasks, a crash that is survived, a reload.

    It needs no Redis, ends by itself after some seconds, and leaves nothing behind.
    """
    teller = Teller()
    teller.plain("A Redis of its own, a shadowsd with two workers, and some tasks: about eight seconds.")
    teller.plain("Everything is in a temporary directory, and nothing of it stays.")
    try:
        asyncio.run(interruptible(teller))
    except asyncio.CancelledError:
        raise click.ClickException("The demo was stopped before its end; nothing of it is left.") from None
    except TimeoutError:
        raise click.ClickException(
            f"The demo did not come to its end within {LIMIT_SECONDS:g} s; nothing of it is left. Try it again when "
            "this machine has less to do."
        ) from None
    teller.plain(NEXT)


async def interruptible(teller: Teller) -> None:
    """Ends in order when somebody says so, when its terminal is closed, or when nobody reads it, as after Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    teller.when_nobody_reads(task.cancel)
    async with asyncio.timeout(LIMIT_SECONDS):
        await play(teller)


async def play(teller: Teller) -> None:
    """Everything, from an empty directory to none."""
    recovery = Recovery()
    with tempfile.TemporaryDirectory(prefix="shadowsd-demo-", dir=parent()) as directory:
        url = f"embedded://{directory}/redis"
        # The Redis is the demo's: it is there before the daemon comes, and ends after it.
        async with Shadow(NAME, url, serializer="msgpack") as shadow:
            daemon = Daemon(Path(directory), NAME, url, lambda record: tell(record, teller, recovery))
            async with daemon:
                await serving(daemon)
                watching = asyncio.create_task(watch(daemon, recovery))
                try:
                    done, left = await parts(Demo(teller, shadow, recovery), daemon)
                finally:
                    watching.cancel()
                teller.heading("The end", "shadowsd stop                             # or: kill -TERM")
                await daemon.ask("stop")
            assert daemon.process is not None
            teller.say(
                "demo",
                f"The daemon ended with exit code {daemon.process.returncode}. "
                f"{counted(done, 'task is', 'tasks are')} done, one is in the quarantine, "
                f"{counted(left, 'is', 'are')} left.",
            )


def parent() -> str:
    """Where its directory goes: the control socket is in it, and a socket's path must not be long."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= LONGEST_PARENT else SHORT


async def parts(demo: Demo, daemon: Daemon) -> tuple[int, int]:
    """One after the other."""
    await demo.first_tasks()
    await demo.fan_out()
    await demo.crash()
    await demo.reload(daemon)
    return await demo.end()


async def serving(daemon: Daemon) -> None:
    """Waits until all workers take tasks. Raises ClickException when the daemon ended instead."""
    assert daemon.process is not None
    ends = [asyncio.create_task(daemon.process.wait()), asyncio.create_task(daemon.serves.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    if not daemon.serves.is_set():
        raise click.ClickException("The daemon could not begin:\n" + "\n".join(daemon.last_lines))


async def watch(daemon: Daemon, recovery: Recovery) -> None:
    """Keeps an eye on each worker that comes."""
    while True:
        rows = (await daemon.ask("status"))["slots"]
        # A suspect's worker is made for one task, and ends with it.
        recovery.watch([row["pid"] for row in rows if row["pid"] and not row["suspect"]])
        await asyncio.sleep(LOOK_SECONDS)
