"""The tasks of the state machine; each start and end of a run is a line in a file, readable after `kill -9`."""

import asyncio
from datetime import timedelta

from shadows import Perpetual, Retry
from tests.recorded import write

LATER = timedelta(hours=1)


class Gate:
    """Where runs wait while it is closed; in a process that is to be killed, for ever."""

    def __init__(self) -> None:
        self.closed = False
        self.changed = asyncio.Event()

    def close(self) -> None:
        self.closed = True
        self.changed = asyncio.Event()

    def open(self) -> None:
        self.closed = False
        self.changed.set()

    async def passed(self) -> None:
        if self.closed:
            await self.changed.wait()


GATE = Gate()


async def begin(journal: str, label: str) -> None:
    write(journal, "start", label)
    await GATE.passed()


async def work(journal: str, label: str, group: int) -> str:
    """Does it at once."""
    await begin(journal, label)
    write(journal, "end", label)
    return label


async def flaky(journal: str, label: str, group: int, retry: Retry = Retry(attempts=2)) -> str:
    """Does it at its second attempt."""
    await begin(journal, label)
    if retry.attempt == 1:
        raise ValueError(label)
    write(journal, "end", label)
    return label


async def patient(journal: str, label: str, group: int, retry: Retry = Retry(attempts=2, delay=LATER)) -> str:
    """The same, with an hour between."""
    return await flaky(journal, label, group, retry)


async def broken(journal: str, label: str, group: int) -> None:
    """Fails."""
    await begin(journal, label)
    raise ValueError(label)


async def countdown(journal: str, label: str, left: int, perpetual: Perpetual = Perpetual()) -> str:
    """Each run tells the next one how many are left; the last one ends it."""
    await begin(journal, label)
    write(journal, "end", label)
    if left > 1:
        perpetual.perpetuate(journal, label, left - 1)
    else:
        perpetual.cancel()
    return f"{label} {left}"


TASKS = {task.__name__: task for task in (work, flaky, patient, broken, countdown)}
