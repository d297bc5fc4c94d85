"""What this shadow holds in Redis: nodes that went, entries that nobody works on, and what was set aside."""

from collections.abc import AsyncIterator

from redis.exceptions import ResponseError

from shadows import Shadow, __version__
from shadows.amounts import counted
from shadows.connection import Link
from shadows.keys import GROUP, RECLAIMED, SUSPECTS, Keys
from shadows.records import text
from shadows.snapshot import WorkerInfo, living, read_masters

from .finding import Finding, fail, ok, warn

# Of 10 000 that are kept; then the oldest go.
QUARANTINE_IS_FULL = 9_000
NAMED = 5


async def findings(shadow: Shadow, running: str | None) -> AsyncIterator[Finding]:
    """One for each thing that was looked at; `running` is the release of the daemon that runs here."""
    link, keys = shadow.queries, shadow.keys
    masters, gone = await read_masters(link, keys)
    yield nodes(masters, gone)
    yield versions(masters, running)
    yield await abandoned(link, keys, bool(await shadow.workers()))
    yield await parked(link, keys)
    yield await quarantined(link, keys)
    yield await suspects(link, keys)


def nodes(masters: list[WorkerInfo], gone: list[WorkerInfo]) -> Finding:
    """Masters that ended without a word."""
    if gone:
        names = listed([f"{node.name} on {node.host} ({node.last_seen:%Y-%m-%d %H:%M} UTC)" for node in gone])
        return warn(
            "nodes", f"Ended without signing off: {names}. Their tasks went to the others when their leases ended.",
            "Look at these machines, unless you know why: a power cut, a kill -9, a lack of memory.",
        )  # fmt: skip
    return ok("nodes", f"Masters that live: {listed([node.name for node in masters]) or 'none'}.")


def versions(masters: list[WorkerInfo], running: str | None) -> Finding:
    """Releases that differ."""
    releases = sorted({node.version for node in masters if node.version})
    if running is not None and running != __version__:
        return warn(
            "versions", f"The daemon that runs here is {running}, and {__version__} is installed.",
            "Restart it: a reload would mix both.",
        )  # fmt: skip
    if len(releases) > 1:
        return warn(
            "versions", f"Nodes run different releases: {', '.join(releases)}. What the newer ones write may wait for "
            "them.", "Finish the upgrade.",
        )  # fmt: skip
    return ok("versions", f"Nodes run {releases[0] if releases else 'nothing'}, and {__version__} is installed here.")


async def abandoned(link: Link, keys: Keys, anybody_lives: bool) -> Finding:
    """Entries of consumers without a lease."""
    alive = await living(link, keys)
    held: dict[str, int] = {}
    for stream in keys.streams:
        try:
            consumers = await link.ask("XINFO", "CONSUMERS", stream, GROUP)
        except ResponseError:
            continue  # there is no such stream now
        for raw in consumers:
            row = dict(zip(raw[::2], raw[1::2], strict=True))
            if row[b"pending"] and row[b"name"] not in alive and text(row[b"name"]) != RECLAIMED:
                held[text(row[b"name"])] = held.get(text(row[b"name"]), 0) + row[b"pending"]
    if not held:
        return ok("dead workers", "No dead worker holds an entry.")
    words = f"Dead workers hold {counted(sum(held.values()), 'entry', 'entries')}: {listed([*held])}."
    if anybody_lives:
        return warn("dead workers", words, "The living take them within a lease; look again in half a minute.")
    return fail("dead workers", f"{words} Nobody lives who could take them.", "Start workers: shadowsd --tasks ...")


async def parked(link: Link, keys: Keys) -> Finding:
    """Entries whose function no worker knows."""
    names = [text(name) for name in await link.ask("ZRANGE", keys.unknown, 0, -1)]
    if not names:
        return ok("unknown functions", "No entry waits for a worker that knows its function.")
    return warn(
        "unknown functions", f"Entries wait for a worker that knows {listed(names)}; after a day they are quarantined.",
        "Start workers with the --tasks that have them.",
    )  # fmt: skip


async def quarantined(link: Link, keys: Keys) -> Finding:
    """What was set aside."""
    count = await link.ask("XLEN", keys.quarantine)
    if not count:
        return ok("quarantine", "The quarantine is empty.")
    remedy = "See why, then retry or drop them: shadows quarantine ls."
    full = " It keeps 10 000: the oldest are about to go." if count >= QUARANTINE_IS_FULL else ""
    return warn(
        "quarantine",
        f"{counted(count, 'entry is', 'entries are')} in the quarantine: what could not run.{full}",
        remedy,
    )


async def suspects(link: Link, keys: Keys) -> Finding:
    """What runs alone because workers died."""
    count = await link.ask("XLEN", keys.streams[SUSPECTS - 1])
    if not count:
        return ok("suspects", "No task is suspected of killing its workers.")
    return warn(
        "suspects", f"{counted(count, 'task was', 'tasks were')} in flight at two deaths of workers; each runs "
        "alone now, and at its third it is quarantined.", "See what ends the workers: shadowsd status SLOT.",
    )  # fmt: skip


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
