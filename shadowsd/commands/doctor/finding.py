"""One finding of the doctor, and the words for sizes that several of them use."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: FAIL breaks a promise, or keeps the daemon from starting."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was seen and means, and what to do about it."""

    level: Level
    check: str
    words: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """All of it but the level."""
        return f"{self.words}{f' {self.remedy}' if self.remedy else ''}"


def ok(check: str, words: str) -> Finding:
    """Nothing to do."""
    return Finding(Level.OK, check, words)


def warn(check: str, words: str, remedy: str) -> Finding:
    """It may bite."""
    return Finding(Level.WARN, check, words, remedy)


def fail(check: str, words: str, remedy: str) -> Finding:
    """It bites."""
    return Finding(Level.FAIL, check, words, remedy)


def megabytes(size: float) -> str:
    """A size for people."""
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MB"
