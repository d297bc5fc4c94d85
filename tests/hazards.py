"""Tasks that harm the process which runs them, each in its own way; all write down that they started."""

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from datetime import timedelta

from shadows import Timeout
from tests.recorded import gate_of, write


async def exit_process(journal: str, label: str) -> None:
    """Ends its worker with the code of success."""
    write(journal, "start", label)
    os._exit(0)


async def exit_politely(journal: str, label: str) -> None:
    """What a script does when it is done."""
    write(journal, "start", label)
    sys.exit(3)


async def segfault(journal: str, label: str) -> None:
    """Reads where nothing is."""
    write(journal, "start", label)
    ctypes.string_at(0)


async def hold_gil(journal: str, label: str) -> None:
    """Waits for ever in C without letting go of the interpreter, as a careless extension does."""
    write(journal, "start", label)
    # A sleep would end at the first signal; who locks a mutex twice waits through all of them.
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


async def block_once(journal: str, label: str, seconds: float) -> str:
    """Blocks the loop of its worker at its first run only."""
    first = not gate_of(journal, f"blocked-{label}").exists()
    gate_of(journal, f"blocked-{label}").touch()
    write(journal, "start", label)
    if first:
        time.sleep(seconds)  # noqa: ASYNC251 # this is the fault
    write(journal, "end", label)
    return label


async def ignore_cancel(journal: str, label: str, gate: str) -> None:
    """Goes on whatever is asked of it, until its gate is opened."""
    write(journal, "start", label)
    while not gate_of(journal, gate).exists():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            write(journal, "stopped", label)
    write(journal, "end", label)


async def use_up_descriptors(journal: str, label: str) -> str:
    """Opens files until there are none left, fails by it, and lets go of them."""
    write(journal, "start", label)
    taken: list[int] = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for descriptor in taken:
            os.close(descriptor)


async def leave_orphans(journal: str, label: str, number: int) -> int:
    """Runs programs whose children outlive them, and waits for the programs: their exit codes are its own."""
    write(journal, "start", label)
    codes = 0
    for _ in range(number):
        program = await asyncio.create_subprocess_exec("/bin/sh", "-c", "(sleep 0.05 &) ; exit 7")
        codes += await program.wait()
    write(journal, "end", label)
    return codes


async def interruptible(journal: str, label: str) -> int:
    """Interrupts a program that it started, as one that records or serves is stopped; how that ended."""
    write(journal, "start", label)
    # uvloop gives its own programs all signals back; those that are started so have what their worker has.
    program = subprocess.Popen(["sleep", "30"])  # noqa: ASYNC220 # this is the point
    program.send_signal(2)
    return await asyncio.to_thread(program.wait)


async def patient(journal: str, label: str, seconds: float, limit: Timeout = Timeout(timedelta(seconds=30))) -> str:
    """Has a Timeout of its own."""
    write(journal, "start", label)
    await asyncio.sleep(seconds)
    write(journal, "end", label)
    return label


TASKS = [
    exit_process, exit_politely, segfault, hold_gil, block_once, ignore_cancel, use_up_descriptors, leave_orphans,
    interruptible, patient,
]  # fmt: skip
