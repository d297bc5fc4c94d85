"""What a child does: it undoes what it inherited, runs one worker, and shows its master that it lives.

The master asks by the channel: `drain` (finish what runs, end), `stop` (hand back what runs, end), `reconnect`.
Everything that it must know even when the child is stuck stands in the page.
"""

import asyncio
import atexit
import contextlib
import faulthandler
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any, NoReturn

import msgspec
import uvloop
from setproctitle import setproctitle

from shadows import Shadow
from shadows.errors import ConfigurationError
from shadowsd.engine import Worker
from shadowsd.engine.hosting import Hosting, Suspects
from shadowsd.engine.opening import open_patiently
from shadowsd.observe.logs import configure_logging, log_lines_dropped
from shadowsd.observe.memory import private_bytes
from shadowsd.observe.tally import Tally

from .assignment import Assignment
from .channel import Channel
from .exits import DONE, FAILED, MISCONFIGURED, ORPHANED
from .inherited import CHILD_SIGNALS, leave_to_master
from .page import STAMP_SECONDS, Page, Phase
from .prctl import die_with

logger = logging.getLogger("shadowsd.child")

TITLE_SECONDS = 1.0
# Reading it takes the kernel about a millisecond.
MEMORY_SECONDS = 5.0


def serve(assignment: Assignment, fallback_task: Callable[..., Any] | None) -> NoReturn:
    """The whole life of a child, in a fresh process; it never returns into the code that forked it."""
    code = FAILED
    try:
        if not die_with(assignment.master):
            os._exit(ORPHANED)
        shed_inheritance(assignment)
        code = run(assignment, fallback_task)
    except BaseException:
        logger.exception("The worker in slot %d ended by an error of its own.", assignment.slot)
    finally:
        # The interpreter's own end would run that of the zygote, too, and wait for threads that never end.
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()  # noqa: SLF001 # nothing public runs them
        with contextlib.suppress(Exception):
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def shed_inheritance(assignment: Assignment) -> None:
    """Undoes what the child has of the process that it was copied from."""
    leave_to_master(*CHILD_SIGNALS)
    # Until the loop listens to it: who is asked to leave that early does it in good order, too.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A group of its own: a Ctrl-C at the terminal is for the master, which asks the children to drain.
    os.setpgid(0, 0)
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    os.set_blocking(assignment.stacks, False)
    faulthandler.enable(assignment.stacks)
    faulthandler.register(signal.SIGUSR1, assignment.stacks)
    configure_logging(assignment.logging_level, assignment.logging_format)


def run(assignment: Assignment, fallback_task: Callable[..., Any] | None) -> int:
    """Serves until it is asked to end; the exit code."""
    page = Page(assignment.page, assignment.engine.concurrency)
    channel = Channel.of_descriptor(assignment.channel, blocking=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Service(assignment, page, channel, fallback_task).run())


