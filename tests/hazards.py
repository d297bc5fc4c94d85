"""Tasks that harm the process which runs them, each in its own way; all write down that they started."""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
import time
from datetime import timedelta
from pathlib import Path

from shadows import Timeout
from tests.recorded import PAUSE_SECONDS, gate_of, write


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
    program = await asyncio.create_subprocess_exec("sleep", "30")
    await asyncio.sleep(0.1)
    program.send_signal(2)
    return await program.wait()


async def lose_redis(journal: str, label: str, gate: str) -> str:
    """Cuts its own process off from Redis, for good, as a broken route of one container would; then runs on."""
    write(journal, "start", label)
    if not gate_of(journal, f"cut-{label}").exists():
        gate_of(journal, f"cut-{label}").touch()
        for name in ("open_connection", "open_unix_connection"):
            setattr(asyncio, name, refuse)
        shut_connections()
    while not gate_of(journal, gate).exists():  # noqa: ASYNC110 # another process opens it
        await asyncio.sleep(PAUSE_SECONDS)
    write(journal, "end", label)
    return label


async def patient(journal: str, label: str, seconds: float, limit: Timeout = Timeout(timedelta(seconds=30))) -> str:
    """Has a Timeout of its own."""
    write(journal, "start", label)
    await asyncio.sleep(seconds)
    write(journal, "end", label)
    return label


async def refuse(*_: object, **__: object) -> None:
    """In the place of what opens a connection."""
    raise ConnectionRefusedError(111, "Connection refused")


def shut_connections() -> None:
    """Ends this process's TCP connections."""
    for entry in tuple(Path("/proc/self/fd").iterdir()):
        shut(int(entry.name))


def shut(descriptor: int) -> None:
    """Ends one, if it is one."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        if connection.family == socket.AF_INET:
            connection.shutdown(socket.SHUT_RDWR)


TASKS = [
    exit_process, exit_politely, segfault, hold_gil, block_once, ignore_cancel, use_up_descriptors, leave_orphans,
    interruptible, lose_redis, patient,
]  # fmt: skip
