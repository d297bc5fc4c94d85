"""Priorities: in which order ready executions leave Redis. There is no other rule."""

from collections.abc import Iterable
from typing import Final, Literal

from .errors import ArgumentsError

type Priority = Literal["high", "normal", "low"]

# In the order in which they are taken; with the letters by which a submission carries them.
PRIORITIES: Final[dict[Priority, str]] = {"high": "h", "normal": "", "low": "l"}
NORMAL: Final = "normal"


def letter_of(priority: Priority) -> str:
    """How a submission carries a priority. Raises ArgumentsError when it is none."""
    if priority == NORMAL:
        return ""  # nearly all have it, and each add asks
    # What can't be hashed is none either.
    letter = PRIORITIES.get(priority) if isinstance(priority, str) else None
    if letter is None:
        raise ArgumentsError(f'`priority` is {priority!r}; expected one of "high", "normal" and "low".')
    return letter


def priority_of(raw: bytes | None) -> Priority:
    """The priority that a record or an entry names; one that names none, or none that there is, is normal."""
    if raw == b"high":
        return "high"
    return "low" if raw == b"low" else "normal"


def in_order(priorities: Iterable[str]) -> list[Priority]:
    """Each that there is once, in the order in which they are taken."""
    named = {*priorities}
    return [priority for priority in PRIORITIES if priority in named]
