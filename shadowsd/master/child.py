"""One child as its master holds it: by pidfd, never by a number that another process may have by now."""

import contextlib
import os
import signal
import time
from collections import deque
from dataclasses import dataclass

from .channel import Channel, Message
from .page import InFlight, Page

# The end of what it printed at a fault or when it was asked for its stacks; a dump of many threads is long.
KEPT_STACK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended."""

    code: int | None
    signal: signal.Signals | int | None

    @property
    def cause(self) -> str:
        """In words for logs, metrics and the quarantine."""
        if self.signal is not None:
            name = self.signal.name if isinstance(self.signal, signal.Signals) else f"signal {self.signal}"
            return f"killed by {name}"
        if self.code is None:
            return "ended unseen"
        return f"exited with {self.code}"


class Child:
    """A process that runs, or is to run, one worker. What it is asked to do is written down before it is asked."""

    def __init__(self, number: int, slot: int, generation: int, suspect: bool, rows: int) -> None:
        self.number = number
        self.slot = slot
        self.generation = generation
        self.suspect = suspect
        with contextlib.ExitStack() as undo:  # where descriptors run out, those that were had are given back
            self.page = Page.make(rows)
            undo.callback(self.page.close)
            self.channel, self.given_channel = Channel.pair()
            undo.callback(self.channel.close)
            undo.callback(self.given_channel.close)
            self.stacks_fd, self.given_stacks = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            undo.pop_all()
        self.stacks: deque[bytes] = deque()
        self.stacks_at = 0.0
        self.pid: int | None = None
        self.pidfd: int | None = None
        self.spawned_at = 0.0
        self.spawn_seconds = 0.0
        self.ready_at: float | None = None
        self.asked = ""
        self.asked_at = 0.0
        self.why = ""
        self.worn = ""
        self.cut_off = False
        self.refused: str | None = None
        self.traceback = ""
        self.baseline_memory = 0
        self.task_limit = 0
        self.dumped = False
        self.hung = False
        self.silent_at = 0.0
        self.traced_at = 0.0
        self.reconnected_at: float | None = None
        self.lost: Exit | None = None
        self.tallies: list[bytes] = []

    def gave(self) -> None:
        """Its ends were handed over: ours are closed, so that we notice when it lets go of its own."""
        self.given_channel.close()
        os.close(self.given_stacks)

    def hold(self, pid: int) -> None:
        """Takes hold of the process. Raises ProcessLookupError when it is over and reaped already."""
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def order(self, word: str) -> None:
        """Sends an order; one that can't be sent is asked for again, or by a signal, when its time is over."""
        self.channel.send({"order": word})

    def signal(self, number: signal.Signals) -> None:
        """Signals this very process."""
        if self.pidfd is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended, and is about to be reaped
                signal.pidfd_send_signal(self.pidfd, number)

    def reap(self) -> Exit | None:
        """How it ended; None when it has not."""
        assert self.pidfd is not None
        return reap(self.pidfd)

    def messages(self) -> list[Message]:
        """What it said since."""
        return [message for message in self.channel.messages() if message is not None]

    def read_stacks(self) -> str:
        """What it dumped since; kept for later, too."""
        fresh = []
        while True:
            try:
                part = os.read(self.stacks_fd, 65536)
            except BlockingIOError:
                break
            if not part:
                break
            fresh.append(part)
        if fresh:
            self.stacks_at = time.monotonic()
        self.stacks.extend(fresh)
        while sum(map(len, self.stacks)) > KEPT_STACK_BYTES and len(self.stacks) > 1:
            self.stacks.popleft()
        return b"".join(fresh).decode(errors="replace")

    @property
    def last_stack(self) -> str:
        """The end of what it ever dumped."""
        return b"".join(self.stacks)[-KEPT_STACK_BYTES:].decode(errors="replace")

    def in_flight(self) -> list[InFlight]:
        """What it runs, or ran when it died."""
        return self.page.in_flight

    def close(self) -> None:
        """Lets go of everything; to be called once it was reaped, or never came to be."""
        self.channel.close()
        self.page.close()
        os.close(self.stacks_fd)
        if self.pidfd is not None:
            os.close(self.pidfd)


def reap(pidfd: int) -> Exit | None:
    """How a process ended; None when it has not, or is not ours yet: who was forked twice is adopted when the one
    between has ended."""
    try:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        try:
            signal.pidfd_send_signal(pidfd, 0)
        except ProcessLookupError:
            return Exit(None, None)
        return None
    return exit_of(found) if found is not None else None


def exit_of(found: os.waitid_result) -> Exit:
    """From what the kernel says."""
    if found.si_code == os.CLD_EXITED:
        return Exit(found.si_status, None)
    try:
        return Exit(None, signal.Signals(found.si_status))
    except ValueError:
        return Exit(None, found.si_status)
