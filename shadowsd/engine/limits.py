"""`run_at_most`: how often which keys or functions may still run here."""

from collections.abc import Mapping

from .entries import Entry


class Limits:
    """Counts the runs of what is limited; without limits it costs one look."""

    def __init__(self) -> None:
        self.active = False
        self._left: dict[str, int] = {}

    def set(self, limits: Mapping[str, int]) -> None:
        """Begins counting: `limits` maps a key or a function's name to its number of runs."""
        self._left = dict(limits)
        self.active = bool(limits)

    def admit(self, entry: Entry) -> bool:
        """Whether the entry may run; counts it if so."""
        name = self._name(entry)
        if name is None:
            return True
        if self._left[name] <= 0:
            return False
        self._left[name] -= 1
        return True

    def last(self, entry: Entry) -> bool:
        """Whether nothing may follow the entry."""
        name = self._name(entry)
        return name is not None and self._left[name] <= 0

    def _name(self, entry: Entry) -> str | None:
        if entry.key in self._left:
            return entry.key
        return entry.function if entry.function in self._left else None
