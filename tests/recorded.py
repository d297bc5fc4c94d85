"""Tasks that write down each start and end in a file: it is readable after `kill -9`, and while Redis is down.

Each event has its time, by the clock that all processes of a machine share: so a test can tell how long something took,
however late it came to look.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from shadows import ConcurrencyLimit, CurrentExecution, Execution, Once, Perpetual, Retry, TaskKey

PAUSE_SECONDS = 0.002


class Journal:
    """What happened to each label, in order; one line is one event, and lines are whole, whoever writes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def __str__(self) -> str:
        return str(self.path)

    @property
    def events(self) -> list[tuple[str, str, int]]:
        """The word, the label and the process of each event."""
        return [(word, label, int(pid)) for word, pid, _, label in self._rows]

    @property
    def _rows(self) -> list[list[str]]:
        # A reader may see the first part of a line that is being written.
        whole = self.path.read_text().rpartition("\n")[0]
        return [line.split(" ", 3) for line in whole.splitlines()]

    def times(self, word: str) -> list[tuple[float, str]]:
        """When, as `time.monotonic` has it, each label had this event, in order."""
        return [(float(at), label) for seen, _, at, label in self._rows if seen == word]

    def count(self, word: str) -> Counter[str]:
        """How often each label had this event."""
        return Counter(label for seen, label, _ in self.events if seen == word)

    def open_gate(self, name: str) -> None:
        """Lets go on whatever waits in `hold` for this gate, now and later."""
        gate_of(str(self), name).touch()


def gate_of(journal: str, name: str) -> Path:
    """The file whose being there means that the gate is open."""
    return Path(f"{journal}.{name}")


def write(journal: str, word: str, label: str) -> None:
    """Adds one event; a single write to a file that is open for appending is never torn."""
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{word} {os.getpid()} {time.monotonic():.6f} {label}\n".encode())
    finally:
        os.close(descriptor)


async def rest(journal: str, label: str, seconds: float = 0) -> str:
    """Sleeps on the loop."""
    write(journal, "start", label)
    await asyncio.sleep(seconds)
    write(journal, "end", label)
    return label


async def hold(journal: str, label: str, gate: str) -> str:
    """Runs until the gate is opened; says when it is stopped before that."""
    write(journal, "start", label)
    try:
        while not gate_of(journal, gate).exists():  # noqa: ASYNC110 # another process opens it
            await asyncio.sleep(PAUSE_SECONDS)
    except asyncio.CancelledError:
        write(journal, "stopped", label)
        raise
    write(journal, "end", label)
    return label


def hold_thread(journal: str, label: str, gate: str) -> str:
    """The same as a plain function, which nothing can stop."""
    write(journal, "start", label)
    while not gate_of(journal, gate).exists():
        time.sleep(PAUSE_SECONDS)
    write(journal, "end", label)
    return label


async def block(journal: str, label: str, seconds: float) -> str:
    """Keeps the loop of its worker from turning."""
    write(journal, "start", label)
    time.sleep(seconds)  # noqa: ASYNC251 # this is the fault
    write(journal, "end", label)
    return label


async def kill_worker(journal: str, label: str) -> None:
    """Ends its worker as a segmentation fault or the kernel would."""
    write(journal, "start", label)
    os.kill(os.getpid(), signal.SIGKILL)


async def fail_twice(
    journal: str, label: str, key: Annotated[str, "the key"] = TaskKey(), retry: Retry = Retry(attempts=3)
) -> int:
    """Succeeds at its third attempt."""
    write(journal, "start", label)
    if retry.attempt < 3:
        raise ValueError(f"attempt {retry.attempt} of {key}")
    write(journal, "end", label)
    return retry.attempt


async def repeat(journal: str, label: str, times: int, perpetual: Perpetual = Perpetual()) -> None:
    """Runs `times` times, each run as the successor of the one before."""
    write(journal, "start", label)
    if len([each for each in Journal(Path(journal)).events if each[1] == label]) >= times:
        perpetual.cancel()


async def hold_limited(
    journal: str, label: str, gate: str, limit: ConcurrencyLimit = ConcurrencyLimit(2, scope="hold")
) -> str:
    """Runs until the gate is opened, two at a time over all workers."""
    return await hold(journal, label, gate)


async def rest_limited(
    journal: str, label: str, seconds: float, limit: ConcurrencyLimit = ConcurrencyLimit(2, scope="rest")
) -> str:
    """Sleeps on the loop, two at a time over all workers."""
    return await rest(journal, label, seconds)


def step(journal: str, word: str, label: str) -> int:
    """Writes down that it was taken, and returns how many events there were then."""
    write(journal, word, label)
    return len(Journal(Path(journal)).events)


async def two_steps(
    journal: str, label: str, gate: str, execution: Execution = CurrentExecution(), once: Once = Once()
) -> list[int]:
    """Takes one step, waits for the gate, which stops nobody who was cancelled, and takes another."""
    write(journal, "start", f"{label} {execution.fence}")
    first = await once("first", step, journal, "first", label)
    with suppress(asyncio.CancelledError):
        await once("second", hold_step, journal, label, gate)
    return [first, await once("third", step, journal, "third", label)]


async def hold_step(journal: str, label: str, gate: str) -> None:
    """A step that waits for the gate."""
    write(journal, "second", label)
    await asyncio.to_thread(wait_at, journal, gate)


def wait_at(journal: str, gate: str) -> None:
    """Returns when the gate is open; nothing can stop it."""
    while not gate_of(journal, gate).exists():
        time.sleep(PAUSE_SECONDS)


async def quick() -> None:
    """Does nothing."""


TASKS = [quick, rest, hold, hold_thread, block, kill_worker, fail_twice, repeat, hold_limited, rest_limited, two_steps]
