"""Counts what this process sends to Redis, exactly, and without a proxy whose delay would change it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection


class Sent:
    """The round trips (one send, one answer or several) and the commands in them, by name."""

    def __init__(self) -> None:
        self._sends: list[bytes] = []

    def note(self, packed: bytes | str | Iterable[bytes]) -> None:
        """Keeps one send; it is read later, since that takes longer than sending."""
        if isinstance(packed, str):
            packed = packed.encode()
        self._sends.append(packed if isinstance(packed, bytes) else b"".join(packed))

    @property
    def round_trips(self) -> int:
        """How often something was sent."""
        return len(self._sends)

    @property
    def commands(self) -> Counter[str]:
        """Every command, those of one pipeline each by itself."""
        return Counter(name for send in self._sends for name in command_names(send))


def command_names(packed: bytes) -> Iterator[str]:
    """The names of the commands in one send: *<words>, then $<length> and the bytes of each word."""
    at = 0
    while at < len(packed):
        end = packed.index(b"\r\n", at)
        words, at = int(packed[at + 1 : end]), end + 2
        for number in range(words):
            end = packed.index(b"\r\n", at)
            start = end + 2
            length = int(packed[at + 1 : end])
            if number == 0:
                yield packed[start : start + length].decode().upper()
            at = start + length + 2


@contextmanager
def counting() -> Iterator[Sent]:
    """Everything that redis-py's async connections send, in every thread; shadows and the bare loop use them."""
    sent = Sent()
    original = AbstractConnection.send_packed_command

    async def send_packed_command(self: AbstractConnection, command: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(command, bytes | str):
            command = list(command)
        sent.note(command)
        await original(self, command, *args, **kwargs)

    AbstractConnection.send_packed_command = send_packed_command  # type: ignore[method-assign] # to count, see above
    try:
        yield sent
    finally:
        AbstractConnection.send_packed_command = original  # type: ignore[method-assign] # put back
