"""One generation of code as the master sees it: a zygote that forks its workers, or the plan to execute each.

A zygote that dies is started again; who waited for one of its forks is told, and asks anew.
"""

import logging
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from enum import Enum
from time import monotonic
from typing import Any

from .assignment import Assignment
from .channel import Channel, Message
from .child import Child, Exit, reap
from .inherited import held_back

logger = logging.getLogger("shadowsd")


class Stage(Enum):
    """How far a generation is."""

    IMPORTING = "importing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a generation imports, and how its processes are made."""

    generation: int
    shadow: str
    tasks: tuple[str, ...]
    fallback_task: str | None
    app_dir: str
    spawn: str
    logging_level: str
    logging_format: str


class Generation:
    """Starts, hears and ends the zygote of one generation, and makes children of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.number = plan.generation
        self.stage = Stage.IMPORTING
        self.failure = ""
        self.traceback = ""
        self.version = ""
        self.functions: list[str] = []
        self.forks = False
        self.obstacles: list[str] = []
        self.since = monotonic()
        self.retired = False
        self.killed = ""
        self.pid: int | None = None
        self.pidfd: int | None = None
        self.channel: Channel | None = None

    def start(self) -> None:
        """Executes the zygote; raises OSError when no process can be had."""
        self.stage, self.since = Stage.IMPORTING, monotonic()
        self.channel, theirs = Channel.pair()
        with theirs:
            self.pid = execute("shadowsd.master.zygote", [theirs.fileno()])
        self.pidfd = os.pidfd_open(self.pid)
        self.channel.send({**asdict(self.plan), "master": os.getpid()})

    def hear(self) -> list[Message]:
        """Notes what the zygote says of itself; returns what it says of the children that it was asked for."""
        told: list[Message] = []
        if self.channel is None:
            return told
        for message in list(self.channel.messages()):
            if message is None:
                break  # its end is heard by its pidfd
            if "version" in message:
                self.version = message["version"]
            elif "ready" in message:
                self._became_ready(message)
            elif "failed" in message and "number" not in message:
                self.stage, self.failure, self.traceback = Stage.FAILED, message["failed"], message["traceback"]
            else:
                told.append(message)
        return told

    def _became_ready(self, message: Message) -> None:
        self.stage = Stage.READY
        self.functions = message["functions"]
        self.obstacles = message["obstacles"]
        self.forks = self.plan.spawn == "fork" and not self.obstacles
        if self.plan.spawn == "fork" and self.obstacles:
            logger.warning(
                "Importing %s left %s, which a fork would copy half-dead: each worker is executed instead, which takes "
                "longer and more memory. Open connections and start threads in a task, or in Shared(...).",
                ", ".join(self.plan.tasks), ", and ".join(self.obstacles),
            )  # fmt: skip
        logger.info("Generation %d imported its tasks in %.2f s.", self.number, message["ready"])

    def spawn(self, child: Child, assignment: Assignment) -> None:
        """Makes a process for a child; raises OSError when none can be had."""
        if self.forks:
            self._fork(child, assignment)
        else:
            self._execute(child, assignment)
        child.gave()

    def _fork(self, child: Child, assignment: Assignment) -> None:
        assert self.channel is not None
        given = [child.page.fd, child.given_channel.fileno(), child.given_stacks]
        if not self.channel.send(orders(assignment), given):
            raise OSError("the zygote takes no orders now")

    def _execute(self, child: Child, assignment: Assignment) -> None:
        given = [child.page.fd, child.given_channel.fileno(), child.given_stacks]
        child.channel.send({**orders(assignment), "plan": asdict(self.plan)})
        child.hold(execute("shadowsd.master.executed", given))

    def reap(self) -> Exit | None:
        """How the zygote ended; None when it has not."""
        assert self.pidfd is not None
        return reap(self.pidfd)

    def retire(self) -> None:
        """Ends the zygote; its workers live on."""
        self.retired = True
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def kill(self, number: signal.Signals, why: str) -> None:
        """Ends a zygote that does not come to an end by itself."""
        self.killed = why
        if self.pidfd is not None:
            signal.pidfd_send_signal(self.pidfd, number)

    def ended(self) -> None:
        """The zygote was reaped."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self.pidfd is not None:
            os.close(self.pidfd)
        self.pid = self.pidfd = None


def orders(assignment: Assignment) -> dict[str, Any]:
    """An assignment as a message; its descriptors travel beside it."""
    return asdict(replace(assignment, page=-1, channel=-1, stacks=-1))


def execute(module: str, descriptors: list[int]) -> int:
    """Executes one of our modules in a fresh interpreter; its pid. Whoever gets it reaps it by pidfd."""
    # Without the current directory in front of its path: a user's `redis.py` there is none of ours.
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 # as multiprocessing does
    # In a group of its own: what a terminal sends to the master's group is for the master alone.
    command = [sys.executable, "-P", *flags, "-m", module, *map(str, descriptors)]
    with held_back():
        process = subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL, process_group=0)
    # Popen's own bookkeeping would wait for the pid, and so could steal the exit from the pidfd.
    process.returncode = 0
    return process.pid
