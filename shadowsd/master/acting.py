"""The hands of the master: what is done to processes, and what follows from what they did."""

import asyncio
import logging
import random
import selectors
import signal
import threading
from importlib.util import find_spec
from pathlib import Path

import msgspec

from shadows import __version__
from shadows.amounts import counted
from shadowsd.observe.tally import Delta

from .blame import line_of
from .child import Child
from .endings import judge
from .exits import MISCONFIGURED
from .fleet import Ended
from .generation import Plan, Stage
from .hangs import Kind
from .node import Node
from .oom import kills
from .seen import silence_of
from .world import ABORT, KILL, Ask, Dump, KillZygote, Spawn, StartZygote

logger = logging.getLogger("shadowsd")

# Nothing of a user's: the interpreter's modules, and the packages that stand between the loop and a task.
PACKAGES = ("asyncio", "shadows", "shadowsd", "uncalled_for", "uvloop")
LIBRARIES = (
    threading.__file__, selectors.__file__, "<frozen",
    *(f"{Path(spec.origin).parent}/" for name in PACKAGES if (spec := find_spec(name)) and spec.origin),
)  # fmt: skip
BURIAL_SECONDS = 2.0
# A zygote that is let go of ends within milliseconds, or is stuck; with coverage, it has its notes to write.
STUCK_SECONDS = 1.0
LOOK_SECONDS = 0.005
ZYGOTE_PAUSES = (0.0, 1.0, 60.0)


