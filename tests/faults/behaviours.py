"""One task for each thing that a task author may ask for; all but a few of their runs wait for the gate.

They can be imported, so that processes which are to be killed know them, too; an older deploy knows only some of them.
"""

from datetime import timedelta

from shadows import ConcurrencyLimit, Cooldown, Cron, Debounce, Once, Perpetual, Progress, RateLimit, Retry
from tests.recorded import hold, step, write

GATE = "gate"
RATE, PER = 3, timedelta(milliseconds=400)
SOON = timedelta(milliseconds=20)


async def limited(journal: str, label: str, limit: ConcurrencyLimit = ConcurrencyLimit(2, scope="life")) -> str:
    """Two at a time."""
    return await hold(journal, label, GATE)


async def rated(journal: str, label: str, rate: RateLimit = RateLimit(RATE, per=PER, scope="life")) -> str:
    """Three in a while; its start is what matters."""
    write(journal, "start", label)
    return label


async def cooled(journal: str, label: str, cooldown: Cooldown = Cooldown(timedelta(minutes=5), scope="life")) -> str:
    """The first one only."""
    return await hold(journal, label, GATE)


async def debounced(journal: str, label: str, debounce: Debounce = Debounce(10 * SOON, scope="life")) -> str:
    """The last one only."""
    return await hold(journal, label, GATE)


async def stepped(
    journal: str,
    label: str,
    once: Once = Once(),
    shared: Once = Once(scope="life"),
    retry: Retry = Retry(attempts=3, delay=SOON),
) -> str:
    """Steps on both sides of the gate, and of a failure."""
    write(journal, "start", label)
    await once("first", step, journal, "step", f"{label} first")
    await shared(f"{label} shared", step, journal, "step", f"{label} shared")
    await hold(journal, label, GATE)
    await once("second", step, journal, "step", f"{label} second")
    if retry.attempt == 1:
        raise ValueError(label)
    return label


async def counted(journal: str, label: str, left: int, perpetual: Perpetual = Perpetual(SOON)) -> str:
    """Three runs."""
    return await last_of(journal, label, left, perpetual)


async def ticking(
    journal: str, label: str, left: int, cron: Cron = Cron("@yearly", automatic=False), retry: Retry = Retry(attempts=2)
) -> str:
    """One run now, and two more, in a year each."""
    return await last_of(journal, label, left, cron)


async def last_of(journal: str, label: str, left: int, perpetual: Perpetual) -> str:
    await hold(journal, label, GATE)
    if left > 1:
        perpetual.perpetuate(journal, label, left - 1)
    else:
        perpetual.cancel()
    return label


async def tried(journal: str, label: str, retry: Retry = Retry(attempts=3, delay=SOON)) -> str:
    """Succeeds at its third attempt."""
    await hold(journal, label, GATE)
    if retry.attempt < 3:
        raise ValueError(label)
    return label


async def hopeless(journal: str, label: str, retry: Retry = Retry(attempts=2)) -> None:
    """Uses up its retries, and is kept in the quarantine."""
    write(journal, "start", label)
    raise ValueError(label)


async def followed(journal: str, label: str, progress: Progress = Progress()) -> str:
    """Tells how far it is."""
    await progress.set_total(2)
    await progress.increment()
    await hold(journal, label, GATE)
    await progress.increment()
    return label


async def pausable(journal: str, label: str, limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="pausable")) -> str:
    """Paused at first, and limited besides."""
    return await hold(journal, label, GATE)


async def newcomer(journal: str, label: str, limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="newcomer")) -> str:
    """Nobody knows it at first."""
    return await hold(journal, label, GATE)


async def everything(
    journal: str,
    label: str,
    left: int,
    limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="everything"),
    rate: RateLimit = RateLimit(1000, scope="everything"),
    once: Once = Once(),
    perpetual: Perpetual = Perpetual(SOON),
    retry: Retry = Retry(attempts=2, delay=SOON),
    progress: Progress = Progress(),
) -> str:
    """All of it in one task: two runs of two attempts."""
    await progress.increment()
    await once("first", step, journal, "step", f"{label} first {left}")
    await hold(journal, label, GATE)
    if retry.attempt == 1:
        raise ValueError(label)
    return await last_of(journal, label, left, perpetual)


KNOWN = [
    limited, rated, cooled, debounced, stepped, counted, ticking, tried, hopeless, followed, pausable, everything
]  # fmt: skip
# What an older deploy knows: none of the chains, and of the tasks with limits only one.
KNOWN_BEFORE = [limited, cooled, stepped, tried, hopeless, followed]
