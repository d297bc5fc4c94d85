"""The processes of one node: children and generations, made, heard, asked and reaped, without ever waiting."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass

from .assignment import Assignment
from .child import Child, Exit
from .clock import Clock
from .generation import Generation, Plan, Stage
from .orphans import reap_orphans
from .page import Phase
from .settings import Settings
from .world import ABORT, DRAIN, KILL, STOP, Spawn

logger = logging.getLogger("shadowsd")

# Recycling is spread, so that workers that began together do not end together.
RECYCLING_JITTER = 0.1
SIGNALS = {ABORT: signal.SIGABRT, KILL: signal.SIGKILL}
STACK_LINES = 200
DUMP_SECONDS = 0.05
# For a connection to the control socket, those to Redis, and what executing a process takes.
SPARE_DESCRIPTORS = 8


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that is over."""

    child: Child
    exit: Exit


class Fleet:
    """All that this master has made and not yet buried."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._numbers = 0
        self._unclaimed: dict[int, Exit] = {}
        self.children: dict[int, Child] = {}
        self.generations: dict[int, Generation] = {}

    def begin(self, plan: Plan) -> Generation:
        """A new generation, whose zygote is started by the next pass."""
        generation = self.generations[plan.generation] = Generation(plan)
        return generation

    def start_zygote(self, number: int) -> bool:
        """Executes a generation's zygote; False when no process can be had now."""
        generation = self.generations[number]
        try:
            generation.start()
        except OSError as error:
            logger.error("No zygote of generation %d could be started, which is tried again: %s", number, error)
            return False
        assert generation.channel is not None
        assert generation.pidfd is not None
        self._loop.add_reader(generation.channel.fileno(), self._wake)
        self._loop.add_reader(generation.pidfd, self._wake)
        return True

    def retire(self, number: int) -> None:
        """Ends a generation's zygote; the generation is forgotten when that and its children are gone."""
        generation = self.generations[number]
        if generation.channel is not None:
            self._loop.remove_reader(generation.channel.fileno())
        generation.retire()
        for child in self.children.values():
            if child.pid is None and child.generation == number:
                # Nobody will tell its number any more; if it was made, it sees its channel end, and ends.
                child.asked, child.lost = STOP, Exit(0, None)

    def spawn(self, wanted: Spawn, settings: Settings) -> bool:
        """Makes a child; False when no process can be had now."""
        self._numbers += 1
        rows = settings.engine.concurrency
        child = None
        try:
            child = Child(self._numbers, wanted.slot, wanted.generation, wanted.suspect, rows)
            leave_room()
            self.generations[wanted.generation].spawn(child, self._assignment(child, settings))
        except OSError as error:
            logger.error("No process for slot %d could be had, which is tried again: %s", wanted.slot, error)
            if child is not None:
                child.gave()
                child.close()
            return False
        child.spawned_at = self._clock.now()
        if settings.max_tasks is not None:
            child.task_limit = max(1, round(settings.max_tasks * random.uniform(1 - RECYCLING_JITTER, 1)))
        self.children[child.number] = child
        self._loop.add_reader(child.channel.fileno(), self._wake)
        self._loop.add_reader(child.stacks_fd, self._stacks_come, child)
        if child.pidfd is not None:
            self._loop.add_reader(child.pidfd, self._wake)
        return True

    def _assignment(self, child: Child, settings: Settings) -> Assignment:
        return Assignment(
            child.number, child.slot, child.generation, child.suspect, os.getpid(), settings.name, settings.name,
            settings.client, settings.engine, settings.task_timeout,
            settings.metrics_port is not None, settings.logging_level, settings.logging_format,
        )  # fmt: skip

    def ask(self, number: int, what: str, why: str) -> None:
        """Asks a child to end. It is written down first: an end that comes at once was asked for."""
        child = self.children[number]
        first = not child.asked
        child.asked, child.asked_at, child.why = what, self._clock.now(), why
        if what in (DRAIN, STOP):
            logger.log(
                logging.INFO if first else logging.WARNING, "Asking the worker in slot %d to %s: %s.", child.slot,
                "finish and end" if what == DRAIN else "hand back what it runs and end", why,
            )  # fmt: skip
            child.order(what)
        else:
            logger.error("Ending the worker in slot %d by %s: %s.", child.slot, SIGNALS[what].name, why)
            child.signal(SIGNALS[what])
            if child.pid is None:
                # Not its own fault: who was to make it, and did not even say that it could not, is stuck.
                self.generations[child.generation].kill(signal.SIGKILL, why)

    def hear(self) -> list[Child]:
        """Takes in what processes said; returns the children that could not be made."""
        failed: list[Child] = []
        for generation in self.generations.values():
            failed += self._hear_zygote(generation)
            if generation.stage is Stage.READY and not generation.forks and not generation.retired:
                self.retire(generation.number)  # it has shown that the code can be imported
        for child in self.children.values():
            self._hear_child(child)
        return failed

    def _hear_zygote(self, generation: Generation) -> list[Child]:
        failed: list[Child] = []
        for message in generation.hear():
            child = self.children.get(message["number"])
            if child is None:
                continue
            if "pid" not in message:
                logger.error("No process for slot %d could be had: %s.", child.slot, message["failed"])
                failed.append(child)
            else:
                self._hold(child, message["pid"])
        return failed

    def _hold(self, child: Child, pid: int) -> None:
        try:
            child.hold(pid)
        except ProcessLookupError:
            child.pid, child.lost = pid, self._unclaimed.pop(pid, Exit(None, None))
        except OSError as error:
            # Without a pidfd it can't be held: its channel is closed, by which it ends, and the slot is filled later.
            logger.error("The worker in slot %d could not be taken hold of, and ends: %s", child.slot, error)
            child.pid, child.lost = pid, Exit(None, None)
        else:
            assert child.pidfd is not None
            child.spawn_seconds = self._clock.now() - child.spawned_at
            self._loop.add_reader(child.pidfd, self._wake)

    def _hear_child(self, child: Child) -> None:
        for message in child.messages():
            if "refused" in message:
                child.refused, child.traceback = message["refused"], message.get("traceback", "")
            elif "leaving" in message and not child.asked:
                child.asked, child.asked_at, child.why = DRAIN, self._clock.now(), f"it got {message['leaving']}"
            elif "tally" in message:
                child.tallies.append(message["tally"])
        if child.ready_at is None and child.page.head.phase is Phase.READY:
            child.ready_at = self._clock.now()

    def reap(self) -> list[Ended]:
        """The children that are over; zygotes and orphans are collected, too."""
        ended = []
        for child in self.children.values():
            how = child.lost if child.pidfd is None else child.reap()
            if how is not None:
                self._hear_child(child)  # its last words: that it was refused, or meant to leave
                ended.append(Ended(child, how))
        for generation in self.generations.values():
            if generation.pidfd is not None and (how := generation.reap()) is not None:
                self._zygote_ended(generation, how)
        known = {child.pid for child in self.children.values() if child.pid}
        known |= {generation.pid for generation in self.generations.values() if generation.pid}
        self._unclaimed = reap_orphans(known)
        return ended

    def _zygote_ended(self, generation: Generation, how: Exit) -> None:
        assert generation.pidfd is not None
        for child in self._hear_zygote(generation):  # its last words
            child.lost = how
        self._loop.remove_reader(generation.pidfd)
        if generation.channel is not None:
            self._loop.remove_reader(generation.channel.fileno())
        was_importing = generation.stage is Stage.IMPORTING
        generation.ended()
        if generation.retired or generation.stage is Stage.FAILED:
            return
        if was_importing:
            generation.stage = Stage.FAILED
            generation.failure = f"importing its tasks ended the process: {generation.killed or how.cause}"
        else:
            logger.error("The zygote of generation %d was %s; its workers go on.", generation.number, how.cause)
        for child in self.children.values():
            if child.pid is None and child.generation == generation.number:
                child.lost = how  # its request died with the zygote; if it was made, it sees its channel end

    def bury(self, child: Child) -> None:
        """Lets go of a child that is over, or never came to be."""
        del self.children[child.number]
        for fd in (child.channel.fileno(), child.stacks_fd, child.pidfd):
            if fd is not None:
                self._loop.remove_reader(fd)
        child.close()

    def forget_generations(self, needed: set[int]) -> None:
        """Drops generations that nobody needs and of which no process is left."""
        for number, generation in tuple(self.generations.items()):
            used = any(child.generation == number for child in self.children.values())
            if number not in needed and generation.pidfd is None and not used:
                del self.generations[number]

    def _stacks_come(self, child: Child) -> None:
        # A dump comes in many small pieces: they are taken together, a moment later.
        self._loop.remove_reader(child.stacks_fd)
        self._loop.call_later(DUMP_SECONDS, self._log_stacks, child)

    def _log_stacks(self, child: Child) -> None:
        if child.number not in self.children:
            return
        self._loop.add_reader(child.stacks_fd, self._stacks_come, child)
        lines = child.read_stacks().splitlines()
        logger.warning("Stacks of the worker in slot %d:\n%s", child.slot, "\n".join(lines[:STACK_LINES]))


def leave_room() -> None:
    """Raises OSError when a worker more would leave too few descriptors: `shadowsd status` must be answered then,
    above all, and so must Redis."""
    taken: list[int] = []
    try:
        taken.extend(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(SPARE_DESCRIPTORS))
    finally:
        for descriptor in taken:
            os.close(descriptor)
