"""The quarantine: entries that can't run, or used up their retries, each kept with its cause until somebody decides."""

import re
from datetime import datetime
from typing import NamedTuple

from .connection import Link
from .errors import ShadowsError
from .keys import Keys
from .records import moment, number, pairs
from .scripts import REQUEUE

ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


class QuarantinedEntry(NamedTuple):
    """One entry that was set aside: what it was, when, and why."""

    id: str
    key: str
    function_name: str
    payload: bytes
    cause: str
    since: datetime
    # Of an execution that used up its retries: how often it was tried, and its last error, encoded.
    attempts: int = 0
    error: bytes = b""


class Quarantine:
    """Lists, gives back and drops what was set aside."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def entries(self, limit: int) -> list[QuarantinedEntry]:
        """The newest entries, at most `limit`."""
        return [
            parse(id.decode(), pairs(fields))
            for id, fields in await self._link.ask("XREVRANGE", self._keys.quarantine, "+", "-", "COUNT", limit)
        ]

    async def entry(self, id: str) -> QuarantinedEntry:
        """One entry, and nothing else is read. ShadowsError when there is none of that id."""
        require_id(id)
        found = await self._link.ask("XRANGE", self._keys.quarantine, id, id)
        if not found:
            raise unknown(id)
        return parse(id, pairs(found[0][1]))

    async def retry(self, id: str) -> int:
        """Gives an entry back to the workers; returns its new number. The entry stays when its key is busy."""
        key = (await self.entry(id)).key
        names = self._keys
        reply = await self._link.run(
            REQUEUE,
            [names.stream, names.quarantine, names.generation, names.schedule, names.record(key)],
            [names.prefix, id, key],
        )
        if reply == b"busy":
            raise ShadowsError(
                f"The key {key!r} of the quarantined entry {id} is in use by another execution, so the entry was kept. "
                "Wait for that one, or cancel it, and retry again."
            )
        if not reply:
            raise unknown(id)
        return int(reply)

    async def drop(self, id: str) -> None:
        """Deletes an entry for good."""
        require_id(id)
        if not await self._link.call("XDEL", self._keys.quarantine, id):
            raise unknown(id)


def require_id(id: str) -> None:
    """Raises ShadowsError for what Redis would not take as an entry's id."""
    if not ID.fullmatch(id):
        raise unknown(id)


def unknown(id: str) -> ShadowsError:
    """The error for an id that is not in the quarantine."""
    return ShadowsError(f"There is no entry {id!r} in the quarantine. See the ids with `shadows quarantine ls`.")


def parse(id: str, fields: dict[str, bytes]) -> QuarantinedEntry:
    """An entry from its stream fields, any of which a damaged entry may lack."""

    def text(name: str) -> str:
        return fields.get(name, b"").decode(errors="backslashreplace")

    since = moment(int(id.partition("-")[0]))
    return QuarantinedEntry(
        id, text("k"), text("f"), fields.get("p", b""), text("c"), since, number(fields.get("t")), fields.get("e", b"")
    )