class Acting:
    """Acts for one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._zygote_failures = 0
        self._generations = 0

    def act(self, action: Spawn | Ask | Dump | StartZygote | KillZygote) -> None:
        """Carries one out."""
        match action:
            case Spawn():
                self._spawn(action)
            case Ask(number, what, why):
                child = self._node.fleet.children[number]
                # A task that blocks while it is asked to end, or whose process somebody stopped, killed nobody.
                child.hung = child.hung or what == ABORT
                silence = silence_of(child, self._node.clock)
                if what == ABORT and silence.kind is not Kind.NONE:
                    self._node.metrics.hang(str(child.slot), silence.kind.name.lower())
                self._node.fleet.ask(number, what, why)
            case Dump(number):
                self._dump(self._node.fleet.children[number])
            case StartZygote(number):
                self.start_zygote(number)
            case KillZygote(number, how, why):
                self._node.fleet.generations[number].kill(how, why)

    def _spawn(self, wanted: Spawn) -> None:
        node = self._node
        if not node.fleet.spawn(wanted, node.settings):
            self._not_made(wanted.slot, wanted.generation, wanted.suspect)
        elif wanted.suspect:
            node.leases.told.suspects = max(0, node.leases.told.suspects - 1)

    def take_in(self) -> None:
        """What processes said, and which ended, since the last pass."""
        node = self._node
        for child in node.fleet.hear():
            node.fleet.bury(child)
            self._not_made(child.slot, child.generation, child.suspect)
        for child in node.fleet.children.values():
            self._count(child)
        for ended in node.fleet.reap():
            self._ended(ended)
        for generation in node.fleet.generations.values():
            if generation.version and generation.version != __version__:
                generation.stage = Stage.FAILED
                generation.failure = (
                    f"shadow-task was changed from {__version__} to {generation.version} under this master, which can "
                    "only run its own release. Restart it."
                )
        self._restart_failed_target()

    def _count(self, child: Child) -> None:
        tallies, child.tallies = child.tallies, []
        for tally in tallies:
            self._node.metrics.add(str(child.slot), msgspec.msgpack.decode(tally, type=Delta))

    def _not_made(self, slot: int, generation: int, suspect: bool) -> None:
        node = self._node
        if suspect:
            # The next renewal tells of it again, and until then there may be room for a process.
            node.leases.told.suspects = 0
            return
        node.history.died(slot, node.clock.now(), 0.0)
        under_way = node.reloading.under_way
        if under_way is not None and under_way.generation == generation:
            node.reloading.fail(f"no process for slot {slot} could be had")

    def _ended(self, ended: Ended) -> None:
        node, child = self._node, ended.child
        now = node.clock.now()
        if last := child.read_stacks():
            logger.error("The last words of the worker in slot %d:\n%s", child.slot, last.rstrip())
        killed = kills()
        oom, node.oom_kills = killed > node.oom_kills, killed
        served = now - child.ready_at if child.ready_at is not None else 0.0
        self._count(child)
        verdict = judge(child, ended.exit, oom, node.settings.max_deaths, served)
        if verdict.loss is not None:
            node.reclaims.put(verdict.loss)
        node.fleet.bury(child)
        node.history.note(child.slot, verdict.ending)
        if not verdict.death:
            logger.info("The worker in slot %d has ended.", child.slot)
            return
        node.metrics.worker_restarted(str(child.slot), verdict.label)
        wait = 0.0 if child.suspect else node.history.died(child.slot, now, served)
        what = "suspect worker" if child.suspect else "worker"
        filled = "" if child.suspect else f" The slot is filled again {f'in {wait:.1f} s' if wait else 'at once'}."
        logger.error(
            "The %s in slot %d (pid %s, generation %d) is gone: %s. %s in flight.%s", what, child.slot, child.pid,
            child.generation, verdict.cause.rstrip("."),
            counted(len(verdict.ending.in_flight), "task was", "tasks were"), filled,
        )  # fmt: skip
        under_way = node.reloading.under_way
        if child.refused and not node.served:
            node.quit(MISCONFIGURED, child.refused, child.traceback)
        elif under_way is not None and child.generation == under_way.generation and not child.suspect:
            node.fleet.generations[child.generation].traceback = child.traceback
            node.reloading.fail(f"its worker in slot {child.slot} is gone: {verdict.cause}")
        elif child.traceback:
            logger.error("%s", child.traceback.rstrip())

    def begin_generation(self) -> int:
        """Starts the next generation; its number."""
        node = self._node
        self._generations += 1
        number = self._generations
        settings = node.settings
        node.fleet.begin(
            Plan(
                number, node.shadow.name, settings.tasks, settings.fallback_task, settings.app_dir, settings.spawn,
                settings.logging_level, settings.logging_format,
            )
        )  # fmt: skip
        self.start_zygote(number)
        return number

    def start_zygote(self, number: int) -> None:
        """Starts a generation's zygote, and again later, when none can be had."""
        node = self._node
        now = node.clock.now()
        started = node.fleet.start_zygote(number)
        node.fleet.generations[number].since = now
        index = min(self._zygote_failures, len(ZYGOTE_PAUSES) - 1)
        self._zygote_failures += 1
        pause = ZYGOTE_PAUSES[index] * random.uniform(0.5, 1) if index or not started else 0.0
        node.zygotes_not_before[number] = now + pause

    def _restart_failed_target(self) -> None:
        """The code that serves can't be imported any more: its workers go on, and it is tried again."""
        node = self._node
        generation = node.fleet.generations.get(node.target)
        if generation is None or not node.served:
            return
        if generation.stage is Stage.READY and generation.pidfd is not None:
            self._zygote_failures = 0
        if generation.stage is Stage.FAILED and generation.pidfd is None:
            logger.error(
                "The tasks can't be imported any more, so no worker can be replaced until they can: %s",
                generation.failure,
            )
            generation.stage = Stage.IMPORTING

    def _dump(self, child: Child) -> None:
        child.dumped = True
        silence = silence_of(child, self._node.clock)
        logger.warning(
            "The worker in slot %d has been silent for %.0f s: %s. It is ended after %g s. Its stacks follow.",
            child.slot, silence.seconds, silence.kind.value, self._node.settings.limits.hang,
        )  # fmt: skip
        child.signal(signal.SIGUSR1)
        asyncio.get_running_loop().call_later(0.2, self._name_line, child)

    def _name_line(self, child: Child) -> None:
        line = line_of(child.last_stack, LIBRARIES)
        if line:
            logger.warning("The worker in slot %d is at %s.", child.slot, line)

    def dump_all(self) -> None:
        """The stacks of every child, to the log."""
        for child in self._node.fleet.children.values():
            child.signal(signal.SIGUSR1)

    async def kill_all(self) -> None:
        """Whoever is left is killed, and zygotes end when their channel does; nobody else would collect them."""
        fleet, began = self._node.fleet, self._node.clock.now()
        for child in fleet.children.values():
            # Written down, or what it runs would be blamed for this end.
            child.asked, child.asked_at, child.why = KILL, self._node.clock.now(), "the master ends"
            child.signal(signal.SIGKILL)
        for number, generation in fleet.generations.items():
            fleet.retire(number)
            if generation.stage is Stage.IMPORTING:  # it would not notice that its channel has ended
                generation.kill(signal.SIGKILL, "the master ends")
        while fleet.children or any(generation.pidfd for generation in fleet.generations.values()):
            for ended in fleet.reap():
                self._ended(ended)
            waited = self._node.clock.now() - began
            if waited > BURIAL_SECONDS:
                return  # pragma: no cover # only who waits for a device in the kernel survives SIGKILL for so long
            if waited > STUCK_SECONDS:
                for generation in fleet.generations.values():
                    generation.kill(signal.SIGKILL, "the master ends")
            await asyncio.sleep(LOOK_SECONDS)