class Service:
    """One child's worker, and its line to the master."""

    def __init__(
        self, assignment: Assignment, page: Page, channel: Channel, fallback_task: Callable[..., Any] | None
    ) -> None:
        self._assignment = assignment
        self._page = page
        self._channel = channel
        self._shadow = Shadow(**fields_of(assignment.client))
        self._worker = Worker(
            self._shadow,
            f"{assignment.name}-{'s' if assignment.suspect else ''}{assignment.slot}",
            schedule_automatic_tasks=not assignment.suspect,
            fallback_task=fallback_task,
            hosting=Hosting(
                page, assignment.node, assignment.slot, assignment.generation,
                Suspects.ONLY if assignment.suspect else Suspects.NEVER, assignment.task_timeout,
            ),
            **fields_of(assignment.engine),
        )  # fmt: skip
        self._phase = Phase.BOOTING
        self._lag = 0.0
        self._serving: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._begun = False
        self._tally = Tally(log_lines_dropped)
        if assignment.counts:
            self._worker.events.observers.append(self._tally.observe)

    async def run(self) -> int:
        """Runs the worker to its end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        loop.add_signal_handler(signal.SIGTERM, self._told_by_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        self._stamp(monotonic())
        self._keep_title()
        threading.Thread(target=self._stamp_thread, name="shadows stamps", daemon=True).start()
        self._serving = asyncio.create_task(self._serve(), name="shadows worker")
        await asyncio.wait([self._serving])
        self._push()
        if self._serving.cancelled():
            return DONE
        try:
            self._serving.result()
        except ConfigurationError as error:
            self._channel.send({"refused": str(error)})
            return MISCONFIGURED
        return DONE

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            await open_patiently(stack, self._shadow, self._worker, self._wait_for_redis)
            self._begun = True
            self._enter(Phase.READY)
            self._channel.send({"ready": True})
            await self._worker.run_forever()

    def _wait_for_redis(self) -> None:
        self._enter(Phase.WAITING_FOR_REDIS)

    def _enter(self, phase: Phase) -> None:
        if self._phase is not Phase.DRAINING:
            self._phase = phase
        self._write()

    def _hear(self) -> None:
        for message in self._channel.messages():
            if message is None:  # pragma: no cover # the master is gone, and its signal is here in the same moment
                os._exit(ORPHANED)
            order: Callable[[], None] = getattr(self, f"_{message.get('order', 'ignore')}", self._ignore)
            order()

    def _ignore(self) -> None:
        """What a newer master may say."""

    def _told_by_signal(self) -> None:
        # Somebody means this child alone. The master is told, or it would take the end for a crash.
        self._channel.send({"leaving": "SIGTERM"})
        self._drain()

    def _drain(self) -> None:
        self._enter(Phase.DRAINING)
        self._title()
        if self._begun:
            self._worker.stop()
        elif self._serving is not None:
            self._serving.cancel()

    def _stop(self) -> None:
        self._drain()
        if self._begun and self._ending is None:
            self._ending = asyncio.create_task(self._worker.stop_at_once(), name="shadows stop")

    def _reconnect(self) -> None:
        self._worker.reconnect()

    def _stamp(self, due: float) -> None:
        now = monotonic()
        self._lag = max(0.0, now - due)
        self._write()
        self._push()
        asyncio.get_running_loop().call_later(STAMP_SECONDS, self._stamp, now + STAMP_SECONDS)

    def _write(self) -> None:
        done, fenced, running = 0, 0, 0
        if self._begun:
            settler = self._worker.settler
            done, fenced, running = settler.done, settler.fenced, len(self._worker.slots.running)
        self._page.stamp_loop(monotonic(), self._lag, done, fenced, running, self._phase)

    def _keep_title(self) -> None:
        self._title()
        asyncio.get_running_loop().call_later(TITLE_SECONDS, self._keep_title)

    def _push(self) -> None:
        """Sends what was counted; what a master that is held up does not take goes with the next."""
        for delta in self._tally.take():
            if not self._channel.send({"tally": msgspec.msgpack.encode(delta)}):
                self._tally.restore(delta)

    def _title(self) -> None:
        assignment = self._assignment
        kind = "suspect" if assignment.suspect else "worker"
        busy = f", {len(self._worker.slots.running)} busy" if self._begun else ""
        setproctitle(
            f"shadowsd {kind} {assignment.slot} of {self._shadow.name}, generation {assignment.generation}: "
            f"{self._phase.name.lower().replace('_', ' ')}{busy}"
        )

    def _stamp_thread(self) -> None:
        memory, looked = 0, 0.0
        while True:
            now = monotonic()
            if now - looked > MEMORY_SECONDS:
                # A task may have used up all descriptors: then it stays as it was.
                memory, looked = private_bytes() or memory, now
            self._page.stamp_thread(now, memory)
            time.sleep(STAMP_SECONDS)


def fields_of(record: Any) -> dict[str, Any]:
    """A dataclass as keyword arguments."""
    return {name: getattr(record, name) for name in record.__slots__}
