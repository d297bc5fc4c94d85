"""Gives what one consumer held to the living: the engine's sweeper and a master do it, each with what they know."""

from typing import Any, NamedTuple

import msgspec

from shadows.connection import Argument, Link
from shadows.keys import Keys
from shadows.scripts import TAKEOVER

from .asides import tell_pushed_out
from .ghosts import cut_off

MAX_DEATHS = 3


class Taken(NamedTuple):
    """What came of it; `taken` counts the entries that run again, or were quarantined, or wait as suspects."""

    taken: int = 0
    quarantined: int = 0
    suspects: int = 0


class Judgement(NamedTuple):
    """What is known of a consumer's end: `lease` (only that its lease ended), or from whoever saw its process end,
    `death` with the generations that ran, or `end` when it was asked to."""

    manner: str = "lease"
    cause: str = ""
    in_flight: tuple[str, ...] = ()
    max_deaths: int = MAX_DEATHS


async def take_over(link: Link, keys: Keys, consumer: str, ttl_ms: int, judgement: Judgement) -> Taken | None:
    """Takes over all that it held, in as many calls as that takes; None when it lives.

    Raises ConnectionFailed or ServerRefused midway: what is left is taken by the next try.
    """
    row = read_row(await link.call("HGET", keys.workers, consumer))
    if reader := reader_of(row):
        # Redis may not have noticed its end, and would hand it new entries.
        await cut_off(link, reader, consumer.rpartition("#")[2])
    manner = judgement.manner
    if manner == "lease":
        manner = "child" if row.get("kind") == "child" else "worker"
    names = [*keys.streams, keys.leases, keys.workers, keys.functions, keys.generation, keys.quarantine]
    cause = f", the last: {judgement.cause}" if judgement.cause else ""
    taken, left = Taken(), 1
    while left:
        arguments: list[Argument] = [
            keys.prefix, consumer, manner, judgement.max_deaths, ttl_ms, cause, " ".join(judgement.in_flight),
        ]  # fmt: skip
        count, quarantined, left, pushed_out, suspects = await link.run(TAKEOVER, names, arguments)
        if count < 0:
            return None
        tell_pushed_out(pushed_out)
        taken = Taken(taken.taken + count, taken.quarantined + quarantined, taken.suspects + suspects)
        if manner == "worker":
            manner = "again"
    return taken


def reader_of(row: dict[str, Any]) -> int:
    """The number of the connection that a worker reads by; 0 when it can't be known."""
    reader = row.get("reader", 0)
    return reader if isinstance(reader, int) else 0


def read_row(row: bytes | None) -> dict[str, Any]:
    """What a worker's last beat told; empty when it can't be known."""
    try:
        said = msgspec.msgpack.decode(row or b"\x80")
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}
