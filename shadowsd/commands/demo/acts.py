"""The parts of the demo, in their order: each adds tasks, and tells what becomes of them."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import click

from shadows import Execution, QuarantinedTask, Shadow
from shadows.amounts import counted

from . import tasks
from .daemon import Daemon, Record
from .telling import Teller

ORDERS = 6
PICTURES = 60
LOOK_SECONDS = 0.02
# What a task's own logger is named by, before the task's name.
TASKS = "shadows.task."
# The lines of the daemon's log below a warning that belong to the story.
STORY = ("Ready:", "Reloading:", "The first worker", "Stopping:", "Reloaded:")


class Demo:
    """Runs the parts on a shadow and the daemon that works for it."""

    def __init__(self, teller: Teller, shadow: Shadow, recovery: "Recovery") -> None:
        self._teller = teller
        self._shadow = shadow
        self._recovery = recovery
        self._done = 0

    async def first_tasks(self) -> None:
        """Now, later, retried, repeated."""
        self._teller.heading(
            "Now, later, retried, repeated",
            'await shadows.add(greet)("Ada")\n'
            'await shadows.add(greet, when=timedelta(seconds=1))("Grace")\n'
            'await shadows.add(fetch)("page 1")        # fails twice; retry: Retry = Retry(attempts=5)\n'
            "await shadows.add(heartbeat)()            # perpetual: Perpetual = Perpetual(every=timedelta(seconds=1))",
        )
        shadow = self._shadow
        await shadow.add(tasks.heartbeat, key="heartbeat")()
        executions = [
            await shadow.add(tasks.greet)("Ada"),
            later := await shadow.add(tasks.greet, when=timedelta(seconds=1))("Grace"),
            await shadow.add(tasks.fetch, key="page 1")("page 1"),
        ]
        await self._results(executions)
        await later.sync()
        if later.when and later.started_at:
            late = (later.started_at - later.when) / timedelta(milliseconds=1)
            self._teller.say("demo", f"Grace's greeting began {max(0.0, late):.0f} ms after its time.")

    async def fan_out(self) -> None:
        """One task that adds many, and tells how far it is."""
        self._teller.heading(
            f"A task that adds {PICTURES} others, and tells how far they are",
            "executions = await shadows.add_many(shadows.call(thumbnail)(n) for n in range(pictures))\n"
            "await progress.increment()",
        )
        execution = await self._shadow.add(tasks.album)(PICTURES)
        following = asyncio.create_task(self._follow(execution))
        try:
            await self._results([execution])
        finally:
            following.cancel()
        self._done += PICTURES

    async def _follow(self, execution: Execution) -> None:
        shown = 0
        while True:
            await execution.sync()
            progress = execution.progress
            current = progress.current if progress is not None else 0
            if current - shown >= PICTURES // 4 and current < PICTURES:
                shown = current
                self._teller.say("demo", f"progress: {current} of {PICTURES}")
            await asyncio.sleep(LOOK_SECONDS)

    async def crash(self) -> None:
        """A task that kills its worker each time, among others that do not deserve it."""
        self._teller.heading(
            f"A task that kills its worker each time, among {ORDERS} that do not deserve it",
            'os.kill(os.getpid(), signal.SIGKILL)      # in the task "crash"',
        )
        calls = [self._shadow.call(tasks.pack, key=f"order {order}")(order) for order in range(1, ORDERS + 1)]
        # In their middle, so that whichever worker takes it has some of them, too.
        calls.insert(ORDERS // 2, self._shadow.call(tasks.crash, key="crash")())
        orders = await self._shadow.add_many(calls)
        killer = orders.pop(ORDERS // 2)
        await self._results(orders)
        self._teller.say("demo", f"All {ORDERS} orders are packed.")
        try:
            await killer.get_result()
        except QuarantinedTask:
            (entry,) = await self._shadow.quarantine()
            self._teller.say("demo", f"The killer is in the quarantine. Its cause there: {entry.cause}.")
        if after := " and ".join(f"{passed:.0f}" for passed in self._recovery.milliseconds):
            self._teller.say("demo", f"What the dead workers held began to run again after {after} ms.")

    async def reload(self, daemon: Daemon) -> None:
        """New code, while tasks run."""
        self._teller.heading("A reload, while tasks run", "shadowsd reload --wait                    # or: kill -HUP")
        reloading = asyncio.create_task(daemon.ask("reload", wait=True))
        added: list[Execution] = []
        fewest = len(await daemon.ready())
        while not reloading.done():
            added.append(await self._shadow.add(tasks.thumbnail)(len(added)))
            fewest = min(fewest, len(await daemon.ready()))
            await asyncio.sleep(LOOK_SECONDS)
        answer = await reloading
        await self._results(added)
        if not answer["ok"]:
            raise click.ClickException(f"The reload failed, and the old code served on: {answer['words']}")
        self._teller.say(
            "demo",
            f"{answer['words'].capitalize()}; never fewer than {counted(fewest, 'worker')} served, and the "
            f"{len(added)} thumbnails that were asked for meanwhile are made.",
        )

    async def end(self) -> tuple[int, int]:
        """Ends what would repeat for ever; how many were done, and how many are left."""
        await self._shadow.cancel("heartbeat")
        return self._done, (await self._shadow.snapshot()).total

    async def _results(self, executions: list[Execution]) -> None:
        await asyncio.gather(*(execution.get_result() for execution in executions))
        self._done += len(executions)


class Recovery:
    """Learns how long after a worker's death the first of its tasks ran again: from the kernel, and from their log."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self._begun: set[str] = set()
        self._died_at: datetime | None = None
        self._watched: set[int] = set()

    def watch(self, pids: list[int]) -> None:
        """Notes the moment at which one of these processes ends."""
        loop = asyncio.get_running_loop()
        for pid in set(pids) - self._watched:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            self._watched.add(pid)
            loop.add_reader(pidfd, self._died, pidfd)

    def _died(self, pidfd: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        self._died_at = datetime.now(UTC)

    def began(self, record: Record) -> None:
        """A task wrote that it begins; once more, when it had begun before."""
        key = record["key"]
        again = datetime.fromisoformat(record["timestamp"])
        if key in self._begun and self._died_at is not None and again > self._died_at:
            self.milliseconds.append((again - self._died_at) / timedelta(milliseconds=1))
            self._died_at = None
        self._begun.add(key)


def tell(record: Record, teller: Teller, recovery: Recovery) -> None:
    """One record of the daemon's log, if it belongs to the story."""
    words = str(record.get("message", ""))
    logger, _, task = str(record.get("logger", "")).partition(TASKS)
    if task:
        if task == "pack":
            recovery.began(record)
        teller.say(task, words, "task")
    elif record.get("level") in ("WARNING", "ERROR"):
        teller.say("shadowsd", words, "warning")
    # Of the lines about runs only those that say more than the task itself does.
    elif words.startswith(STORY) if logger == "shadowsd" else "is retried" in words:
        teller.say(str(record.get("function", logger)), words)
