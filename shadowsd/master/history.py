"""What became of each slot's children: for backoff, for the crash-loop breaker, and for people who ask why."""

import random
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from .backoff import HEALTHY_SECONDS, counting, loops, pause

KEPT_EXITS = 20


@dataclass(frozen=True, slots=True)
class Ending:
    """One child's end, as `shadowsd status SLOT` shows it. `at` is seconds since the epoch."""

    at: float
    pid: int | None
    generation: int
    served_seconds: float
    cause: str
    asked: str
    tasks: int
    in_flight: tuple[str, ...]
    stack: str


class History:
    """One node's endings."""

    def __init__(self) -> None:
        self._endings: dict[int, deque[Ending]] = {}
        self._deaths: dict[int, list[float]] = {}
        self._not_before: dict[int, float] = {}
        self._restarts: dict[int, int] = {}
        self.degraded = False

    def note(self, slot: int, ending: Ending) -> None:
        """A child of the slot ended."""
        self._endings.setdefault(slot, deque(maxlen=KEPT_EXITS)).append(ending)

    def died(self, slot: int, now: float, ready_for: float) -> float:
        """It ended unasked: returns the seconds until the slot is filled again."""
        before = [] if ready_for >= HEALTHY_SECONDS else self._deaths.get(slot, [])
        deaths = self._deaths[slot] = [*counting(before, now), now]
        self._restarts[slot] = self.restarts(slot) + 1
        wait = pause(deaths, random.random)
        self._not_before[slot] = now + wait
        return wait

    def restarts(self, slot: int) -> int:
        """How often the slot had to be filled again because its child ended unasked."""
        return self._restarts.get(slot, 0)

    def held(self, slots: int, now: float) -> frozenset[int]:
        """The slots that must wait; in a crash loop all but one, which probes."""
        waiting = {slot for slot, until in self._not_before.items() if until > now}
        if self.degraded:
            waiting |= set(range(2, slots + 1))
        return frozenset(waiting)

    def judge(self, now: float, slots: int, healthy: int) -> bool | None:
        """Whether a crash loop began (True) or ended (False) now; None when nothing changed."""
        before = self.degraded
        if before:
            self.degraded = healthy == 0
        else:
            self.degraded = loops([death for deaths in self._deaths.values() for death in deaths], now, slots, healthy)
        return self.degraded if self.degraded != before else None

    def endings(self, slot: int) -> list[dict[str, Any]]:
        """The last endings of a slot, newest first."""
        return [asdict(ending) for ending in reversed(self._endings.get(slot, ()))]
