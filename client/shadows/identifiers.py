"""Keys: fresh ones are UUIDs of version 7, which sort by the time they were made [RFC 9562, section 5.7]."""

import os
import time

from .errors import ArgumentsError

# Random hexadecimal digits that one key takes, and how many keys' worth is asked of the kernel at a time: the
# call costs more than the bytes.
DIGITS = 20
KEYS_AT_ONCE = 128


class KeySource:
    """Makes keys, from random digits that are fetched ahead."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def fresh(self) -> str:
        """A key that nobody has used."""
        at = self._at
        random = self._digits[at : at + DIGITS]
        if not random:
            self._digits = os.urandom(KEYS_AT_ONCE * DIGITS // 2).hex()
            at = 0
            random = self._digits[:DIGITS]
        self._at = at + DIGITS
        stamp = f"{time.time_ns() // 1_000_000:012x}"
        variant = "89ab"[ord(random[18]) & 3]
        return f"{stamp[:8]}-{stamp[8:]}-7{random[:3]}-{variant}{random[3:6]}-{random[6:18]}"

    def forget(self) -> None:
        """Drops what was fetched: a forked copy of the process would make the same keys of it."""
        self._digits = ""
        self._at = 0


_source = KeySource()
os.register_at_fork(after_in_child=_source.forget)

fresh_key = _source.fresh


def checked(text: object, what: str) -> str:
    """Returns a key or a name that can be sent.

    Raises ArgumentsError for any other, before anything is sent: it would fail the whole batch that it goes out with.
    """
    if not isinstance(text, str):
        remedy = "Decode it." if isinstance(text, bytes | bytearray) else "Write str(...)."
        raise ArgumentsError(f"The {what} {text!r} is a {type(text).__name__}; expected a str. {remedy}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ArgumentsError(
                f"The {what} {text!r} is no text: {error.reason}. Expected what UTF-8 can encode; decode it with "
                "another error handler than surrogateescape, or use its repr()."
            ) from None
    return text
