"""The names of everything that a shadow keeps in Redis."""

from typing import Final

GROUP: Final = "workers"
RECLAIMED: Final = "reclaimed"

# The streams that hold work, by their place number in scripts: new work, parked work that came back, suspects, and
# new work of the two priorities that are not the normal one. Lua addresses them as KEYS[1] to KEYS[5].
PLACES: Final = ("stream", "returned", "suspects", "high", "low")
STREAM, RETURNED, SUSPECTS, HIGH, LOW = 1, 2, 3, 4, 5


class Keys:
    """All key names of one shadow; the hash tag keeps them in one cluster slot and one ACL pattern.

    A user's key appears only behind `task:` and `state:`, so no key can reach another's data.
    """

    def __init__(self, name: str) -> None:
        self.prefix = prefix = "{" + name + "}:"
        self.stream = prefix + "stream"
        self.returned = prefix + "returned"
        self.suspects = prefix + "suspects"
        self.streams = [prefix + place for place in PLACES]
        self.schedule = prefix + "schedule"
        self.generation = prefix + "generation"
        self.strikes = prefix + "strikes"
        self.leases = prefix + "leases"
        self.workers = prefix + "workers"
        self.functions = prefix + "functions"
        self.nodes = prefix + "nodes"
        # Executions that wait at a gate, and the gates at which some do.
        self.waiting = prefix + "waiting"
        self.gates = prefix + "gates"
        self.watched = prefix + "watched"
        self.unknown = prefix + "unknown"
        self.paused = prefix + "paused"
        self.quarantine = prefix + "quarantine"
        self.signal = prefix + "signal"
        self.task = prefix + "task:"
        self.state = prefix + "state:"

    def record(self, key: str) -> str:
        """The record of one execution."""
        return self.task + key

    def events(self, key: str) -> str:
        """The channel that tells of one execution's changes."""
        return self.state + key

    def parked(self, function: str) -> str:
        """The stream of entries that wait for a worker which knows their function."""
        return f"{self.unknown}:{function}"

    def held(self, function: str) -> str:
        """The stream of entries that wait while their function is paused."""
        return f"{self.paused}:{function}"

    def once(self, scope: str, step: str) -> str:
        """A step that is kept for all executions; a scope has no colon."""
        return f"{self.prefix}once:{scope}:{step}"

    def reply(self, client: str, lane: str) -> str:
        """Where the last answer to one sender is kept, so that resending a call repeats nothing."""
        return f"{self.prefix}reply:{client}:{lane}"
